from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pipeline.skeletons import COCO_17
from stages.topdown.heatmaps import Decoding, average, blur_of, decode, flip_back, swapped

METHODS: list[Decoding] = ["plain", "quarter", "dark"]


def gaussian(x: float, y: float, *, sigma: float = 2.0, width: int = 48, height: int = 64) -> np.ndarray:
    """Draw the map of one joint, as networks are trained to. Shape (1, 1, h, w)."""
    across, down = np.arange(width) - x, np.arange(height) - y
    drawn = np.exp(-(across**2 + down[:, None] ** 2) / (2 * sigma**2))
    return drawn[None, None].astype(np.float32)


def dots(*cells: tuple[int, int], ground: float = 0.0, width: int = 12, height: int = 16) -> np.ndarray:
    """Make a map with the value 1 at cells (x, y)."""
    made = np.full((1, 1, height, width), ground, np.float32)
    for x, y in cells:
        made[..., y, x] = 1
    return made


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("maps", "point", "score"),
    [
        pytest.param(dots(), (0, 0), 0, id="all zero"),
        pytest.param(dots(ground=-2), (0, 0), -2, id="negative"),
        pytest.param(dots(ground=0.5), (0, 0), 0.5, id="constant"),
        pytest.param(dots((0, 0)), (0, 0), 1, id="first corner"),
        pytest.param(dots((11, 15)), (11, 15), 1, id="last corner"),
        pytest.param(dots((0, 8)), (0, 8), 1, id="left border"),
        pytest.param(dots((11, 8)), (11, 8), 1, id="right border"),
        pytest.param(dots((5, 0)), (5, 0), 1, id="top border"),
        pytest.param(dots((5, 15)), (5, 15), 1, id="bottom border"),
        pytest.param(dots((1, 8), (2, 8)), (1, 8), 1, id="second column"),
        pytest.param(dots((5, 1), (5, 2)), (5, 1), 1, id="second row"),
        pytest.param(dots((6, 8)), (6, 8), 1, id="a symmetric peak"),
        pytest.param(np.full((1, 1, 1, 1), 3, np.float32), (0, 0), 3, id="one cell"),
        pytest.param(np.full((1, 1, 1, 1), -3, np.float32), (0, 0), -3, id="one negative cell"),
        pytest.param(dots((2, 0), width=5, height=1), (2, 0), 1, id="one row"),
        pytest.param(dots((0, 2), width=1, height=5), (0, 2), 1, id="one column"),
        pytest.param(dots((1, 1), width=2, height=2), (1, 1), 1, id="two by two"),
        pytest.param(dots((2, 2), width=4, height=4), (2, 2), 1, id="four by four"),
        pytest.param(dots((2, 2), width=5, height=5), (2, 2), 1, id="five by five"),
        pytest.param(dots((6, 8), ground=-1e30), (6, 8), 1, id="a peak in a deep hole"),
    ],
)
def test_at_the_edge_a_joint_is_in_its_cell(
    method: Decoding, maps: np.ndarray, point: tuple[float, float], score: float
) -> None:
    points, scores = decode(maps, method)
    assert_allclose(points, [[point]], atol=1e-6)
    assert_array_equal(scores, [[score]])
    assert points.dtype == np.float64
    assert scores.dtype == np.float32


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0, 17, 64, 48), (3, 0, 64, 48)])
def test_nobody_has_no_joints(shape: tuple[int, ...], method: Decoding) -> None:
    points, score = decode(np.empty(shape, np.float32), method)
    assert points.shape == (*shape[:2], 2)
    assert score.shape == shape[:2]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_shows_in_the_score_and_never_in_the_place(bad: float, method: Decoding) -> None:
    maps = gaussian(20, 30)
    maps[..., 31, 21] = bad
    points, score = decode(maps, method)
    assert np.isfinite(points).all()
    assert_array_equal(score, [[1 if bad == -np.inf else bad]])


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_peaks_the_first_in_reading_order_is_taken(method: Decoding) -> None:
    points, _ = decode(dots((3, 12), (9, 4), (3, 5)), method)
    assert_array_equal(points.round(), [[[9, 4]]])


@pytest.mark.parametrize(
    ("neighbours", "step"),
    [
        pytest.param([], (0, 0), id="none"),
        pytest.param([(7, 8)], (0.25, 0), id="right"),
        pytest.param([(5, 8)], (-0.25, 0), id="left"),
        pytest.param([(6, 9)], (0, 0.25), id="below"),
        pytest.param([(6, 7)], (0, -0.25), id="above"),
        pytest.param([(5, 8), (7, 8)], (0, 0), id="both sides"),
        pytest.param([(7, 9)], (0, 0), id="diagonal"),
        pytest.param([(5, 8), (6, 9)], (-0.25, 0.25), id="left and below"),
    ],
)
def test_a_quarter_cell_goes_towards_the_higher_neighbour(
    neighbours: Sequence[tuple[int, int]], step: tuple[float, float]
) -> None:
    maps = dots(*neighbours)
    maps /= 2
    maps[..., 8, 6] = 1
    points, _ = decode(maps, "quarter")
    assert_array_equal(points, [[[6 + step[0], 8 + step[1]]]])


