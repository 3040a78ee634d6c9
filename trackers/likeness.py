"""How well boxes lie on each other when their places are not exact: pure functions."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_likeness"]

Floats = NDArray[np.float64]


def box_likeness(known: Floats, seen: Floats, *, margin: Floats | None = None, height_weight: float = 0.0) -> Floats:
    """IoU of every known box with every seen one, after both have grown, times how well their heights agree.

    To grow the boxes lets those be alike that miss each other by a little (C-BIoU, Yang et al., WACV 2023). The height
    tells people apart who stand behind one another, where the camera looks down (Hybrid-SORT, Yang et al., AAAI 2024).

    Args:
        known: Shape (n, 4), (x1, y1, x2, y2).
        seen: Shape (m, 4), in the same pixels.
        margin: By how much both boxes of a pair grow on each side, in x and y, px: shape (n, 2). None: not at all.
        height_weight: Exponent of the agreement of heights; 0 leaves it out.

    Returns:
        Shape (n, m), 0..1; 0 for a pair without area, never NaN.
    """
    grow = np.zeros((len(known), 1, 2)) if margin is None else margin[:, None, :]
    inner = np.minimum(known[:, None, 2:], seen[None, :, 2:]) - np.maximum(known[:, None, :2], seen[None, :, :2])
    shared = np.maximum(inner + 2 * grow, 0.0)
    area = _area(known[:, None, 2:] - known[:, None, :2], grow) + _area((seen[:, 2:] - seen[:, :2])[None], grow)
    overlap = shared[..., 0] * shared[..., 1]
    likeness = _ratio(overlap, area - overlap)
    if height_weight:
        outer = np.maximum(known[:, None, 3], seen[None, :, 3]) - np.minimum(known[:, None, 1], seen[None, :, 1])
        likeness *= _ratio(shared[..., 1], outer + 2 * grow[..., 1]) ** height_weight
    return likeness


def _area(size: Floats, grow: Floats) -> Floats:
    """Area of boxes that have grown; 0 for one that is inside out."""
    sides = np.maximum(size + 2 * grow, 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Divide; 0 where the whole is 0."""
    ratio = np.zeros(np.broadcast_shapes(part.shape, whole.shape))
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
