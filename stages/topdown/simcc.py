"""Reads joints off two rows of classes each, one for x and one for y.

SimCC: Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022; used by
RTMPose: Jiang et al., "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose", 2023, arXiv 2303.07399.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stages.topdown.heatmaps import swapped

__all__ = ["decode_simcc", "flip_back_simcc"]

Classes = NDArray[np.float32]


def decode_simcc(x: Classes, y: Classes, split_ratio: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Take the best class along each axis; of several that are equally good, the first.

    Args:
        x: Shape (n, k, columns), float32: how likely the joint is in each column of the network's input, finely split.
        y: Shape (n, k, rows), the same along y.
        split_ratio: Classes a pixel of the input.

    Returns:
        points: (x, y) in pixels of the input, shape (n, k, 2). Class -1, just outside the input, along both axes where
            the score is not above 0, as in RTMPose's own inference. Always finite.
        score: The lower one of the two best values as it is, shape (n, k). NaN stays NaN.
    """
    points = np.stack([x.argmax(axis=-1), y.argmax(axis=-1)], axis=-1).astype(np.float64)
    score = np.minimum(x.max(axis=-1), y.max(axis=-1))
    points[~(score > 0)] = -1
    return points / split_ratio, score


def flip_back_simcc(x: Classes, y: Classes, mirrored: Iterable[tuple[int, int]]) -> tuple[Classes, Classes]:
    """Turn the classes of a mirrored picture into those of the picture: reverse x, and swap left and right joints.

    Args:
        x: Shape (n, k, columns).
        y: Shape (n, k, rows).
        mirrored: Pairs of joints that change places, such as `Skeleton.mirrored`.
    """
    order = swapped(x.shape[1], mirrored)
    return x[:, order, ::-1], y[:, order]
