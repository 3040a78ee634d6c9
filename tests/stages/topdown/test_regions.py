import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from stages.topdown.regions import Regions, regions_of_boxes, to_input, to_picture

RULES = [pytest.param(False, id="official rule"), pytest.param(True, id="udp")]
ASPECT = 192 / 256

places = st.floats(-3000, 3000, width=32)
boxes = st.lists(st.tuples(places, places, places, places), max_size=6)


@pytest.mark.parametrize(
    ("box", "centre", "size"),
    [
        pytest.param([10, 20, 10, 20], (10, 20), (0.75, 1), id="empty"),
        pytest.param([10, 20, 10.2, 20.3], (10.1, 20.15), (0.75, 1), id="less than a pixel"),
        pytest.param([10, 20, 4, 2], (7, 11), (0.75, 1), id="corners swapped"),
        pytest.param([10, 20, 4, 120], (7, 70), (75, 100), id="left and right swapped"),
        pytest.param([10, 20, 10, 120], (10, 70), (75, 100), id="without width"),
        pytest.param([10, 20, 40, 20], (25, 20), (30, 40), id="without height"),
        pytest.param([-500, -500, -200, -100], (-350, -300), (300, 400), id="outside the picture"),
        pytest.param([0, 0, 30, 80], (15, 40), (60, 80), id="too narrow"),
        pytest.param([0, 0, 150, 80], (75, 40), (150, 200), id="too wide"),
        pytest.param([0, 0, 75, 100], (37.5, 50), (75, 100), id="already fits"),
        pytest.param([0, 0, 1e6, 1e6], (5e5, 5e5), (1e6, 4e6 / 3), id="a million pixels"),
    ],
)
@pytest.mark.parametrize("padding", [1.0, 1.25])
def test_a_box_grows_about_its_centre_to_the_aspect_and_then_by_the_padding(
    box: list[float], centre: tuple[float, float], size: tuple[float, float], padding: float
) -> None:
    regions = regions_of_boxes([box], ASPECT, padding)
    assert_allclose(regions.centre, [centre])
    assert_allclose(regions.size, [np.multiply(size, padding)])


