import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from stages.topdown.regions import Regions, regions_of_boxes, to_input
from training.augmentation import (
    AugmentationOptions,
    View,
    affine,
    choose_view,
    cover,
    half_bodies,
    move,
    reach,
    recolour,
    rotation_degrees,
    scale_factor,
)
from training.skeletons import lower_body

sides = st.floats(5, 500)
places = st.floats(-300, 900)
angles = st.floats(-90, 90)


@st.composite
def views(draw: st.DrawFn) -> View:
    region = Regions(np.array([[draw(places), draw(places)]]), np.array([[draw(sides), draw(sides)]]))
    return View(region, draw(angles), is_mirrored=draw(st.booleans()))


@given(view=views(), udp=st.booleans())
def test_flipping_twice_changes_nothing(view: View, *, udp: bool) -> None:
    assert view.mirrored().mirrored() == view
    assert np.array_equal(affine(view.mirrored().mirrored(), 192, 256, udp=udp), affine(view, 192, 256, udp=udp))


@given(view=views(), udp=st.booleans())
def test_a_mirrored_view_is_the_view_mirrored_about_its_middle(view: View, *, udp: bool) -> None:
    corners = np.array([[0.0, 0.0], [640, 0], [0, 480], [320, 100]])
    seen = move(corners, affine(view, 192, 256, udp=udp))
    mirrored = move(corners, affine(view.mirrored(), 192, 256, udp=udp))

    middle = 191 / 2 if udp else 192 / 2
    assert np.allclose(mirrored[:, 0] + seen[:, 0], 2 * middle, atol=1e-6)
    assert np.allclose(mirrored[:, 1], seen[:, 1], atol=1e-6)


@given(view=views(), udp=st.booleans())
def test_an_upright_view_is_what_inference_looks_at(view: View, *, udp: bool) -> None:
    upright = View(view.region)

    assert np.allclose(affine(upright, 192, 256, udp=udp), to_input(view.region, 192, 256, udp=udp)[0])


@given(views())
def test_the_centre_stays_in_the_middle_however_it_is_turned(view: View) -> None:
    assert np.allclose(move(view.region.centre, affine(view, 192, 256)), [[96, 128]], atol=1e-6)


def test_turning_keeps_distances_and_right_angles() -> None:
    region = regions_of_boxes([0, 0, 90, 120], 0.75)
    turned = affine(View(region, 30.0), 192, 256)[:, :2]

    assert np.allclose(turned @ turned.T, np.eye(2) * np.linalg.det(turned))
    assert np.degrees(np.arctan2(turned[1, 0], turned[0, 0])) == pytest.approx(30)


@pytest.mark.parametrize(
    ("draw", "deviation", "middle", "limit"), [(scale_factor, 0.35, 1.0, 0.35), (rotation_degrees, 45.0, 0.0, 90.0)]
)
def test_scale_and_rotation_are_symmetric(draw: object, deviation: float, middle: float, limit: float) -> None:
    random = np.random.default_rng(1)
    away = np.array([draw(random, deviation) for _ in range(20_000)]) - middle  # type: ignore[operator]

    assert away.max() == pytest.approx(limit)
    assert away.min() == pytest.approx(-limit)
    assert abs(away.mean()) < 4 * away.std() / np.sqrt(len(away))
    assert np.quantile(away, 0.9) == pytest.approx(-np.quantile(away, 0.1), rel=0.05)


def test_without_augmentation_everybody_is_looked_at_as_they_are() -> None:
    whole = regions_of_boxes([10, 20, 100, 140], 0.75)

    for seed in range(20):
        view = choose_view(np.random.default_rng(seed), whole, [], AugmentationOptions.none())
        assert np.array_equal(view.region.size, whole.size)
        assert (view.degrees, view.is_mirrored) == (0.0, False)


def test_each_kind_of_look_is_as_likely_as_asked() -> None:
    whole, half = regions_of_boxes([0, 0, 90, 120], 0.75), regions_of_boxes([500, 0, 590, 120], 0.75)
    random = np.random.default_rng(2)
    seen = [choose_view(random, whole, [half], AugmentationOptions()) for _ in range(4000)]

    assert np.mean([view.is_mirrored for view in seen]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([view.degrees != 0 for view in seen]) == pytest.approx(0.6, abs=0.03)
    assert np.mean([view.region.centre[0, 0] > 300 for view in seen]) == pytest.approx(0.3, abs=0.03)


def standing() -> NDArray[np.float64]:
    return np.column_stack([np.linspace(10, 60, 17), np.linspace(0, 160, 17)])


def test_halves_are_about_the_joints_of_a_half() -> None:
    upper, lower = half_bodies(standing(), np.ones(17, np.bool_), lower_body(COCO_17), 0.75)

    assert np.allclose(upper.centre, standing()[:11].mean(axis=0))
    assert np.allclose(lower.centre, standing()[11:].mean(axis=0))
    assert np.allclose(lower.size, np.array([50 * 0.75, 50]) * 1.5)


@pytest.mark.parametrize(
    ("labelled", "count"),
    [
        pytest.param([0] * 9 + [1] * 8, 0, id="eight joints are too few"),
        pytest.param([1] * 9 + [0] * 8, 1, id="nine of the upper half"),
        pytest.param([1] * 11 + [1] * 2 + [0] * 4, 1, id="two are no half"),
        pytest.param([1] * 17, 2, id="all"),
    ],
)
def test_a_half_needs_enough_joints(labelled: list[int], count: int) -> None:
    assert len(half_bodies(standing(), np.array(labelled, np.bool_), lower_body(COCO_17), 0.75)) == count


def test_nobody_has_halves_where_names_do_not_tell() -> None:
    assert half_bodies(standing(), np.ones(17, np.bool_), np.zeros(17, np.bool_), 0.75) == []


@given(views(), st.floats(0, 0.5))
def test_no_view_looks_beyond_its_reach(view: View, scale: float) -> None:
    left, top, right, bottom = reach([view.region], scale)
    grown = view._replace(region=view.region._replace(size=view.region.size * (1 + scale)))
    matrix = affine(grown, 192, 256, udp=True)
    corners = np.array([[0, 0], [191, 0], [0, 255], [191, 255]])
    seen = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T

    assert (np.maximum(seen, 0) >= [left, top]).all()
    assert (np.maximum(seen, 0) <= [right - 1, bottom - 1]).all()


@given(st.integers(0, 1000))
def test_colours_change_grey_to_grey(seed: int) -> None:
    grey = np.full((2, 2, 3), 100, np.uint8)
    out = recolour(np.random.default_rng(seed), grey, 0.5)

    assert np.ptp(out.astype(int), axis=2).max() <= 1
    assert (grey == 100).all()


def test_colours_of_strength_zero_are_the_same() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)

    assert np.array_equal(recolour(np.random.default_rng(1), picture, 0.0), picture)


@given(st.integers(0, 1000))
def test_what_is_covered_is_a_rectangle_within_the_limits(seed: int) -> None:
    picture = np.zeros((200, 100, 3), np.uint8)
    rows, columns = np.nonzero(cover(np.random.default_rng(seed), picture).any(axis=2))
    width, height = np.ptp(columns) + 1, np.ptp(rows) + 1

    assert len(rows) == width * height
    assert 10 <= width <= 40
    assert 20 <= height <= 80
    assert not picture.any()
