"""How a person is called on the platform, and how the person's joints are."""

from dataclasses import dataclass
from typing import Final

from pipeline.skeletons import Skeleton
from stages.drawing.palette import LEFT, MIDDLE, RIGHT, Colour

__all__ = ["PERSON", "Template", "arcs", "colours", "labels", "standing"]

PERSON: Final = "person"
"""Name of the template, and label of poses and boxes: one word for all, as the platform tells upper from lower case."""

_STANDING: Final = {
    "nose": (0.0, 0.07), "eye": (0.02, 0.05), "ear": (0.045, 0.06), "head_top": (0.0, 0.0), "upper_neck": (0.0, 0.14),
    "thorax": (0.0, 0.18), "shoulder": (0.12, 0.18), "elbow": (0.17, 0.36), "wrist": (0.2, 0.51),
    "pelvis": (0.0, 0.5), "hip": (0.08, 0.5), "knee": (0.09, 0.74), "ankle": (0.1, 0.97),
}  # fmt: skip
"""(side, down) of a person who stands and faces us, in body heights from the top of the head."""
_HEIGHT_PX: Final = 400.0
_TOP_PX: Final = 50.0
_MIDDLE_PX: Final = 250.0


@dataclass(frozen=True)
class Template:
    """A template of the platform: what holds the points of a person together."""

    id: str
    """Given by the platform; annotations point to it."""
    skeleton: Skeleton
    name: str = PERSON

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the points, in the order of the skeleton's joints."""
        return labels(self.skeleton)


def labels(skeleton: Skeleton) -> tuple[str, ...]:
    """Name the labels of the joints, in their order: `nose`, `left_eye` ... Upper and lower case differ."""
    return skeleton.joints


def arcs(skeleton: Skeleton) -> list[tuple[str, str]]:
    """Name the labels at both ends of each bone."""
    return [(skeleton.joints[start], skeleton.joints[end]) for start, end in skeleton.bones]


def colours(skeleton: Skeleton) -> dict[str, str]:
    """Give a colour for each label, the person's included, as `#rrggbb`: those in which overlays are drawn."""
    return {PERSON: _hex(MIDDLE)} | {joint: _hex(_side_colour(joint)) for joint in skeleton.joints}


def standing(skeleton: Skeleton) -> dict[str, tuple[float, float]]:
    """Place the joints of somebody who stands upright, faces us, and is 400 px tall: (x, y) in pixels.

    Raises:
        ValueError: Nobody knows where a joint of the skeleton is.
    """
    return {joint: _place(joint) for joint in skeleton.joints}


def _place(joint: str) -> tuple[float, float]:
    part = joint.removeprefix("left_").removeprefix("right_")
    if part not in _STANDING:
        msg = f"where the joint '{joint}' of a standing person is is not known; known: {', '.join(_STANDING)}"
        raise ValueError(msg)
    side, down = _STANDING[part]
    mirror = -1 if joint.startswith("right_") else 1  # who faces us has the left hand at our right
    return round(_MIDDLE_PX + mirror * side * _HEIGHT_PX, 1), round(_TOP_PX + down * _HEIGHT_PX, 1)


def _side_colour(joint: str) -> Colour:
    side, _, rest = joint.partition("_")
    return {"left": LEFT, "right": RIGHT}.get(side, MIDDLE) if rest else MIDDLE


def _hex(colour: Colour) -> str:
    blue, green, red = colour
    return f"#{red:02x}{green:02x}{blue:02x}"
