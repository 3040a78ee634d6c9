"""Which joints a pose has: names, bones, mirror pairs, and the spread of each joint that OKS needs."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

__all__ = ["COCO_17", "MPII_16", "Skeleton", "skeleton_for", "skeleton_of"]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints of one pose format, in the order of its keypoint rows.

    Raises:
        ValueError: The tables do not fit together.
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    """Pairs of joint indices that are drawn as a line."""
    mirrored: tuple[tuple[int, int], ...]
    """Pairs (left, right) that change places when the picture is flipped."""
    sigmas: tuple[float, ...]
    """Standard deviation of human annotators per joint, relative to the object's scale."""

    def __post_init__(self) -> None:
        if fault := next(_faults(self), None):
            msg = f"the skeleton '{self.name}' is none: {fault}"
            raise ValueError(msg)

    def __len__(self) -> int:
        """Count the joints."""
        return len(self.joints)


def _faults(skeleton: Skeleton) -> Iterator[str]:
    count = len(skeleton)
    if not count or len({*skeleton.joints}) < count:
        yield f"it needs joints with names of their own, got {', '.join(skeleton.joints) or 'none'}"
    for name, pairs in (("bones", skeleton.bones), ("mirrored", skeleton.mirrored)):
        if wrong := [pair for pair in pairs if pair[0] == pair[1] or not all(0 <= end < count for end in pair)]:
            yield f"{name} must be pairs of two of its joints, 0 to {count - 1}, got {wrong[0]}"
    paired = list(chain.from_iterable(skeleton.mirrored))
    if len({*paired}) < len(paired):
        yield f"a joint can change places with one other, got mirrored {skeleton.mirrored}"
    if len(skeleton.sigmas) != count or not all(0 < sigma < float("inf") for sigma in skeleton.sigmas):
        yield f"it needs {count} sigmas above 0, one a joint, got {skeleton.sigmas}"


COCO_17 = Skeleton(
    name="coco-17",
    joints=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    bones=(
        (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9),
        (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    mirrored=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
        0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip
"""COCO person keypoints; sigmas from the COCO keypoint evaluation (cocodataset.org/#keypoints-eval, section 1.3)."""

MPII_16 = Skeleton(
    name="mpii-16",
    joints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "upper_neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    bones=(
        (0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8),
        (8, 9), (7, 12), (7, 13), (12, 11), (11, 10), (13, 14), (14, 15),
    ),
    mirrored=((5, 0), (4, 1), (3, 2), (15, 10), (14, 11), (13, 12)),
    sigmas=(
        0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.107, 0.079,
        0.026, 0.026, 0.062, 0.072, 0.079, 0.079, 0.072, 0.062,
    ),
)  # fmt: skip
"""MPII human pose, in the order of its annotations. MPII is measured by PCKh and states no sigmas: these are COCO's for
the joints that both have; pelvis as the hips, thorax as the shoulders, neck and top of the head as the nose."""

_KNOWN: Final = (COCO_17, MPII_16)
_SIGMAS: Final = {
    joint: sigma for known in reversed(_KNOWN) for joint, sigma in zip(known.joints, known.sigmas, strict=True)
}
"""By name of the joint; where both have it, COCO's, which are measured."""
_UNKNOWN_SIGMA: Final = 0.067
"""Spread of a joint that neither has: the mean of COCO's 17, so that poses of unknown joints are on the whole judged as
strictly as people are."""

_SIDES: Final = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_LETTERS: Final = re.compile(r"(?<![A-Za-z])([lL])(?![A-Za-z])")
"""A side that is a word of one letter, as in `l_knee` or `Knee.L`."""


def skeleton_for(joint_count: int) -> Skeleton:
    """Guess the skeleton of a network that only says how many joints it finds.

    Args:
        joint_count: At least 1. 17 is COCO, 16 is MPII; any other count gets numbered joints without bones and mirror
            pairs, all of the same sigma.
    """
    guesses = {len(skeleton): skeleton for skeleton in _KNOWN}
    return guesses.get(joint_count) or skeleton_of([f"joint_{number}" for number in range(joint_count)])


def skeleton_of(
    joints: Sequence[str], bones: Iterable[tuple[int, int]] = (), sigmas: Sequence[float] | None = None
) -> Skeleton:
    """Make a skeleton of what a data set says of its joints.

    Mirror pairs are told by the names: `left_knee` and `right_knee`, `LeftKnee` and `RightKnee`, `l_knee` and `r_knee`.

    Args:
        joints: Names in the order of the annotations, at least one.
        bones: Pairs of indices from 0.
        sigmas: Spread of each joint. None: a joint that COCO or MPII has, by its name, is as spread as there; any other
            as COCO's are in the mean.

    Returns:
        `COCO_17` or `MPII_16` itself where the names are theirs and no other sigmas are given.

    Raises:
        ValueError: Two joints have one name, bones or sigmas are not those of the joints.
    """
    spreads = tuple(_SIGMAS.get(name, _UNKNOWN_SIGMA) for name in joints) if sigmas is None else tuple(sigmas)
    for known in _KNOWN:
        if (tuple(joints), spreads) == (known.joints, known.sigmas):
            return known
    places = {name: place for place, name in enumerate(joints)}
    mirrored = [(place, places[other]) for name, place in places.items() if (other := _across(name)) in places]
    return Skeleton(f"joints-{len(joints)}", tuple(joints), tuple(bones), tuple(mirrored), spreads)


def _across(name: str) -> str | None:
    """Name the right joint that belongs to a left one; None for any other."""
    for left, right in _SIDES:
        if left in name:
            return name.replace(left, right, 1)
    if letter := _LETTERS.search(name):
        return name[: letter.start()] + {"l": "r", "L": "R"}[letter[1]] + name[letter.end() :]
    return None
