"""How poses of given boxes are ranked, and which of two that are alike is kept."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trackers.assignment import oks

__all__ = ["MOST_OKS", "SEEN", "oks_nms", "rescore"]

SEEN: Final = 0.2
"""A joint whose heat map does not rise above this says nothing about the pose (official setting IN_VIS_THRE)."""
MOST_OKS: Final = 0.9
"""Two poses more alike than this are one person (official setting OKS_THRE)."""


def rescore(box_score: ArrayLike, keypoint_score: ArrayLike, seen: float = SEEN) -> NDArray[np.float64]:
    """Score poses: the mean of their joints' scores above `seen`, times the score of the box.

    Args:
        box_score: Shape (n,).
        keypoint_score: Shape (n, k).
        seen: Joints at or below it do not count.

    Returns:
        Shape (n,); 0 where no joint counts.
    """
    joints = np.asarray(keypoint_score, np.float64)
    counted = joints > seen
    total, number = np.where(counted, joints, 0.0).sum(axis=1), counted.sum(axis=1)
    return np.asarray(total / np.maximum(number, 1) * np.asarray(box_score, np.float64))


def oks_nms(
    keypoints: ArrayLike, score: ArrayLike, area: ArrayLike, sigmas: ArrayLike, most: float = MOST_OKS
) -> NDArray[np.intp]:
    """Leave out poses that say again what a better one said: the best is kept, what is too like it goes, and so on.

    Every joint counts, however sure. The size that OKS is relative to is the mean of both areas: neither is the truth.

    Args:
        keypoints: Shape (n, k, 2), pixels.
        score: Shape (n,).
        area: Of the padded boxes, shape (n,), px^2.
        sigmas: Spread of each joint, shape (k,).
        most: Poses with a greater OKS than this are alike.

    Returns:
        Rows that are kept, best first; of equal scores the earlier row first.
    """
    points, areas = np.asarray(keypoints, np.float64), np.asarray(area, np.float64)
    weight = np.ones(points.shape[:2])
    pair_area = (areas[:, None] + areas[None]) / 2
    alike = oks(points, points, weight_a=weight, weight_b=weight, area=pair_area, sigmas=np.asarray(sigmas)) > most
    order = np.argsort(-np.asarray(score, np.float64), kind="stable")
    kept: list[int] = []
    for row in order:
        if not alike[row, kept].any():
            kept.append(int(row))
    return np.array(kept, np.intp)
