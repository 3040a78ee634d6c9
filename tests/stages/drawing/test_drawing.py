"""Colours, paint, tags, trails, and the whole picture."""

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances
from stages.drawing.overlay import Style, draw
from stages.drawing.paint import blend, blend_thin, letters, pill
from stages.drawing.palette import INK, LEFT, NOBODY, PAPER, RIGHT, Colour, identity_colour, oklch
from stages.drawing.tags import place
from stages.drawing.trails import Trails
from stages.geometry import intersections

MakePeople = Callable[..., Instances]
NOTHING = Style(boxes=False, skeletons=False, labels=False)


def luminance(colour: Colour) -> float:
    """Relative luminance of WCAG 2.2."""
    encoded = np.array(colour[::-1]) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(
    ("lch", "expected"),
    [
        pytest.param((0.0, 0.0, 0.0), (0, 0, 0), id="black"),
        pytest.param((1.0, 0.0, 0.0), (255, 255, 255), id="white"),
        pytest.param((0.62796, 0.25768, 29.234), (0, 0, 255), id="red"),
        pytest.param((0.86644, 0.29483, 142.495), (0, 255, 0), id="green"),
        pytest.param((0.45201, 0.31321, 264.052), (255, 0, 0), id="blue"),
    ],
)
def test_oklch_agrees_with_css(lch: tuple[float, float, float], expected: Colour) -> None:
    np.testing.assert_allclose(oklch(*lch), expected, atol=1)


def test_text_can_be_read_on_the_colour_of_every_identity() -> None:
    assert min(contrast(identity_colour(track_id), INK) for track_id in range(1, 1000)) > 4.5
    assert contrast(NOBODY, INK) > 4.5
    assert contrast(PAPER, INK) > 7


def test_people_who_come_together_look_different() -> None:
    colours = np.array([identity_colour(track_id) for track_id in range(1, 41)], float)
    for start in range(30):
        distances = [np.abs(one - other).max() for one, other in combinations(colours[start : start + 8], 2)]
        assert min(distances) > 25


def test_the_colour_of_an_identity_stays() -> None:
    assert identity_colour(7) == identity_colour(7)


# --- paint


@pytest.mark.parametrize("paint", [blend, blend_thin])
@pytest.mark.parametrize("left", [-30, -3, 0, 17, 19, 20, 99])
@pytest.mark.parametrize("top", [-30, -3, 0, 9, 10, 99])
def test_paint_is_clipped_at_the_edges(paint: Callable[..., None], left: int, top: int) -> None:
    image = np.zeros((10, 20, 3), np.uint8)
    paint(image, np.full((6, 7), 255, np.uint8), left, top, (1, 2, 3))
    expected = np.zeros((10, 20, 3), np.uint8)
    expected[max(top, 0) : max(top + 6, 0), max(left, 0) : max(left + 7, 0)] = (1, 2, 3)
    np.testing.assert_array_equal(image, expected)


@given(
    arrays.arrays(np.uint8, (5, 6, 3)),
    arrays.arrays(np.uint8, (5, 6)),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.floats(0, 1),
)
def test_both_ways_to_paint_are_the_same_formula(
    image: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]],
    mask: np.ndarray[tuple[int, int], np.dtype[np.uint8]],
    colour: Colour,
    opacity: float,
) -> None:
    dense, thin = image.copy(), image.copy()
    blend(dense, mask, 0, 0, colour, opacity)
    blend_thin(thin, mask, 0, 0, colour, opacity)
    weight = mask[..., None] / 255 * opacity
    expected = image + (np.array(colour) - image.astype(float)) * weight
    np.testing.assert_allclose(dense, expected, atol=1)
    np.testing.assert_allclose(thin, expected, atol=1)


@pytest.mark.parametrize("text", ["", " ", "7", "12 92%", "gjpqÄ", "街", "a\nb"])
def test_every_text_has_a_mask_of_the_same_height(text: str) -> None:
    assert letters(text, 11).shape[0] == letters("H", 11).shape[0]


def test_capitals_are_as_high_as_asked_for_and_in_the_middle() -> None:
    for size in (7, 11, 22, 44):
        rows = np.nonzero(letters("H", size).max(axis=1) > 127)[0]
        tolerance_px = max(1, size / 8)  # the letters of OpenCV 4 are stroked, and end in faint halves
        assert abs(len(rows) - size) <= tolerance_px
        assert abs(rows.mean() - (letters("H", size).shape[0] - 1) / 2) <= tolerance_px


