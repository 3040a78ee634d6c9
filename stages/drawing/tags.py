"""Where a name tag goes so that it hides no face and no other tag."""

import numpy as np
from numpy.typing import NDArray

from stages.geometry import intersections

__all__ = ["place"]

_HEAD = 0.22
"""Share of a box's height, from the top, in which the head is."""


def place(sizes: NDArray[np.intp], xyxy: NDArray[np.float32], width: int, height: int) -> NDArray[np.intp]:
    """Choose a place for the tag of each box: the first of those around it where it covers least.

    Args:
        sizes: Width and height of each tag, shape (n, 2), pixels.
        xyxy: Boxes, shape (n, 4), pixels.
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Returns:
        Upper left corners (x, y), shape (n, 2), pixels; inside the picture where the tag fits into it.
    """
    heads = xyxy + np.array((1, 1, -1, -1))  # touching is not covering
    heads[:, 3] -= (1 - _HEAD) * (xyxy[:, 3] - xyxy[:, 1])
    taken = heads
    corners = np.empty((len(xyxy), 2), np.intp)
    for row, (size, box) in enumerate(zip(sizes, xyxy.tolist(), strict=True)):
        spots = np.clip(_spots(*size.tolist(), *box), 0, np.maximum((width, height) - size, 0))
        tags = np.hstack((spots, spots + size))
        best = int(intersections(tags, taken).sum(axis=1).argmin())  # of equals, the first
        corners[row] = spots[best]
        taken = np.vstack((taken, tags[best]))
    return corners


def _spots(width: int, height: int, x1: float, y1: float, x2: float, y2: float) -> NDArray[np.float64]:
    """Give upper left corners around a box, in the order of taste: above, below, at the feet, beside the head."""
    left, right, above = x1, x2 - width, y1 - height
    spots = [(left, above), (right, above), (left, y2), (right, y2), (left, y2 - height), (x2, y1), (x1 - width, y1)]
    return np.round(spots)
