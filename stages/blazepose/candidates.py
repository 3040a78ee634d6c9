"""Reads the output of the person detector: where in a picture somebody may be.

The detector is a single-shot one (SSD) with fixed anchors on grids of 28, 14 and 7 cells. For every anchor it gives a
logit, a box around face and shoulders, and four points; two of them say where the body is: the middle of the hips,
and a point on the circle about it that holds the whole body ("Vitruvian man", BlazePose section 3.1).
"""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from stages.blazepose.network import Interface
from stages.geometry import Region, areas, intersections

__all__ = ["INTERFACE", "body_region", "decode", "merge"]

INTERFACE: Final = Interface(side=224, value_range=(-1.0, 1.0), outputs=((1, 2254, 12), (1, 2254, 1)))
"""For every anchor, box and points, and a logit."""

_GRIDS: Final = ((8, 2), (16, 2), (32, 6))
"""Stride in pixels and anchors a cell. Three layers of stride 32 with two anchors each lie cell by cell."""
_PADDING: Final = 1.25
"""The landmark network wants this much more than the circle about the body."""
_SAME_PERSON_IOU: Final = 0.3
"""Boxes that overlap by more are of one person (BlazeFace, arXiv 1907.05047, section 3.4, blends likewise)."""


@cache
def _anchors() -> NDArray[np.float32]:
    """Centres (x, y) of the anchors in input pixels, shape (2254, 1, 2), in the order of the outputs."""
    layers = []
    for stride, per_cell in _GRIDS:
        centres = np.arange(stride / 2, INTERFACE.side, stride, dtype=np.float32)
        x, y = np.meshgrid(centres, centres)
        layers.append(np.repeat(np.stack([x, y], axis=-1).reshape(-1, 1, 2), per_cell, axis=0))
    return np.concatenate(layers)


def decode(
    regressors: NDArray[np.float32], logits: NDArray[np.float32], minimum_score: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Take the anchors that see somebody.

    Args:
        regressors: Shape (2254, 12): box centre and points relative to the anchor, box size, input pixels.
        logits: Shape (2254, 1).
        minimum_score: 0..1, exclusive.

    Returns:
        Points (x, y) in input pixels, shape (n, 4, 2): the corners of the box, the middle of the hips, the point on
        the circle about the body; and their scores, shape (n,).
    """
    rows = np.flatnonzero(logits[:, 0] > logit(minimum_score))
    pairs = regressors[rows].reshape(-1, 6, 2)
    half = np.abs(pairs[:, 1:2]) / 2
    points = _anchors()[rows] + np.concatenate([pairs[:, :1] - half, pairs[:, :1] + half, pairs[:, 2:4]], axis=1)
    return points, expit(logits[rows, 0])


def merge(points: NDArray[np.float64], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Blend the candidates of one person into one: mean of the overlapping ones, weighted by score.

    Args:
        points: Shape (n, 4, 2): as of `decode`, but in pixels of the picture.
        scores: Shape (n,).

    Returns:
        Points of the same meaning, shape (m, 4, 2), best first.
    """
    boxes = points[:, :2].reshape(-1, 4)
    area = areas(boxes)
    left = np.argsort(-scores, kind="stable")
    merged = []
    while len(left):
        best = left[0]
        shared = intersections(boxes[best : best + 1], boxes[left])[0]
        same = shared > _SAME_PERSON_IOU * (area[best] + area[left] - shared)
        same[0] = True  # also when its box is empty
        merged.append(np.average(points[left[same]], axis=0, weights=scores[left[same]]))
        left = left[~same]
    return np.array(merged).reshape(-1, 4, 2)


def body_region(hips: NDArray[np.float64], rim: NDArray[np.float64]) -> Region:
    """Make the square region that the landmark network wants: the body upright in it, hips in the middle.

    Args:
        hips: Middle of the hips (x, y), pixels.
        rim: Point on the circle about the body, in the direction of the head, pixels.
    """
    dx, dy = (float(value) for value in rim - hips)
    side = max(2 * math.hypot(dx, dy) * _PADDING, 1.0)  # a region without area has no way back to the picture
    return Region(float(hips[0]), float(hips[1]), side, side, math.atan2(dx, -dy))
