"""Which pixels a polygon touches, to the last one."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corners", "touched"]

Corners = NDArray[np.float64]
"""Of a polygon, (x, y) in pixels, shape (m, 2), m >= 3."""

_SLACK: Final = 1e-6
"""Pixels by which an edge is taken for thicker than it is: rounding must never uncover a pixel."""


def touched(corners: Corners, width: int, height: int) -> NDArray[np.bool_]:
    """Say which pixels of a picture have a point in common with a polygon, its border included.

    Pixel (x, y) is the closed square from (x, y) to (x + 1, y + 1), so the picture reaches from (0, 0) to
    (width, height). Drawing a polygon with OpenCV is not the same: that goes from centre to centre of pixels.

    Args:
        corners: In order, either way round; parts may lie outside the picture.
        width: Of the picture, pixels.
        height: Of the picture, pixels.

    Returns:
        Shape (height, width), True where the polygon is.
    """
    # An edge adds 1 where it begins to be in a row and takes it away behind its end; an edge that crosses the middle
    # of a row changes inside and outside. A pixel without an edge lies wholly inside or wholly outside.
    borders = np.zeros((height, width + 1), np.int32)
    turns = np.zeros((height, width + 1), np.bool_)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        upper, lower = (start, end) if start[1] <= end[1] else (end, start)
        _add_border(borders, upper, lower)
        _add_turns(turns, upper, lower)
    on_border = np.cumsum(borders, axis=1, out=borders)[:, :-1] > 0
    return np.asarray(on_border | np.logical_xor.accumulate(turns, axis=1)[:, :-1])


def _add_border(borders: NDArray[np.int32], upper: Corners, lower: Corners) -> None:
    """Count an edge in the pixels that it touches; `upper` and `lower` are its ends, shape (2,)."""
    height, width = borders.shape[0], borders.shape[1] - 1
    first, behind = np.clip([np.ceil(upper[1] - _SLACK) - 1, np.floor(lower[1] + _SLACK) + 1], 0, height).astype(int)
    rows = np.arange(first, behind)
    ends = np.array([_x_at(rows - _SLACK, upper, lower), _x_at(rows + 1 + _SLACK, upper, lower)])
    if upper[1] == lower[1]:
        ends = np.array([upper[:1], lower[:1]]).repeat(len(rows), axis=1)
    left, right = np.ceil(ends.min(axis=0) - _SLACK) - 1, np.floor(ends.max(axis=0) + _SLACK) + 1
    borders[rows, np.clip(left, 0, width).astype(int)] += 1
    borders[rows, np.clip(right, 0, width).astype(int)] -= 1


def _add_turns(turns: NDArray[np.bool_], upper: Corners, lower: Corners) -> None:
    """Note where an edge crosses the middle of a row; a corner on it belongs to the lower edge only."""
    height, width = turns.shape[0], turns.shape[1] - 1
    first, behind = np.clip(np.ceil([upper[1] - 0.5, lower[1] - 0.5]), 0, height).astype(int)
    rows = np.arange(first, behind)
    turns[rows, np.clip(np.floor(_x_at(rows + 0.5, upper, lower)), 0, width).astype(int)] ^= True


def _x_at(y: NDArray[np.floating], upper: Corners, lower: Corners) -> Corners:
    """Give the x of an edge at some y, shape (n,); beyond its ends, that of the end."""
    rise = float(lower[1] - upper[1])
    share = (np.clip(y, upper[1], lower[1]) - upper[1]) / rise if rise > 0 else np.zeros(len(y))
    return np.asarray(upper[0] + share * (lower[0] - upper[0]), np.float64)
