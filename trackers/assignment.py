"""Who is who: how alike two sets of boxes or poses are, and the best one-to-one pairing. Pure functions."""

from typing import Literal

import numpy as np
from munkres import Munkres
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["Solver", "assign", "iou", "oks"]

Solver = Literal["scipy", "munkres"]
"""`scipy`: `linear_sum_assignment`, fast. `munkres`: the same optimum in pure Python, the reference it is tested by."""

Floats = NDArray[np.floating]


def iou(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Intersection over union of every box of `a` with every box of `b`.

    Args:
        a: Shape (n, 4), (x1, y1, x2, y2), half-open.
        b: Shape (m, 4), in the same pixels.

    Returns:
        Shape (n, m), 0..1. A box without area overlaps nothing, itself included: 0, never NaN.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    union = _area(a)[:, None] + _area(b)[None, :] - shared
    return _ratio(shared, union)


def oks(
    a: Floats, b: Floats, *, weight_a: Floats, weight_b: Floats, area: Floats, sigmas: Floats
) -> NDArray[np.float64]:
    """Object keypoint similarity of every pose of `a` with every pose of `b`.

    As COCO defines it (cocodataset.org/#keypoints-eval, section 1.3), with d the distance of joint i:

        OKS = sum_i w_i exp(-d_i^2 / (2 area (2 sigma_i)^2)) / sum_i w_i

    COCO's w_i is 1 for a joint that is labelled, else 0. Here it is the product of both weights, so visibilities 0 and
    1 give COCO's number, and scores let a joint count as far as both poses are sure of it.

    Args:
        a: Joints (x, y), shape (n, k, 2), pixels.
        b: Joints (x, y), shape (m, k, 2), pixels.
        weight_a: Score or visibility of the joints of `a`, shape (n, k), 0..1.
        weight_b: Score or visibility of the joints of `b`, shape (m, k), 0..1.
        area: Of the people of `a`, shape (n,), px^2; or of each pair, shape (n, m), where no side is the truth.
        sigmas: Spread of each joint, shape (k,): `Skeleton.sigmas`.

    Returns:
        Shape (n, m), 0..1; 0 where two poses have no joint in common.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    areas = np.maximum(area, np.finfo(np.float64).eps)
    of_pairs = areas if areas.ndim == 2 else areas[:, None]
    spread = 2 * of_pairs[:, :, None] * (2 * np.asarray(sigmas)) ** 2
    distance = ((a[:, None] - b[None]) ** 2).sum(axis=3)
    weight = np.asarray(weight_a, np.float64)[:, None] * np.asarray(weight_b, np.float64)[None]
    total = weight.sum(axis=2)
    alike = (weight * np.exp(-distance / spread)).sum(axis=2)
    return _ratio(alike, total)


def assign(
    cost: Floats, max_cost: float, *, solver: Solver = "scipy"
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pair rows with columns, one to one, so that the sum of `max_cost - cost` over the pairs is greatest.

    The gate comes first: a pair whose cost is not below `max_cost` can neither be matched nor take a partner from
    another pair. It is given the cost `max_cost` exactly, which is what staying alone costs, so it changes no sum; a
    large number in its place would make the solver match as many pairs as it can, however bad.

    Args:
        cost: Shape (n, m); infinity forbids a pair.
        max_cost: Finite.
        solver: Which implementation; both find an optimum, and may differ in which of several.

    Returns:
        Matched (row, column) pairs, shape (p, 2), by row; rows left alone, shape (n - p,); columns left alone,
        shape (m - p,); both ascending.

    Raises:
        ValueError: A cost is NaN or minus infinity.
    """
    if not (cost > -np.inf).all():
        msg = "a cost must be a number or +infinity, got NaN or -infinity: check the boxes it was computed from"
        raise ValueError(msg)
    pairs = _solve(np.minimum(cost, max_cost), solver)
    matched = pairs[cost[pairs[:, 0], pairs[:, 1]] < max_cost]
    rows, columns = (np.delete(np.arange(size), matched[:, axis]) for axis, size in enumerate(cost.shape))
    return matched, rows, columns


def _solve(cost: NDArray[np.float64], solver: Solver) -> NDArray[np.int64]:
    """Give the (row, column) pairs of least total cost, shape (min(n, m), 2), by row."""
    if cost.size == 0:
        return np.empty((0, 2), np.int64)
    if solver == "munkres":
        return np.array(sorted(Munkres().compute(cost.tolist())), np.int64)
    return np.stack(linear_sum_assignment(cost), axis=1)


def _area(xyxy: Floats) -> NDArray[np.float64]:
    """Area of boxes, shape (n,), px^2; 0 for one that is inside out."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0.0).astype(np.float64)
    return size[:, 0] * size[:, 1]


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; 0 where the whole is 0."""
    ratio = np.zeros_like(part)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
