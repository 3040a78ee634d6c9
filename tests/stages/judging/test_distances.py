"""Distances to polygons and lines, against OpenCV and by turning the picture."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.judging.distances import depths_inside, rightward

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], np.float64)
NOTCHED = np.array([[0, 0], [10, 0], [10, 10], [5, 2], [0, 10]], np.float64)

coordinates = st.integers(-1000, 1000).map(float)
points = st.tuples(coordinates, coordinates)


@pytest.mark.parametrize(
    ("point", "depth"),
    [
        pytest.param((5, 5), 5, id="middle"),
        pytest.param((5, 9), 1, id="near an edge"),
        pytest.param((5, 12), -2, id="beyond an edge"),
        pytest.param((13, 14), -5, id="beyond a corner"),
        pytest.param((10, 5), 0, id="on an edge"),
        pytest.param((0, 0), 0, id="on a corner"),
        pytest.param((-3, 10), -3, id="level with an edge"),
    ],
)
def test_depth_in_a_square(point: tuple[float, float], depth: float) -> None:
    for polygon in (SQUARE, SQUARE[::-1]):
        assert depths_inside(np.array([point], np.float64), polygon) == pytest.approx([depth])


def test_a_notch_is_outside() -> None:
    assert depths_inside(np.array([[5.0, 6.0], [1.0, 6.0]]), NOTCHED) == pytest.approx([-20 / math.sqrt(89), 1.0])


def test_nobody_has_no_depth() -> None:
    assert depths_inside(np.empty((0, 2)), SQUARE).shape == (0,)
    assert rightward(np.empty((0, 2)), SQUARE[0], SQUARE[1]).shape == (0,)


@st.composite
def stars(draw: st.DrawFn) -> list[tuple[float, float]]:
    """Polygons around the middle that do not cross themselves: corners in order of their angle."""
    radii = draw(st.lists(st.integers(20, 900), min_size=3, max_size=9))
    turns = [2 * math.pi * i / len(radii) for i in range(len(radii))]
    return [(round(r * math.cos(a)), round(r * math.sin(a))) for r, a in zip(radii, turns, strict=True)]


@given(stars(), st.lists(points, min_size=1, max_size=8))
def test_depth_agrees_with_opencv(star: list[tuple[float, float]], where: list[tuple[float, float]]) -> None:
    contour = np.array(star, np.float32)
    expected = [cv2.pointPolygonTest(contour, point, measureDist=True) for point in where]
    assert depths_inside(np.array(where), np.array(star)) == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize(
    ("a", "b", "point", "distance"),
    [
        pytest.param((0, 0), (10, 0), (5, 3), 3, id="walking right, below is right"),
        pytest.param((10, 0), (0, 0), (5, 3), -3, id="walking left, below is left"),
        pytest.param((0, 10), (0, 0), (2, 5), 2, id="walking up, right is right"),
        pytest.param((0, 0), (10, 0), (99, -4), -4, id="beyond the end"),
        pytest.param((0, 0), (10, 0), (7, 0), 0, id="on the line"),
    ],
)
def test_right_is_as_seen_in_the_picture(
    a: tuple[float, float], b: tuple[float, float], point: tuple[float, float], distance: float
) -> None:
    assert rightward(np.array([point], np.float64), np.array(a, np.float64), np.array(b, np.float64)) == pytest.approx(
        [distance]
    )


@given(points, points, points)
def test_the_way_back_has_the_sides_swapped(
    a: tuple[float, float], b: tuple[float, float], point: tuple[float, float]
) -> None:
    if a != b:
        there = rightward(np.array([point]), np.array(a), np.array(b))
        back = rightward(np.array([point]), np.array(b), np.array(a))
        assert there == pytest.approx(-back, abs=1e-6)
