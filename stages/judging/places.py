"""Points and polygons of a picture, as a configuration gives them.

A place is in fractions of the picture where all its values are at most 1: (0, 0) is the top left corner, (1, 1) the
bottom right one, whatever the size of the frame. Otherwise it is in pixels of the frame. One place never mixes both.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, FiniteFloat

from pipeline.types import Frame

__all__ = ["Point", "Polygon", "in_pixels", "pixel_points"]

Point = tuple[FiniteFloat, FiniteFloat]
"""(x, y), x to the right and y down."""

_THINNEST: Final = 1e-9
"""A polygon whose width is a smaller share of its length has no area: that much is rounding."""


def in_pixels(place: Sequence[Point], frame: Frame) -> NDArray[np.float64]:
    """Give the points of one place in pixels of a frame, shape (m, 2)."""
    points = np.array(place, np.float64)
    return points * [frame.width, frame.height] if points.max() <= 1 else points


def pixel_points(place: Sequence[Point], frame: Frame) -> tuple[Point, ...]:
    """Give the points of one place in pixels of a frame, as plain numbers."""
    return tuple((x, y) for x, y in in_pixels(place, frame).tolist())


def _checked(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Refuse what is no polygon; drop a last corner that only closes it."""
    polygon = corners[:-1] if len(corners) > 1 and corners[0] == corners[-1] else corners
    shown = [list(corner) for corner in corners]
    if len(set(polygon)) < 3:
        msg = f"a polygon must have at least 3 different corners [x, y], got {len(set(polygon))}: {shown}"
        raise ValueError(msg)
    if _is_flat(polygon):
        msg = f"a polygon must have an area, but these corners lie on one line: {shown}; move one of them away from it"
        raise ValueError(msg)
    if (edges := _crossing_edges(polygon)) is not None:
        first, second = (f"{list(start)} - {list(end)}" for start, end in edges)
        msg = (
            f"a polygon must not cross or touch itself, but its edges {first} and {second} meet: {shown}; "
            "give the corners in the order in which one walks around it, each one once"
        )
        raise ValueError(msg)
    return polygon


Polygon = Annotated[tuple[Point, ...], AfterValidator(_checked)]
"""Corners in the order in which one walks around it, either way round; it is closed by itself. In fractions of the
picture where all values are at most 1, otherwise in pixels."""

_Edge = tuple[Point, Point]


def _is_flat(polygon: Sequence[Point]) -> bool:
    points = np.array(polygon, np.float64)
    extent = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(extent[1] <= _THINNEST * extent[0])


def _crossing_edges(polygon: Sequence[Point]) -> tuple[_Edge, _Edge] | None:
    """Find two edges that share a point although they are no neighbours."""
    count = len(polygon)
    edges = [(polygon[i], polygon[(i + 1) % count]) for i in range(count)]
    for i, j in combinations(range(count), 2):
        if j - i not in {1, count - 1} and _meet(edges[i], edges[j]):
            return edges[i], edges[j]
    return None


def _meet(first: _Edge, second: _Edge) -> bool:
    sides = [_side(first, second[0]), _side(first, second[1]), _side(second, first[0]), _side(second, first[1])]
    if sides[0] * sides[1] < 0 and sides[2] * sides[3] < 0:
        return True
    return any(
        side == 0 and _is_between(edge, point)
        for side, edge, point in zip(sides, (first, first, second, second), (*second, *first), strict=True)
    )


def _side(edge: _Edge, point: Point) -> float:
    """Say on which side of an edge's line a point lies: -1, 1, or 0 on it."""
    (ax, ay), (bx, by) = edge
    return float(np.sign((bx - ax) * (point[1] - ay) - (by - ay) * (point[0] - ax)))


def _is_between(edge: _Edge, point: Point) -> bool:
    """Tell whether a point on an edge's line is on the edge."""
    return all(min(a, b) <= value <= max(a, b) for a, b, value in zip(*edge, point, strict=True))
