"""How far points are inside a polygon, or to the right of a line: pure numpy, in pixels."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BORDER_PX", "depths_inside", "rightward"]

BORDER_PX: Final = 1e-6
"""What is so close to a border is on it, whatever the rounding says."""

Floats = NDArray[np.float64]


def depths_inside(points: Floats, polygon: Floats) -> Floats:
    """Measure how far points are from the border of a polygon.

    Args:
        points: Shape (n, 2).
        polygon: Corners, shape (m, 2), m >= 3; it does not cross itself.

    Returns:
        Shape (n,): positive inside, negative outside, 0 on the border.
    """
    start, end = polygon, np.roll(polygon, -1, axis=0)
    along = end - start
    offset = points[:, None] - start  # shape (n, m, 2)
    share = (offset * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    to_edge = offset - np.clip(share, 0.0, 1.0)[..., None] * along
    distance = np.sqrt((to_edge**2).sum(axis=2)).min(axis=1)
    return np.asarray(np.where(_are_inside(points, start, end), distance, -distance))


def _are_inside(points: Floats, start: Floats, end: Floats) -> NDArray[np.bool_]:
    """Count the edges that a ray to the right of each point crosses: odd is inside."""
    x, y = points[:, :1], points[:, 1:]
    spans = (start[:, 1] > y) != (end[:, 1] > y)
    rise = end[:, 1] - start[:, 1]
    crossing_x = start[:, 0] + (y - start[:, 1]) * (end[:, 0] - start[:, 0]) / np.where(rise == 0, 1.0, rise)
    return np.asarray((spans & (x < crossing_x)).sum(axis=1) % 2 == 1)


def rightward(points: Floats, a: Floats, b: Floats) -> Floats:
    """Measure how far points are to the right of the line through a and b, as one who walks from a to b sees it.

    Args:
        points: Shape (n, 2).
        a: Shape (2,).
        b: Shape (2,), another point than a.

    Returns:
        Shape (n,): positive to the right as seen in the picture (y points down), negative to the left.
    """
    (dx, dy), offset = b - a, points - a
    return np.asarray((dx * offset[:, 1] - dy * offset[:, 0]) / np.hypot(dx, dy))