@pytest.mark.parametrize(("width", "height", "radius"), [(1, 1, 1), (0, 5, 9), (40, 20, 5), (10, 10, 5)])
def test_a_pill_is_round_at_the_corners_and_full_inside(width: int, height: int, radius: int) -> None:
    mask = pill(width, height, radius)
    assert mask.shape == (height, max(width, 1))
    assert mask[height // 2, width // 2] > 127
    if width > 2:
        assert mask[0, 0] < 255


# --- tags


def boxes_of(*rows: tuple[float, float, float, float]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_a_tag_sits_on_its_box() -> None:
    np.testing.assert_array_equal(place(np.array([[30, 10]]), boxes_of((50, 60, 90, 160)), 200, 200), [[50, 50]])


def test_nobody_needs_no_tag() -> None:
    assert place(np.empty((0, 2), int), boxes_of(), 200, 200).shape == (0, 2)


def test_a_tag_that_does_not_fit_is_at_the_corner() -> None:
    np.testing.assert_array_equal(place(np.array([[300, 300]]), boxes_of((50, 60, 90, 160)), 200, 200), [[0, 0]])


def test_tags_avoid_faces_and_each_other() -> None:
    boxes = boxes_of((50, 60, 90, 160), (45, 10, 85, 56), (60, 62, 100, 160))  # the second's feet above the first
    sizes = np.array([[30, 10]] * 3)
    corners = place(sizes, boxes, 300, 300)
    tags = np.hstack((corners, corners + sizes)).astype(float)
    heads = boxes.copy()
    heads[:, 3] = boxes[:, 1] + 0.2 * (boxes[:, 3] - boxes[:, 1])
    assert intersections(tags, heads + np.array((1, 1, -1, -1))).sum() == 0
    assert np.triu(intersections(tags, tags), 1).sum() == 0


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(0, 6), st.just(4)), elements=st.floats(-500, 500, width=32)),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_tags_stay_in_the_picture(
    boxes: np.ndarray[tuple[int, int], np.dtype[np.float32]], width: int, height: int
) -> None:
    corners = place(np.full((len(boxes), 2), (30, 10)), boxes, width, height)
    assert (corners >= 0).all()
    assert (corners <= np.maximum((width - 30, height - 10), 0)).all()


# --- trails


def at(x: float, y: float, *ids: int) -> Instances:
    return Instances.of([[x, y - 10, x + 4, y]] * len(ids), [1.0] * len(ids)).with_columns(track_id=ids)


def test_a_trail_ends_at_the_feet_and_fades() -> None:
    trails = Trails(2.0)
    for step in range(5):
        trails.add(at(10, 50, 3), step / 2)
    path = trails.paths(2.0)[3]
    np.testing.assert_allclose(path[:, :2], [[12, 50]] * 5)
    np.testing.assert_allclose(path[:, 2], [0, 0.25, 0.5, 0.75, 1])


def test_trails_forget() -> None:
    trails = Trails(1.0)
    for step in range(1000):
        trails.add(at(0, 0, step + 1, 9999), step / 10)
    assert len(trails.paths(99.9)) <= 12
    assert all(len(path) <= 11 for path in trails.paths(99.9).values())
    trails.add(Instances.empty(), 200.0)
    assert trails.paths(200.0) == {}


def test_a_clock_that_steps_back_starts_new_trails() -> None:
    trails = Trails(1.0)
    trails.add(at(0, 0, 1), 100.0)
    trails.add(at(9, 9, 2), 0.0)
    assert set(trails.paths(0.0)) == {2}


@pytest.mark.parametrize(
    "table", [at(0, 0, NO_TRACK), Instances.of([[0, 0, 1, 1]], [1.0])], ids=["no-id", "no-tracker"]
)
def test_people_without_identity_leave_no_trail(table: Instances) -> None:
    trails = Trails(1.0)
    trails.add(table, 0.0)
    assert trails.paths(0.0) == {}


# --- the whole


@pytest.mark.parametrize(
    "table",
    [None, Instances.empty(), Instances.empty(COCO_17)],
    ids=["not-looked", "nobody", "nobody-with-joints"],
)
def test_nothing_is_drawn_for_nobody(table: Instances | None) -> None:
    image = np.full((48, 64, 3), 90, np.uint8)
    np.testing.assert_array_equal(draw(image, table, Style()), image)


@pytest.mark.parametrize("joints", [True, False], ids=["pose", "no-pose"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "untracked"])
def test_the_picture_itself_is_not_written_to(people: MakePeople, *, joints: bool, tracked: bool) -> None:
    image = np.full((48, 64, 3), 90, np.uint8)
    image.flags.writeable = False
    drawn = draw(image, people(3, joints=joints, tracked=tracked), Style(), notes=("a", "b"))
    assert (image == 90).all()
    assert (drawn != 90).any()


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 40), (3, 3), (4000, 20)])
def test_any_size_can_be_drawn_on(people: MakePeople, size: tuple[int, int]) -> None:
    image = np.zeros((*size[::-1], 3), np.uint8)
    trail = np.array([[0, 0, 0], [5, 5, 1]], np.float32)
    assert draw(image, people(3), Style(), trails={1: trail}, notes=("note",)).shape == image.shape


