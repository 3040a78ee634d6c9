"""PCKh: how many joints of MPII are found to within half a head.

Andriluka et al., "2D Human Pose Estimation: New Benchmark and State of the Art Analysis", CVPR 2014, section 4; the
constants are those of its evaluation code, as the official HRNet evaluation uses them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import MPII_16
from stages.evaluation.measure import Metrics

__all__ = ["GROUPS", "pckh"]

GROUPS: Final = {
    "head": ("head_top",),
    "shoulder": ("left_shoulder", "right_shoulder"),
    "elbow": ("left_elbow", "right_elbow"),
    "wrist": ("left_wrist", "right_wrist"),
    "hip": ("left_hip", "right_hip"),
    "knee": ("left_knee", "right_knee"),
    "ankle": ("left_ankle", "right_ankle"),
}
"""The columns of published tables."""

_HEAD_SHARE: Final = 0.6
"""The head counts as so much of the diagonal of its box (SC_BIAS)."""
_NOT_IN_THE_MEAN: Final = ("pelvis", "thorax")
_THRESHOLD: Final = 0.5
_FINER: Final = {"mean@0.1": 0.1, "mean@0.11": 0.11}
"""The official code takes the 12th of 0, 0.01, 0.02 ..., which is 0.11, and prints it as Mean@0.1: published tables
hold that number. Both are given, by their names."""


def pckh(
    found: NDArray[np.float64], truth: NDArray[np.float64], visible: NDArray[np.bool_], diagonal: NDArray[np.float64]
) -> Metrics:
    """Measure joints.

    Args:
        found: (x, y) in pixels, shape (n, 16, 2), in the order of `MPII_16`.
        truth: As annotated, in the same pixels, shape (n, 16, 2).
        visible: Which joints are annotated, shape (n, 16).
        diagonal: Of the boxes of the heads, pixels, shape (n,).

    Returns:
        Per cent of the joints no further from the truth than half a head: of each of `GROUPS` (the mean of left and
        right), and of all but pelvis and thorax (`mean`, each joint counted once); `mean@0.1` and `mean@0.11` are of
        those no further than such a share of a head. None where nothing of it is annotated.
    """
    distance = np.linalg.norm(found - truth, axis=2) / (diagonal * _HEAD_SHARE)[:, None]
    counted = np.array([joint not in _NOT_IN_THE_MEAN for joint in MPII_16.joints]) & visible
    means = {name: _share(distance <= limit, counted) for name, limit in {"mean": _THRESHOLD, **_FINER}.items()}
    return {name: _group(distance <= _THRESHOLD, visible, joints) for name, joints in GROUPS.items()} | means


def _group(is_right: NDArray[np.bool_], visible: NDArray[np.bool_], joints: tuple[str, ...]) -> float | None:
    """Average over the joints of a group, as the tables do: each joint weighs the same, however often it is seen."""
    columns = [MPII_16.joints.index(joint) for joint in joints]
    shares = [_share(is_right[:, column], visible[:, column]) for column in columns]
    known = [share for share in shares if share is not None]
    return sum(known) / len(known) if known else None


def _share(is_right: NDArray[np.bool_], counted: NDArray[np.bool_]) -> float | None:
    number = int(counted.sum())
    return 100 * int((is_right & counted).sum()) / number if number else None
