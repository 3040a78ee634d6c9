"""The values that cross channels: checked once at construction, then read-only and aligned for good."""

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from fakes import make_frame, make_packet
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, HostPixels, Instances

COLUMNS = ("xyxy", "score", "class_id", "keypoints", "keypoint_score", "track_id", "embedding", "predicted")
JOINTS = len(COCO_17)


def crowd(n: int) -> Instances:
    """Make n people in whose every column the row's number can be read."""
    rows = np.arange(n, dtype=np.float32)
    return Instances(
        xyxy=np.repeat(rows[:, None], 4, axis=1),
        score=rows,
        class_id=np.arange(n, dtype=np.int32),
        keypoints=np.tile(rows[:, None, None], (1, JOINTS, 2)),
        keypoint_score=np.tile(rows[:, None], (1, JOINTS)),
        track_id=np.arange(n) + 1,
        embedding=np.tile(rows[:, None], (1, 3)),
        predicted=rows % 2 == 1,
        skeleton=COCO_17,
    )


def column(instances: Instances, name: str) -> NDArray[Any]:
    values: NDArray[Any] = getattr(instances, name)
    return values


# Tables of nobody


@pytest.mark.parametrize("nobody", [[], np.empty((0, 4))], ids=["list", "array"])
def test_zero_rows_may_be_given_as_empty_lists(nobody: Any) -> None:
    table = Instances.of(nobody, [], skeleton=COCO_17, keypoints=[], keypoint_score=[])
    table = table.with_columns(track_id=[], embedding=[], predicted=[])
    assert len(table) == 0
    shapes = {name: column(table, name).shape for name in COLUMNS}
    assert shapes == {
        "xyxy": (0, 4),
        "score": (0,),
        "class_id": (0,),
        "keypoints": (0, 17, 2),
        "keypoint_score": (0, 17),
        "track_id": (0,),
        "embedding": (0, 0),
        "predicted": (0,),
    }


def test_an_empty_table_has_joint_columns_only_with_a_skeleton() -> None:
    assert Instances.empty().keypoints is None
    with_joints = Instances.empty(COCO_17)
    assert with_joints.keypoints is not None
    assert with_joints.keypoints.shape == (0, 17, 2)
    assert with_joints.skeleton is COCO_17


@pytest.mark.parametrize("rows", [[], (), slice(0), np.zeros(0, bool)], ids=["list", "tuple", "slice", "mask"])
def test_selecting_from_nobody_gives_nobody(rows: Any) -> None:
    assert len(crowd(0)[rows]) == 0


