"""Polygons and points: what a configuration may give, and where it lies in a frame."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import make_frame
from pydantic import TypeAdapter, ValidationError

from pipeline.types import Frame, HostPixels
from stages.judging.places import Point, Polygon, in_pixels

POLYGON: TypeAdapter[tuple[Point, ...]] = TypeAdapter(Polygon)
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def frame(width: int, height: int) -> Frame:
    return replace(make_frame(), pixels=HostPixels(np.zeros((height, width, 3), np.uint8)))


@pytest.mark.parametrize(
    ("corners", "complaint"),
    [
        pytest.param([], "at least 3 different corners.*got 0", id="nothing"),
        pytest.param([[1, 2]], "at least 3 different corners.*got 1", id="a point"),
        pytest.param([[0, 0], [5, 5]], "at least 3 different corners.*got 2", id="a line"),
        pytest.param([[0, 0], [5, 5], [0, 0]], "at least 3 different corners.*got 2", id="a closed line"),
        pytest.param([[0, 0], [5, 5], [0, 0], [5, 5]], "at least 3 different corners.*got 2", id="a line twice"),
        pytest.param([[0, 0], [5, 5], [9, 9]], "have an area", id="on one line"),
        pytest.param([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]], "have an area", id="on one line but for rounding"),
        pytest.param([[0, 0], [1, 1], [1, 0], [0, 1]], "cross or touch itself", id="bow tie"),
        pytest.param([[0, 0], [4, 0], [4, 4], [2, 0], [0, 4]], "cross or touch itself", id="corner on an edge"),
        pytest.param([[0, 0], [2, 0], [1, 0], [1, 1]], "cross or touch itself", id="back along its own edge"),
        pytest.param([[0, 0], [0, 0], [4, 0], [4, 4]], "cross or touch itself.*each one once", id="corner twice"),
        pytest.param([[0, 0], [2, 2], [4, 0], [4, 4], [2, 2], [0, 4]], "cross or touch itself", id="pinched"),
        pytest.param([[0, 0], [1, float("nan")], [1, 1]], "finite", id="NaN"),
        pytest.param([[0, 0], [1, float("inf")], [1, 1]], "finite", id="infinity"),
        pytest.param([[0, 0, 0], [1, 0, 0], [1, 1, 0]], "at most 2 items", id="three coordinates"),
    ],
)
def test_what_is_no_polygon_is_refused(corners: list[list[float]], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        POLYGON.validate_python(corners)


def test_the_error_shows_what_was_given_and_which_edges_meet() -> None:
    with pytest.raises(ValidationError) as error:
        POLYGON.validate_python([[0, 0], [1, 1], [1, 0], [0, 1]])
    assert "[0.0, 0.0] - [1.0, 1.0] and [1.0, 0.0] - [0.0, 1.0] meet" in str(error.value)
    assert "[[0.0, 0.0], [1.0, 1.0], [1.0, 0.0], [0.0, 1.0]]" in str(error.value)


@pytest.mark.parametrize(
    "corners",
    [
        pytest.param(SQUARE, id="one way round"),
        pytest.param(SQUARE[::-1], id="the other way round"),
        pytest.param([[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]], id="concave"),
        pytest.param([[0, 0], [1, 0], [2, 0], [2, 2]], id="corner in the middle of an edge"),
        pytest.param([[-50, 0], [700, 0], [700, 900]], id="beyond the picture"),
        pytest.param([[0, 0], [0.001, 0], [0, 0.001]], id="small"),
    ],
)
def test_a_polygon_is_kept(corners: list[list[float]]) -> None:
    assert POLYGON.validate_python(corners) == tuple(map(tuple, corners))


def test_a_last_corner_that_closes_the_polygon_is_dropped() -> None:
    assert len(POLYGON.validate_python([*SQUARE, SQUARE[0]])) == 4


def test_values_up_to_one_are_fractions_of_each_frame() -> None:
    place = [(0.5, 1.0), (0.0, 0.25)]
    assert in_pixels(place, frame(200, 100)).tolist() == [[100, 100], [0, 25]]
    assert in_pixels(place, frame(50, 40)).tolist() == [[25, 40], [0, 10]]


def test_one_value_above_one_makes_all_of_them_pixels() -> None:
    assert in_pixels([(0.5, 1.0), (0.0, 1.5)], frame(200, 100)).tolist() == [[0.5, 1.0], [0.0, 1.5]]