def test_nobody_has_no_region() -> None:
    regions = regions_of_boxes(np.empty((0, 4), np.float32), ASPECT)
    assert regions.centre.shape == regions.size.shape == (0, 2)
    assert to_input(regions, 192, 256).shape == (0, 2, 3)
    assert to_picture(np.empty((0, 17, 2)), regions, 48, 64).shape == (0, 17, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_box_that_is_no_number_is_named_by_its_row(bad: float) -> None:
    xyxy = np.zeros((4, 4), np.float32)
    xyxy[1, 2] = xyxy[3, 0] = bad
    with pytest.raises(ValueError, match=r"finite.*rows \[1, 3\]"):
        regions_of_boxes(xyxy, ASPECT)


@pytest.mark.parametrize("udp", RULES)
@given(rows=boxes)
def test_regions_and_affines_are_finite_and_of_the_aspect(rows: list[tuple[float, ...]], *, udp: bool) -> None:
    regions = regions_of_boxes(np.array(rows, np.float32).reshape(-1, 4), ASPECT)
    assert (regions.size >= [ASPECT, 1]).all()
    assert_allclose(regions.size[:, 0], regions.size[:, 1] * ASPECT)
    assert np.isfinite(to_input(regions, 192, 256, udp=udp)).all()


@pytest.mark.parametrize(
    ("udp", "corner"), [pytest.param(False, (192, 256), id="official rule"), pytest.param(True, (191, 255), id="udp")]
)
def test_the_corners_of_a_region_go_to_the_first_cell_and_to_the_last_one_or_behind_it(
    corner: tuple[int, int], *, udp: bool
) -> None:
    regions = Regions(np.array([[100.0, 50.0]]), np.array([[60.0, 80.0]]))
    (affine,) = to_input(regions, 192, 256, udp=udp)
    assert_allclose(affine @ [70, 10, 1], [0, 0], atol=1e-12)
    assert_allclose(affine @ [130, 90, 1], corner)
    assert_allclose(affine[[0, 1], [1, 0]], 0)


def test_the_official_rule_scales_by_the_width_in_both_directions() -> None:
    regions = Regions(np.array([[100.0, 50.0]]), np.array([[60.0, 100.0]]))
    assert_allclose(to_input(regions, 192, 256)[0, :, :2], np.eye(2) * 192 / 60)
    assert_allclose(to_picture(np.array([[[10.0, 32.0]]]), regions, 48, 64), [[[82.5, 50]]])


def test_udp_scales_each_direction_by_itself() -> None:
    regions = Regions(np.array([[100.0, 50.0]]), np.array([[60.0, 100.0]]))
    assert_allclose(to_input(regions, 192, 256, udp=True)[0, :, :2], np.diag([191 / 60, 255 / 100]))


@pytest.mark.parametrize("udp", RULES)
@given(rows=boxes, point=st.tuples(st.floats(-10, 250), st.floats(-10, 300)))
def test_points_come_back_to_the_input(rows: list[tuple[float, ...]], point: tuple[float, float], *, udp: bool) -> None:
    regions = regions_of_boxes(np.array(rows, np.float32).reshape(-1, 4), ASPECT)
    points = np.broadcast_to(np.array(point), (len(rows), 3, 2))
    affines = to_input(regions, 192, 256, udp=udp)
    back = to_picture(points, regions, 192, 256, udp=udp) @ affines[:, :, :2].mT + affines[:, None, :, 2]
    assert_allclose(back, points, atol=1e-6)


def test_points_go_to_the_picture_by_the_official_rule() -> None:
    """Worked out by hand: a box of 150 x 200 is padded to 187.5 x 250, so a cell of 48 is 3.90625 pixels."""
    regions = regions_of_boxes([[100, 100, 250, 300]], ASPECT)
    points = to_picture(np.array([[[0, 0], [24, 32], [47, 63]]], float), regions, 48, 64)
    assert_allclose(points, [[[81.25, 75.0], [175.0, 200.0], [264.84375, 321.09375]]])


@pytest.mark.parametrize("udp", RULES)
def test_a_grid_of_one_cell_is_finite(*, udp: bool) -> None:
    regions = regions_of_boxes([[100, 100, 250, 300]], 1.0)
    assert np.isfinite(to_input(regions, 1, 1, udp=udp)).all()
    point = to_picture(np.zeros((1, 1, 2)), regions, 1, 1, udp=udp)
    assert_allclose(point, [[[175, 200]]] if udp else [[[50, 75]]])


@pytest.mark.parametrize("udp", RULES)
@given(rows=boxes)
def test_a_row_alone_is_the_same_to_the_last_bit(rows: list[tuple[float, ...]], *, udp: bool) -> None:
    xyxy = np.array(rows, np.float32).reshape(-1, 4)
    together = regions_of_boxes(xyxy, ASPECT)
    points = np.random.default_rng(0).uniform(0, 48, (len(rows), 17, 2))
    for row in range(len(rows)):
        alone, one = regions_of_boxes(xyxy[row : row + 1], ASPECT), slice(row, row + 1)
        for single, many in zip(alone, together.rows(one), strict=True):
            assert_array_equal(single, many)
        assert_array_equal(to_input(alone, 192, 256, udp=udp), to_input(together, 192, 256, udp=udp)[one])
        assert_array_equal(
            to_picture(points[one], alone, 48, 64, udp=udp), to_picture(points, together, 48, 64, udp=udp)[one]
        )


@pytest.mark.parametrize(
    "picked",
    [
        pytest.param(np.array([False, True, True]), id="mask"),
        pytest.param(np.array([1, 2]), id="indices"),
        pytest.param(slice(1, 3), id="slice"),
    ],
)
def test_rows_are_selected_in_both_columns(picked: slice | np.ndarray) -> None:
    regions = regions_of_boxes(np.arange(12).reshape(3, 4), ASPECT)
    chosen = regions.rows(picked)
    assert_array_equal(chosen.centre, regions.centre[1:])
    assert_array_equal(chosen.size, regions.size[1:])