@pytest.mark.parametrize("far", [-1e9, -200.5, 64.0, 1e6, 3e38])
def test_what_lies_far_outside_is_no_trouble(far: float) -> None:
    people = Instances.of(
        [[far, far, far, far], [0, 0, far, 1]],
        [0.5, 0.5],
        keypoints=np.full((2, 17, 2), far),
        keypoint_score=np.ones((2, 17)),
        skeleton=COCO_17,
    )
    trail = np.array([[0, 0, 0], [far, far, 1]], np.float32)
    draw(np.zeros((48, 64, 3), np.uint8), people, Style(), trails={1: trail})


@pytest.mark.parametrize("part", ["boxes", "skeletons", "labels"])
def test_every_part_can_be_switched_off(people: MakePeople, part: str) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    table = people(2)
    off = draw(image, table, Style(**{part: False}))
    assert (off != draw(image, table, Style())).any()
    np.testing.assert_array_equal(draw(image, table, NOTHING), image)


def test_left_and_right_limbs_have_their_colours() -> None:
    joints = {"left_hip": (600, 200), "left_knee": (600, 500), "right_hip": (200, 200), "right_knee": (200, 500)}
    keypoints, score = np.zeros((1, 17, 2)), np.zeros((1, 17))
    for name, place_ in joints.items():
        keypoints[0, COCO_17.joints.index(name)], score[0, COCO_17.joints.index(name)] = place_, 1.0
    person = Instances.of([[0, 0, 900, 900]], [1.0], keypoints=keypoints, keypoint_score=score, skeleton=COCO_17)
    drawn = draw(np.zeros((900, 1920, 3), np.uint8), person, Style(boxes=False, labels=False))
    np.testing.assert_allclose(drawn[350, 600], LEFT, atol=2)
    np.testing.assert_allclose(drawn[350, 200], RIGHT, atol=2)


def test_joints_that_only_moved_along_with_a_box_are_dim_and_those_that_were_seen_are_not() -> None:
    keypoints, score = np.zeros((2, 17, 2)), np.zeros((2, 17))
    hip, knee = COCO_17.joints.index("left_hip"), COCO_17.joints.index("left_knee")
    keypoints[:, hip, 0], keypoints[:, knee, 0], keypoints[:, knee, 1] = (200, 600), (200, 600), 500
    score[:, [hip, knee]] = 1.0
    table = Instances.of(np.zeros((2, 4)), [1, 1], keypoints=keypoints, keypoint_score=score, skeleton=COCO_17)
    image, style = np.full((900, 1920, 3), 128, np.uint8), Style(boxes=False, labels=False)
    drawn = draw(image, table.with_columns(predicted=[False, True]), style)
    np.testing.assert_allclose(drawn[250, 200], LEFT, atol=2)
    np.testing.assert_allclose(drawn[250, 600], np.array(LEFT) / 2, atol=2)
    nobody_moved = draw(image, table.with_columns(predicted=[False, False]), style)
    np.testing.assert_array_equal(nobody_moved, draw(image, table, style))


def test_weak_joints_are_hidden() -> None:
    image = np.zeros((90, 90, 3), np.uint8)
    keypoints = np.random.default_rng(0).uniform(0, 90, (1, 17, 2))
    person = Instances.of(
        [[0, 0, 90, 90]], [1.0], keypoints=keypoints, keypoint_score=np.full((1, 17), 0.29), skeleton=COCO_17
    )
    style = Style(boxes=False, labels=False, min_joint_score=0.3)
    np.testing.assert_array_equal(draw(image, person, style), image)
    assert draw(image, person, Style(boxes=False, labels=False, min_joint_score=0.2)).any()


def test_a_trail_is_translucent_in_the_colour_of_its_identity() -> None:
    image = np.full((60, 200, 3), 100, np.uint8)
    path = np.column_stack((np.linspace(10, 190, 30), np.full(30, 30), np.linspace(0, 1, 30))).astype(np.float32)
    drawn = draw(image, None, Style(), trails={5: path})
    change = np.abs(drawn[30].astype(int) - 100).max(axis=1)
    assert change[15] < change[100] < change[188]
    towards = np.sign(np.array(identity_colour(5)) - 100)
    assert (np.sign(drawn[30, 180].astype(int) - 100) == towards).all()