# What a table refuses


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"xyxy": 3.0}, r"xyxy must have shape \(any, 4\), got \(\)"),
        ({"xyxy": [1, 2, 3, 4]}, r"xyxy must have shape \(any, 4\), got \(4,\)"),
        ({"xyxy": np.zeros((2, 5))}, r"xyxy must have shape \(any, 4\), got \(2, 5\)"),
        ({"xyxy": np.zeros((0, 5))}, r"xyxy must have shape \(any, 4\), got \(0, 5\)"),
        ({"xyxy": np.zeros((1, 2, 4))}, r"xyxy must have shape \(any, 4\), got \(1, 2, 4\)"),
        ({"score": []}, r"score must have shape \(2\), got \(0,\)"),
        ({"score": [0.1, 0.2, 0.3]}, r"score must have shape \(2\), got \(3,\)"),
        ({"score": [[0.1], [0.2]]}, r"score must have shape \(2\), got \(2, 1\)"),
        ({"class_id": [0]}, r"class_id must have shape \(2\), got \(1,\)"),
        ({"track_id": []}, r"track_id must have shape \(2\), got \(0,\)"),
        ({"embedding": [1.0, 2.0]}, r"embedding must have shape \(2, any\), got \(2,\)"),
        ({"embedding": np.zeros((3, 8))}, r"embedding must have shape \(2, any\), got \(3, 8\)"),
        ({"predicted": [True]}, r"predicted must have shape \(2\), got \(1,\)"),
        ({"predicted": [[True], [False]]}, r"predicted must have shape \(2\), got \(2, 1\)"),
        ({"keypoints": np.zeros((2, 16, 2))}, r"keypoints must have shape \(2, 17, 2\), got \(2, 16, 2\)"),
        ({"keypoints": np.zeros((2, 17, 3))}, r"keypoints must have shape \(2, 17, 2\), got \(2, 17, 3\)"),
        ({"keypoint_score": np.zeros((2, 17, 1))}, r"keypoint_score must have shape \(2, 17\), got \(2, 17, 1\)"),
    ],
)
def test_a_wrong_shape_is_refused_with_both_shapes(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        crowd(2).with_columns(**columns)


@pytest.mark.parametrize(
    "boxes",
    [np.zeros((1, 8)), np.arange(8), np.zeros((4, 2)), np.zeros((0, 5))],
    ids=["two boxes a row", "flat", "corners", "no rows of five"],
)
def test_of_reshapes_nothing_into_boxes(boxes: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"xyxy must have shape \(any, 4\)"):
        Instances.of(boxes, np.zeros(len(boxes)))


def test_zero_rows_of_another_skeleton_are_refused() -> None:
    with pytest.raises(ValueError, match=r"keypoints must have shape \(0, 17, 2\), got \(0, 16, 2\)"):
        crowd(0).with_columns(keypoints=np.zeros((0, 16, 2)))


@pytest.mark.parametrize("name", ["xyxy", "score", "keypoints", "keypoint_score", "embedding"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_are_named(name: str, bad: float) -> None:
    values = column(crowd(5), name).copy()
    values[[1, 3]] = bad
    with pytest.raises(ValueError, match=rf"{name} must be finite, got NaN or infinity in rows \[1, 3\]"):
        crowd(5).with_columns(**{name: values})


@pytest.mark.parametrize(
    "missing", [["keypoints"], ["keypoint_score"], ["skeleton"], ["keypoints", "skeleton"]], ids=" and ".join
)
def test_joints_come_with_their_scores_and_their_skeleton(missing: list[str]) -> None:
    with pytest.raises(ValueError, match="keypoints, keypoint_score and skeleton come together"):
        crowd(2).with_columns(**dict.fromkeys(missing))


@pytest.mark.parametrize("name", ["keypoints", "keypoint_score"])
def test_of_drops_no_joints_for_lack_of_a_skeleton(name: str) -> None:
    joints = {"keypoints": np.zeros((1, 17, 2)), "keypoint_score": np.zeros((1, 17))}
    with pytest.raises(ValueError, match="come together"):
        Instances.of(np.zeros((1, 4)), [0.5], **{name: joints[name]})  # type: ignore[arg-type]  # a mapping of columns


def test_columns_may_be_taken_away_together() -> None:
    optional = ("keypoints", "keypoint_score", "skeleton", "track_id", "embedding", "predicted")
    bare = crowd(2).with_columns(**dict.fromkeys(optional))
    assert repr(bare) == "Instances(xyxy(2, 4), score(2,), class_id(2,), skeleton=None)"


# What a table keeps


def test_left_out_columns_are_persons_and_joints_of_score_zero() -> None:
    table = Instances.of([[0, 0, 1, 1]], [0.5], skeleton=COCO_17)
    assert table.class_id.tolist() == [0]
    assert table.keypoint_score is not None
    assert not table.keypoint_score.any()
    assert table.track_id is None


def test_every_column_gets_its_own_type() -> None:
    table = Instances.of([[0, 0, 1, 1]], [1], class_id=[0.0]).with_columns(track_id=np.array([3], np.int32))
    assert [column(table, name).dtype for name in ("xyxy", "score", "class_id", "track_id")] == [
        np.float32,
        np.float32,
        np.int32,
        np.int64,
    ]


@pytest.mark.parametrize("name", COLUMNS)
def test_a_table_cannot_be_written_through(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        column(crowd(2), name)[0] = 7


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["not copied", "converted"])
def test_the_callers_own_array_stays_writable(dtype: type[np.floating[Any]]) -> None:
    mine = np.zeros((1, 4), dtype)
    Instances.of(mine, [0.5])
    mine[0] = 7
    assert mine.flags.writeable


@pytest.mark.parametrize("flags", [[True, False], [1, 0], np.array([1.0, 0.0])], ids=["bool", "int", "float"])
def test_whether_joints_were_predicted_is_a_boolean(flags: Any) -> None:
    table = crowd(2).with_columns(predicted=flags)
    assert column(table, "predicted").dtype == np.bool_
    assert column(table, "predicted").tolist() == [True, False]


def test_nothing_is_said_about_predicted_joints_unless_somebody_does() -> None:
    assert Instances.of([[0, 0, 1, 1]], [1], skeleton=COCO_17).predicted is None


def test_attributes_cannot_be_assigned() -> None:
    with pytest.raises(FrozenInstanceError):
        crowd(1).score = np.zeros(1, np.float32)  # type: ignore[misc]  # this is what must fail


def test_with_columns_leaves_the_original_as_it_was() -> None:
    before = crowd(2)
    after = before.with_columns(track_id=[8, NO_TRACK])
    assert column(before, "track_id").tolist() == [1, 2]
    assert column(after, "track_id").tolist() == [8, NO_TRACK]
    assert after.xyxy.tolist() == before.xyxy.tolist()


def test_with_columns_knows_its_columns() -> None:
    with pytest.raises(TypeError, match="track_ids"):
        crowd(1).with_columns(track_ids=[1])


def test_repr_shows_shapes_not_numbers() -> None:
    assert repr(crowd(3)) == (
        "Instances(xyxy(3, 4), score(3,), class_id(3,), keypoints(3, 17, 2), keypoint_score(3, 17), track_id(3,), "
        "embedding(3, 3), predicted(3,), skeleton=coco-17)"
    )


# Selecting rows


@st.composite
def a_table_and_some_rows(draw: st.DrawFn) -> tuple[int, Any]:
    n = draw(st.integers(0, 6))
    mask = st.lists(st.booleans(), min_size=n, max_size=n)
    indices = st.lists(st.integers(-n, n - 1), max_size=9) if n else st.just([])
    as_arrays = mask.map(lambda rows: np.array(rows, bool)), indices.map(lambda rows: np.array(rows, int))
    return n, draw(st.one_of(mask, indices, *as_arrays, st.slices(n)))


@given(a_table_and_some_rows())
def test_selection_keeps_all_columns_aligned(case: tuple[int, Any]) -> None:
    n, rows = case
    picked = rows if isinstance(rows, slice) else np.array(rows, bool if _is_mask(rows) else int)
    expected = np.arange(n)[picked]
    chosen = crowd(n)[rows]
    assert len(chosen) == len(expected)
    for name in COLUMNS:
        assert np.array_equal(column(chosen, name), column(crowd(n), name)[expected])


def _is_mask(rows: Any) -> bool:
    return len(rows) > 0 and all(isinstance(row, bool | np.bool_) for row in rows)


def test_a_list_of_booleans_is_a_mask() -> None:
    assert column(crowd(3)[[True, False, True]], "track_id").tolist() == [1, 3]


@pytest.mark.parametrize("rows", [[5], np.array([True])], ids=["index", "mask"])
def test_rows_that_are_not_there_are_an_error(rows: Any) -> None:
    with pytest.raises(IndexError):
        crowd(3)[rows]


# Pixels, frames, packets


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 1), np.uint8),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((4, 6, 3), np.int8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((4, 0, 3), np.uint8),
    ],
    ids=["grey", "grey with a channel", "alpha", "float", "signed", "no rows", "no columns"],
)
def test_only_pictures_are_pixels(image: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"must be \(H, W, 3\) uint8 BGR.*image\.shape = .*image\.dtype = "):
        HostPixels(image)


