"""The joints that a data set names: which change places in a mirror, which are of the lower body."""

import re
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17, MPII_16, Skeleton

__all__ = ["joint_weights", "lower_body", "skeleton_of"]

_LOWER: Final = re.compile(r"hip|pelvis|knee|ankle|foot|feet|heel|toe", re.IGNORECASE)
_SIDES: Final = (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"))
_LETTERS: Final = re.compile(r"(?<![A-Za-z])([lL])(?![A-Za-z])")
"""A side that is a word of one letter, as in `l_knee` or `Knee.L`."""
_UNKNOWN_SIGMA: Final = 0.1
"""Spread of a joint that neither COCO nor MPII has; the same as in `pipeline.skeletons`."""


def skeleton_of(joints: Sequence[str], bones: Iterable[tuple[int, int]]) -> Skeleton:
    """Make a skeleton of what a file says of its joints.

    Mirror pairs are told by the names: `left_knee` and `right_knee`, `LeftKnee` and `RightKnee`, `l_knee` and `r_knee`.
    A joint that COCO or MPII has, by its name, is as uncertain as there.

    Args:
        joints: Names in the order of the annotations, at least one.
        bones: Pairs of indices from 0.

    Returns:
        `COCO_17` or `MPII_16` itself where the names are theirs.
    """
    for known in (COCO_17, MPII_16):
        if tuple(joints) == known.joints:
            return known
    places = {name: place for place, name in enumerate(joints)}
    mirrored = [(place, places[other]) for name, place in places.items() if (other := _across(name)) in places]
    spreads = (dict(zip(known.joints, known.sigmas, strict=True)) for known in (MPII_16, COCO_17))
    sigmas = reduce(or_, spreads)  # where both have a joint, COCO's, which are measured
    return Skeleton(
        name=f"joints-{len(joints)}",
        joints=tuple(joints),
        bones=tuple(bones),
        mirrored=tuple(mirrored),
        sigmas=tuple(sigmas.get(name, _UNKNOWN_SIGMA) for name in joints),
    )


def _across(name: str) -> str | None:
    """Name the right joint that belongs to a left one; None for any other."""
    for left, right in _SIDES:
        if left in name:
            return name.replace(left, right, 1)
    if letter := _LETTERS.search(name):
        return name[: letter.start()] + {"l": "r", "L": "R"}[letter[1]] + name[letter.end() :]
    return None


def lower_body(skeleton: Skeleton) -> NDArray[np.bool_]:
    """Tell which joints are hips or below, shape (k,), by their names; none where the names do not tell."""
    return np.array([bool(_LOWER.search(joint)) for joint in skeleton.joints])


def joint_weights(skeleton: Skeleton, weights: dict[str, float]) -> NDArray[np.float32]:
    """Say how much each joint counts, shape (k,): 1, or what is given.

    Args:
        skeleton: The joints.
        weights: By name of a joint; or of what comes behind its side: `wrist` means both.

    Raises:
        ConfigError: No joint is called so.
    """
    parts = [joint.removeprefix("left_").removeprefix("right_") for joint in skeleton.joints]
    if strangers := sorted(weights.keys() - {*parts, *skeleton.joints}):
        msg = (
            f"target.joint_weights: no joint is called '{strangers[0]}'; {skeleton.name} has"
            f" {', '.join(skeleton.joints)}"
        )
        raise ConfigError(msg)
    chosen = (weights.get(joint, weights.get(part, 1.0)) for joint, part in zip(skeleton.joints, parts, strict=True))
    return np.array(list(chosen), np.float32)
