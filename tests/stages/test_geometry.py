import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from stages.geometry import (
    Region,
    areas,
    box_to_region,
    clip_boxes,
    crop,
    intersections,
    invert_affine,
    letterbox,
    region_to_affine,
    transform_points,
)

positions = st.floats(-2000, 4000)
sides = st.floats(2, 4000)
angles = st.floats(-2 * math.pi, 2 * math.pi)
regions = st.builds(Region, positions, positions, sides, sides, angles)
points = st.lists(st.tuples(positions, positions), min_size=1, max_size=5)


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        pytest.param(1, 1, [[0, 0], [100, 100]], id="one pixel"),
        pytest.param(200, 100, [[0, 25], [100, 75]], id="wide"),
        pytest.param(50, 200, [[37.5, 0], [62.5, 100]], id="tall"),
        pytest.param(100, 100, [[0, 0], [100, 100]], id="already fits"),
    ],
)
def test_a_letterbox_keeps_aspect_and_centres(width: int, height: int, expected: list[list[float]]) -> None:
    affine = letterbox(width, height, 100, 100)
    assert_allclose(transform_points([[0, 0], [width, height]], affine), expected, atol=1e-9)


@given(points, st.integers(1, 4000), st.integers(1, 4000))
def test_points_come_back_from_a_letterbox(where: list[tuple[float, float]], width: int, height: int) -> None:
    affine = letterbox(width, height, 256, 192)
    assert_allclose(transform_points(transform_points(where, affine), invert_affine(affine)), where, atol=1e-3)


@given(regions, points)
def test_points_come_back_from_a_region(region: Region, where: list[tuple[float, float]]) -> None:
    affine = region_to_affine(region, 192, 256)
    assert_allclose(transform_points(transform_points(where, affine), invert_affine(affine)), where, atol=1e-3)


@given(regions)
def test_a_region_fills_the_input(region: Region) -> None:
    corners = transform_points(
        [[0, 0], [192, 0], [192, 256], [0, 256]], invert_affine(region_to_affine(region, 192, 256))
    )
    assert_allclose(corners.mean(axis=0), [region.x, region.y], atol=1e-3)
    lengths = [np.hypot(*(b - a)) for a, b in pairwise(corners)]
    assert_allclose(lengths, [region.width, region.height, region.width], atol=1e-3)


def test_a_region_turned_clockwise_has_its_top_on_the_right() -> None:
    affine = region_to_affine(Region(50, 50, 20, 20, math.pi / 2), 100, 100)
    assert_allclose(transform_points([60, 50], affine), [50, 0], atol=1e-9)


def test_a_region_without_area_has_no_way_back() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        invert_affine(np.zeros((2, 3)))


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_the_whole_picture_is_its_own_crop(picture: np.ndarray) -> None:
    assert_array_equal(crop(picture, region_to_affine(Region(30, 20, 60, 40), 60, 40), 60, 40), picture)


def test_an_aligned_crop_is_a_slice(picture: np.ndarray) -> None:
    assert_array_equal(crop(picture, region_to_affine(Region(20, 15, 20, 10), 20, 10), 20, 10), picture[10:20, 10:30])


def test_half_the_size_is_the_mean_of_four_pixels(picture: np.ndarray) -> None:
    means = picture.reshape(20, 2, 30, 2, 3).astype(float).mean(axis=(1, 3))
    assert_allclose(crop(picture, letterbox(60, 40, 30, 20), 30, 20), means, atol=1)


def test_a_quarter_turn_is_exact(picture: np.ndarray) -> None:
    turned = crop(picture, region_to_affine(Region(30, 20, 40, 60, math.pi / 2), 40, 60), 40, 60)
    assert_array_equal(turned, np.rot90(picture))


def test_outside_the_picture_it_is_black(picture: np.ndarray) -> None:
    assert not crop(picture, region_to_affine(Region(-100, 20, 20, 20), 16, 16), 16, 16).any()


@pytest.mark.parametrize(
    ("box", "aspect", "expected"),
    [
        pytest.param([5, 5, 5, 5], 1.0, (5, 5, 1, 1), id="empty box"),
        pytest.param([9, 9, 2, 3], 0.75, (5.5, 6, 0.75, 1), id="corners swapped"),
        pytest.param([0, 0, 30, 80], 0.75, (15, 40, 60, 80), id="too narrow"),
        pytest.param([0, 0, 150, 80], 0.75, (75, 40, 150, 200), id="too wide"),
    ],
)
def test_a_box_grows_to_the_aspect(box: list[float], aspect: float, expected: tuple[float, ...]) -> None:
    assert_allclose(box_to_region(box, aspect, padding=1.0), (*expected, 0))


def test_padding_grows_both_sides() -> None:
    assert box_to_region([0, 0, 10, 10], padding=1.5) == Region(5, 5, 15, 15)


@pytest.mark.parametrize(
    ("box", "expected", "area"),
    [
        pytest.param([200, 10, 300, 20], [100, 10, 100, 20], 0, id="outside"),
        pytest.param([-10, -10, 50, 60], [0, 0, 50, 50], 2500, id="over two edges"),
        pytest.param([10, 10, 20, 20], [10, 10, 20, 20], 100, id="inside"),
    ],
)
def test_boxes_are_clipped_to_the_picture(box: list[float], expected: list[float], area: float) -> None:
    clipped = clip_boxes([box], 100, 50)
    assert_allclose(clipped, [expected])
    assert_allclose(areas(clipped), [area])


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param([10, 0, 20, 10], 0, id="touching"),
        pytest.param([30, 30, 40, 40], 0, id="apart"),
        pytest.param([5, 5, 15, 15], 25, id="corner"),
        pytest.param([2, 2, 4, 4], 4, id="inside"),
    ],
)
def test_an_intersection_is_what_both_cover(other: list[float], expected: float) -> None:
    assert_allclose(intersections(np.array([[0, 0, 10, 10.0]]), np.array([other, other])), [[expected, expected]])


def test_nothing_intersects_nothing() -> None:
    assert intersections(np.empty((0, 4)), np.empty((3, 4))).shape == (0, 3)