def test_pixels_are_read_only_and_the_callers_array_is_not() -> None:
    mine = np.zeros((4, 6, 3), np.uint8)
    pixels = HostPixels(mine)
    assert (pixels.width, pixels.height) == (6, 4)
    with pytest.raises(ValueError, match="read-only"):
        pixels.bgr()[0, 0, 0] = 1
    assert mine.flags.writeable
    assert np.shares_memory(pixels.bgr(), mine)


def test_a_frame_shows_its_size_and_source_but_not_its_picture() -> None:
    frame = make_frame(7, "door")
    assert (frame.source_id, frame.width, frame.height, frame.image.shape) == ("door", 6, 4, (4, 6, 3))
    assert "pixels" not in repr(frame)


def test_values_are_told_apart_by_identity_and_never_compared() -> None:
    for value, twin in ((make_frame(), make_frame()), (crowd(2), crowd(2)), (make_packet(), make_packet())):
        assert value == value  # noqa: PLR0124 - itself is all it equals
        assert value != twin
        assert len({value, twin}) == 2


def test_a_packet_passes_its_frame_on() -> None:
    packet, people = make_packet(3, "door"), crowd(1)
    after = packet.with_instances(people)
    assert packet.instances is None
    assert (after.frame, after.instances, after.source_id) == (packet.frame, people, "door")