@pytest.mark.parametrize(
    ("cell", "moves"),
    [
        pytest.param((1, 8), False, id="second column"),
        pytest.param((2, 8), True, id="third column"),
        pytest.param((10, 8), True, id="last column but one"),
        pytest.param((11, 8), False, id="last column"),
        pytest.param((6, 1), False, id="second row"),
        pytest.param((6, 2), True, id="third row"),
        pytest.param((6, 14), True, id="last row but one"),
        pytest.param((6, 15), False, id="last row"),
    ],
)
def test_a_quarter_cell_is_added_where_the_official_code_adds_it(cell: tuple[int, int], *, moves: bool) -> None:
    maps = np.fromfunction(lambda _n, _k, y, x: x + y, (1, 1, 16, 12)).astype(np.float32)
    maps[..., cell[1], cell[0]] = 1000
    points, _ = decode(maps, "quarter")
    assert_array_equal(points, [[np.add(cell, 0.25 if moves else 0)]])


@given(x=st.floats(8, 39), y=st.floats(8, 55), peak=st.floats(0.05, 2))
def test_dark_finds_the_middle_of_a_gaussian(x: float, y: float, peak: float) -> None:
    points, score = decode(gaussian(x, y) * np.array(peak, np.float32), "dark")
    assert_allclose(points, [[[x, y]]], atol=5e-3)
    assert 0.85 * peak < score[0, 0] <= peak * 1.001


def test_dark_finds_the_middle_of_a_wide_gaussian_in_a_large_map() -> None:
    points, _ = decode(gaussian(30.3, 50.8, sigma=3, width=72, height=96), "dark", sigma=3)
    assert_allclose(points, [[[30.3, 50.8]]], atol=5e-3)


def test_dark_is_not_led_astray_by_noise_where_the_quarter_is() -> None:
    maps = gaussian(20.4, 30.4)
    maps[..., 30, 19] = maps[..., 30, 21] + np.float32(0.005)  # the wrong neighbour is a little higher
    (quarter,), (dark,) = decode(maps, "quarter")[0][0], decode(maps, "dark")[0][0]
    assert quarter[0] == 19.75
    assert dark[0] == pytest.approx(20.4, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 10_000), shape=st.sampled_from([(7, 5), (16, 12), (64, 48)]))
def test_a_joint_alone_is_the_same_to_the_last_bit_and_lies_in_its_map(
    method: Decoding, seed: int, shape: tuple[int, int]
) -> None:
    maps = np.random.default_rng(seed).normal(size=(3, 7, *shape)).astype(np.float32)
    points, score = decode(maps, method)
    assert (points >= 0).all()
    assert (points <= np.subtract(shape, 1)[::-1]).all()
    for person in range(3):
        alone = decode(maps[person : person + 1], method)
        assert_array_equal(alone[0][0], points[person])
        assert_array_equal(alone[1][0], score[person])


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_only_read(method: Decoding) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype(np.float32)[..., ::2]
    maps.flags.writeable = False
    before = maps.copy()
    decode(maps, method)
    flip_back(maps, [(0, 1)])
    assert_array_equal(maps, before)


@pytest.mark.parametrize(
    ("shift", "expected"),
    [
        pytest.param(False, [[[2, 1, 0]], [[8, 7, 6]], [[5, 4, 3]]], id="not shifted"),
        pytest.param(True, [[[2, 2, 1]], [[8, 8, 7]], [[5, 5, 4]]], id="shifted: the first column stays"),
    ],
)
def test_a_mirror_turns_the_maps_and_swaps_left_and_right(expected: list[list[list[float]]], *, shift: bool) -> None:
    maps = np.arange(9, dtype=np.float32).reshape(1, 3, 1, 3)
    turned = flip_back(maps, [(1, 2)], shift=shift)
    assert_array_equal(turned, [expected])
    assert turned.flags.c_contiguous
    assert turned.dtype == np.float32


def test_twice_in_a_mirror_is_once_in_the_world() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 17, 8, 6)).astype(np.float32)
    pairs = COCO_17.mirrored
    assert_array_equal(flip_back(flip_back(maps, pairs, shift=False), pairs, shift=False), maps)


@pytest.mark.parametrize("shape", [(0, 17, 64, 48), (2, 17, 1, 1)])
def test_a_mirror_of_nobody_or_of_one_cell(shape: tuple[int, ...]) -> None:
    assert flip_back(np.zeros(shape, np.float32), COCO_17.mirrored).shape == shape


def test_two_views_are_averaged() -> None:
    a, b = np.full((1, 1, 2, 2), 1, np.float32), np.full((1, 1, 2, 2), 4, np.float32)
    assert_array_equal(average(a, b), np.full((1, 1, 2, 2), 2.5))
    assert average(a, b).dtype == np.float32


def test_joints_without_a_partner_stay_in_a_mirror() -> None:
    assert swapped(5, [(1, 2), (4, 3)]) == [0, 2, 1, 4, 3]


@pytest.mark.parametrize(("sigma", "expected"), [(2, (11, 2.0)), (3, (17, 2.9)), (2.5, (15, 2.6)), (0.1, (3, 0.8))])
def test_the_blur_is_that_of_the_authors(sigma: float, expected: tuple[int, float]) -> None:
    assert blur_of(sigma) == pytest.approx(expected)
