"""How people hold themselves, read off their joints: pure numpy, one row a person, NaN where a joint is not seen.

Joints are found by name, so any skeleton that has shoulders and hips will do (COCO-17, MPII-16). Angles are those of
the picture: the camera is taken to be upright, and a body that points at the camera looks short, not tilted.

    torso      from the hips to the shoulders       upright 0 degrees, horizontal 90, head down 180
    thighs     from the hips to the knees           standing 0 degrees, on a chair 90
    long axis  from the shoulders to the ankles     standing 0 degrees, lying 90
"""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Frame, Instances

__all__ = ["TORSO", "Bodies", "tilt"]

TORSO: Final = 0.288
"""Hip to shoulder, as a share of the body's height: 0.818 - 0.530 (Drillis and Contini 1966, as in Winter,
"Biomechanics and Motor Control of Human Movement", fig. 4.1)."""
_THIGH: Final = 0.245
"""Hip to knee, the same: 0.530 - 0.285."""

_TRUNK: Final = (("left_hip", "left_shoulder"), ("right_hip", "right_shoulder"), ("pelvis", "thorax"))
"""Hips and shoulders count in pairs: one side's hip and the other side's shoulder would make a crooked torso."""
_SHORTEST_PX: Final = 1.0
"""A shorter torso has no direction."""

Floats = NDArray[np.float64]


class Bodies:
    """The people of one frame, as far as their joints tell.

    Args:
        people: n rows. Without joints, nothing is seen of anybody.
        frame: For its size.
        min_joint_score: A joint with less is not seen.
        edge: Share of the frame's width and height. A joint that close to the edge, or beyond it, is not seen either:
            networks put what is cut off there, with a good score.
    """

    def __init__(self, people: Instances, frame: Frame, min_joint_score: float, edge: float) -> None:
        """Look which joints are seen; a row of `predicted` joints has none, for nobody looked at them."""
        self._count = len(people)
        self._columns = {}
        self._joints = np.empty((self._count, 0, 2))
        if people.keypoints is None or people.keypoint_score is None or people.skeleton is None:
            return
        size = np.array([frame.width, frame.height])
        inside = ((people.keypoints > edge * size) & (people.keypoints < (1 - edge) * size)).all(axis=2)
        seen = inside & (people.keypoint_score >= min_joint_score)
        if people.predicted is not None:
            seen &= ~people.predicted[:, None]
        self._joints = np.where(seen[..., None], people.keypoints.astype(np.float64), np.nan)
        self._columns = {name: column for column, name in enumerate(people.skeleton.joints)}

    def joint(self, name: str) -> Floats:
        """Give a joint of everybody, (x, y) in pixels, shape (n, 2); NaN where it is not seen or not known."""
        column = self._columns.get(name)
        return np.full((self._count, 2), np.nan) if column is None else self._joints[:, column]

    @cached_property
    def hips(self) -> Floats:
        """Middle of the hips, (x, y) in pixels, shape (n, 2)."""
        hips: Floats = self._trunk[0]
        return hips

    @cached_property
    def shoulders(self) -> Floats:
        """Middle of the shoulders, (x, y) in pixels, shape (n, 2)."""
        shoulders: Floats = self._trunk[1]
        return shoulders

    @cached_property
    def ankles(self) -> Floats:
        """Middle of the ankles that are seen, (x, y) in pixels, shape (n, 2)."""
        return _mean([self.joint("left_ankle"), self.joint("right_ankle")])

    @cached_property
    def torso_px(self) -> Floats:
        """Length of the torso in pixels, shape (n,); NaN where it is not seen, or too short to have a direction."""
        length = np.linalg.norm(self.shoulders - self.hips, axis=1)
        return np.where(length >= _SHORTEST_PX, length, np.nan)

    @cached_property
    def torso_degrees(self) -> Floats:
        """Angle of the torso from upright, 0..180, shape (n,)."""
        return np.where(np.isnan(self.torso_px), np.nan, _degrees_from_up(self.shoulders - self.hips))

    @cached_property
    def thigh_degrees(self) -> Floats:
        """Angle of the straighter thigh from hanging down, 0..180, shape (n,), told by how far it reaches down.

        So thighs that point at the camera count as those that are seen from the side. How far a hanging thigh would
        reach is taken from the torso, or from the shin below it where that reaches less far: a camera that looks down
        sees both short, and somebody on a chair has shins that hang. NaN where no ankle is seen: without it, a steep
        look at somebody who stands and a chair are the same.
        """
        length = self.torso_px * _THIGH / TORSO
        sides = [self._thigh_cosine(side, length) for side in ("left", "right")]
        degrees: Floats = np.degrees(np.arccos(np.clip(np.fmax(*sides), -1.0, 1.0)))
        return degrees

    def _thigh_cosine(self, side: str, length: Floats) -> Floats:
        hip, knee, ankle = (self.joint(f"{side}_{name}")[:, 1] for name in ("hip", "knee", "ankle"))
        reach: Floats = (knee - hip) / np.maximum(np.minimum(length, ankle - knee), _SHORTEST_PX)
        return reach

    @cached_property
    def axis_degrees(self) -> Floats:
        """Tilt of the body's long axis, 0 (vertical) to 90 (horizontal), shape (n,).

        Where no ankle is seen, that of the thighs in the picture stands for it: of somebody who bends over they hang.
        """
        knees = _mean([self.joint("left_knee"), self.joint("right_knee")])
        whole, thighs = _degrees_from_up(self.shoulders - self.ankles), _degrees_from_up(self.hips - knees)
        return tilt(np.where(np.isnan(whole), thighs, whole))

    @cached_property
    def hand_rises(self) -> Floats:
        """Height of the left and the right wrist above their shoulders, in lengths of the torso, shape (n, 2)."""
        rises = [
            np.where(np.isnan(own := self.joint(f"{side}_shoulder")[:, 1]), self.shoulders[:, 1], own)
            - self.joint(f"{side}_wrist")[:, 1]
            for side in ("left", "right")
        ]
        return np.column_stack(rises) / self.torso_px[:, None]

    @cached_property
    def _trunk(self) -> Floats:
        """Hips and shoulders, shape (2, n, 2), from the pairs of which both are seen."""
        pairs = np.array([[self.joint(hip), self.joint(shoulder)] for hip, shoulder in _TRUNK])
        whole = np.isfinite(pairs).all(axis=(1, 3))
        return _mean(np.where(whole[:, None, :, None], pairs, np.nan))


def tilt(degrees: Floats) -> Floats:
    """Turn angles from upright, 0..180, into 0 (vertical, either way up) to 90 (horizontal)."""
    return np.minimum(degrees, 180.0 - degrees)


def _degrees_from_up(vectors: Floats) -> Floats:
    """Measure vectors (x, y), shape (n, 2), against the picture's upward direction: 0..180, shape (n,)."""
    return np.degrees(np.arctan2(np.abs(vectors[:, 0]), -vectors[:, 1]))


def _mean(points: Floats | list[Floats]) -> Floats:
    """Average over the first axis what is not NaN; NaN where all of it is."""
    stacked = np.asarray(points)
    count = np.isfinite(stacked).sum(axis=0)
    return np.where(count > 0, np.nansum(stacked, axis=0) / np.maximum(count, 1), np.nan)
