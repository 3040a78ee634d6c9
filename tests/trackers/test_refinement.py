"""What hindsight makes of tracks: gaps, links, beginnings, brief visits, trembling; in order, and in bounded memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances
from trackers.gaps import PREDICTED_SCORE, between
from trackers.linking import likeness
from trackers.reel import Reel, Sighting, Track
from trackers.refinement import Refinement, RefinementOptions
from trackers.steadying import steadied

FRAME = 1 / 30
Row = tuple[float, int] | tuple[float, int, float]
"""Left side of a box of 40x100, track id, and its score: 0.9 where it is left out."""


def table(*rows: Row) -> Instances:
    xyxy = [[x, 100, x + 40, 200] for x, *_ in rows]
    score = [row[2] if len(row) == 3 else 0.9 for row in rows]
    return Instances.of(xyxy, score).with_columns(track_id=[row[1] for row in rows])


def refined(tables: Sequence[Instances], step: float = FRAME, **options: Any) -> list[Instances]:
    refinement = Refinement(RefinementOptions(**options))
    out = [ready for number, one in enumerate(tables) for ready in refinement.push(one, number * step)]
    return out + refinement.finish()


def ids(tables: Sequence[Instances]) -> list[list[int]]:
    return [[] if one.track_id is None else one.track_id.tolist() for one in tables]


def lefts(tables: Sequence[Instances], track_id: int) -> list[float]:
    return [float(one.xyxy[one.track_id == track_id][0, 0]) for one in tables]


def test_a_source_without_frames_and_frames_without_people_are_fine() -> None:
    assert refined([]) == []
    out = refined([Instances.empty()] * 3)
    assert [len(one) for one in out] == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "hold_seconds"),
    [({}, 2.0), ({"gap_seconds": 0, "min_seconds": 0}, 2.0), ({"gap_seconds": 3}, 3.5), ({"min_seconds": 4}, 4.5)],
    ids=["by default", "never less", "to see who comes back", "to see who was there for long enough"],
)
def test_frames_come_out_in_order_as_soon_as_all_is_known_that_matters(
    options: dict[str, Any], hold_seconds: float
) -> None:
    refinement = Refinement(RefinementOptions(**options))
    assert refinement.options.hold_seconds == hold_seconds
    held = round(4 * hold_seconds)
    counts = [len(refinement.push(table((number, 1)), number / 4)) for number in range(held + 9)]
    assert counts == [0] * held + [1] * 9
    assert len(refinement) == held
    assert [round(float(one.xyxy[0, 0])) for one in refinement.finish()] == list(range(9, held + 9))
    assert len(refinement) == 0


def test_rows_keep_their_order_and_made_up_ones_come_after_them_and_say_so() -> None:
    tables = [table((10 * n, 1), (500, NO_TRACK), (300, 2)) for n in range(20)]
    tables[7] = table((500, NO_TRACK), (300, 2))
    (gap,) = refined(tables, steady_boxes=False)[7:8]
    assert ids([gap]) == [[NO_TRACK, 2, 1]]
    assert gap.predicted is not None
    assert gap.predicted.tolist() == [False, False, True]
    assert gap.xyxy[2].tolist() == pytest.approx([70, 100, 110, 200])
    assert gap.score[2] == pytest.approx(PREDICTED_SCORE)


@pytest.mark.parametrize(("missing", "filled"), [(29, True), (31, False)], ids=["short enough", "too long"])
def test_gaps_are_filled_up_to_their_limit(missing: int, *, filled: bool) -> None:
    tables = (
        [table((n, 1)) for n in range(40)] + [table()] * missing + [table((40 + missing + n, 1)) for n in range(40)]
    )
    out = refined(tables, gap_seconds=1.0)
    assert ids(out)[45] == ([1] if filled else [])
    assert ids(out)[-1] == [1]  # the tracker knows who it is


@pytest.mark.parametrize(("way_px", "filled"), [(60, True), (66, False)], ids=["its own size", "farther"])
def test_who_went_far_unseen_may_have_gone_any_way(way_px: float, *, filled: bool) -> None:
    tables = [table((0, 1))] * 40 + [table()] * 10 + [table((way_px, 1))] * 40  # 40x100: a size is 63 pixels
    assert ids(refined(tables))[45] == ([1] if filled else [])


def test_a_gap_in_a_frame_of_nobody_gets_all_that_is_known_of_the_person() -> None:
    joints, sure = np.full((1, 17, 2), 50.0), np.full((1, 17), 0.8)
    one = Instances.of([[0, 0, 100, 100]], [0.9], keypoints=joints, keypoint_score=sure, skeleton=COCO_17)
    one = one.with_columns(track_id=[4], embedding=[[1.0, 0.0]])
    out = refined([one] * 8 + [Instances.empty()] + [one] * 8)[8]
    assert out.skeleton is COCO_17
    assert out.keypoints is not None
    assert np.allclose(out.keypoints, 50)
    assert out.embedding is not None


def test_half_way_is_half_way_and_joints_are_as_sure_as_where_they_are_known_less() -> None:
    def person(at: float, score: float) -> Instances:
        return Instances.of(
            [[at, at, at + 10, at + 30]], [0.9], skeleton=COCO_17,
            keypoints=np.full((1, 17, 2), at), keypoint_score=np.full((1, 17), score),
        ).with_columns(track_id=[1])  # fmt: skip

    made = between(person(0, 0.9), person(20, 0.3), 0.5)
    assert made.xyxy.tolist() == [[10, 10, 20, 40]]
    assert made.keypoints is not None
    assert made.keypoint_score is not None
    assert np.allclose(made.keypoints, 10)
    assert np.allclose(made.keypoint_score, 0.3)


@pytest.mark.parametrize(("share", "looks"), [(0.4, [1, 0]), (0.6, [0, 1])])
def test_in_between_somebody_looks_as_when_he_was_seen_last_or_next(share: float, looks: list[float]) -> None:
    one = table((0, 1))
    made = between(one.with_columns(embedding=[[1, 0]]), one.with_columns(embedding=[[0, 1]]), share)
    assert made.embedding is not None
    assert made.embedding.tolist() == [looks]


def test_who_was_lost_and_appears_where_he_was_going_goes_on_as_himself() -> None:
    way = [10.0 * n for n in range(60)]
    tables = [table((x, 1)) for x in way[:25]] + [table()] * 10 + [table((x, 2)) for x in way[35:]]
    out = refined(tables)
    assert ids(out) == [[1]] * 60
    assert lefts(out, 1) == pytest.approx(way, abs=3)


@pytest.mark.parametrize(
    "after",
    [
        pytest.param([240.0 - 10 * n for n in range(25)], id="turned about"),
        pytest.param([900.0 + 10 * n for n in range(25)], id="far away"),
        pytest.param([350.0 - 10 * n for n in range(25)], id="comes from elsewhere"),
        pytest.param([100.0] * 25, id="stands behind"),
    ],
)
def test_who_appears_elsewhere_or_moves_otherwise_is_somebody_else(after: list[float]) -> None:
    tables = [table((10.0 * n, 1)) for n in range(25)] + [table()] * 10 + [table((x, 2)) for x in after]
    assert {one for row in ids(refined(tables)) for one in row} == {1, 2}


def test_a_tracker_that_comes_back_to_an_id_that_goes_on_as_another_one_makes_no_twins() -> None:
    tables = [table((0, 1))] * 20 + [table()] * 5 + [table((0, 2))] * 25 + [table((0, 2), (600, 1))] * 20
    out = refined(tables)
    assert ids(out)[:50] == [[1]] * 50
    assert ids(out)[50:] == [[1, 2]] * 20


def seen_by(looks: Sequence[float], pose: float, start: float) -> tuple[Reel, Track]:
    reel, track = Reel(9), Track(1)
    joints = np.full((1, 17, 2), 150.0) + np.linspace(-pose, pose, 17)[:, None]
    reel.append(Instances.empty(), 0.0)
    for number in range(10):
        people = Instances.of(
            [[100, 100, 200, 300]], [0.9], keypoints=joints, keypoint_score=np.ones((1, 17)), skeleton=COCO_17
        ).with_columns(embedding=[looks])
        track.see(Sighting(reel.append(people, start + number * FRAME), 0))
    return reel, track


def test_poses_and_looks_can_only_speak_against_a_link() -> None:
    lost, same = seen_by([1, 0], 10, 1.0)[1], seen_by([1, 0], 10, 1.4)[1]
    assert likeness(lost, same) == pytest.approx(1.0)
    assert likeness(lost, seen_by([0.5, 0.9], 10, 1.4)[1]) == pytest.approx(2 * 0.4856 / 0.6 - 1, abs=1e-3)
    assert likeness(lost, seen_by([0, 1], 10, 1.4)[1]) == 0.0
    assert likeness(lost, seen_by([1, 0], 200, 1.4)[1]) < 0.6
    assert likeness(lost, seen_by([1, 0, 0], 10, 1.4)[1]) == pytest.approx(1.0)  # of another network: nobody knows


def test_people_of_different_classes_are_never_linked() -> None:
    other = table((0, 2)).with_columns(class_id=[1])
    out = refined([table((0, 1))] * 20 + [table()] * 5 + [other] * 20)
    assert ids(out)[-1] == [2]


def test_a_track_gets_its_boxes_from_before_it_had_an_id() -> None:
    tables = (
        [table((900, 7))] + [table((5 * n, NO_TRACK)) for n in range(4)] + [table((20 + 5 * n, 3)) for n in range(20)]
    )
    out = refined(tables, min_seconds=0)
    assert ids(out)[:6] == [[1], [2], [2], [2], [2], [2]]


def test_doubtful_boxes_and_those_of_others_are_no_beginning() -> None:
    tables = [table((0, NO_TRACK, 0.3), (8, 9))] + [table((0, NO_TRACK, 0.3), (8, 9))] + [table((0, 3), (8, 9))] * 20
    assert ids(refined(tables))[1] == [NO_TRACK, 1]


@pytest.mark.parametrize(
    ("frames", "score", "kept"),
    [(4, 0.9, False), (9, 0.9, True), (20, 0.3, False), (60, 0.3, True)],
    ids=["a moment", "long enough", "brief and doubtful", "doubtful for long"],
)
def test_who_was_there_for_a_moment_or_never_surely_gets_no_id(frames: int, score: float, *, kept: bool) -> None:
    tables = [table((900, 1))] * 10 + [table((900, 1), (0, 2, score))] * frames + [table((900, 1))] * 10
    out = ids(refined(tables))
    assert out[10] == [1, 2 if kept else NO_TRACK]


def test_who_must_be_there_for_long_gets_an_id_when_he_was() -> None:
    tables = [table((900, 1))] * 5 + [table((900, 1), (0, 2))] * 40 + [table((900, 1))] * 40
    assert {one for row in ids(refined(tables, step=0.1, min_seconds=3.8)) for one in row} == {1, 2}
    assert {one for row in ids(refined(tables, step=0.1, min_seconds=4.0)) for one in row} == {1, NO_TRACK}


def test_who_was_there_for_a_moment_and_comes_back_to_stay_gets_an_id() -> None:
    other, both = [table((900, 1))], [table((900, 1), (0, 2))]
    out = ids(refined(other * 10 + both * 2 + other * 80 + both * 60 + other * 10))
    assert out[10:12] == [[1, NO_TRACK]] * 2
    assert out[92:152] == [[1, 2]] * 60


def test_who_comes_back_to_the_tracker_after_minutes_is_who_he_was() -> None:
    out = ids(refined([table((0, 3))] * 20 + [table()] * 500 + [table((0, 3))] * 20, step=0.2))
    assert out[:20] == out[-20:] == [[1]] * 20


def test_gaps_of_those_who_get_no_id_are_not_filled() -> None:
    brief = [table((900, 1), (0, 2))] * 2 + [table((900, 1))] + [table((900, 1), (0, 2))] * 2
    out = refined([table((900, 1))] * 10 + brief + [table((900, 1))] * 10)
    assert [len(one) for one in out[10:15]] == [2, 2, 1, 2, 2]


def test_one_picture_is_a_video_that_begins_and_ends_meanwhile() -> None:
    assert ids(refined([table((0, 5), (100, 8))])) == [[1, 2]]


def test_who_stands_stands_still_and_who_turns_about_is_followed() -> None:
    rng = np.random.default_rng(1)
    tables = [table((300 + rng.normal(0, 0.8), 1)) for _ in range(60)]
    assert np.std(lefts(refined(tables)[15:45], 1)) < 0.4 * np.std(lefts(tables[15:45], 1))
    turn = [10.0 * abs(n - 30) for n in range(60)]
    assert lefts(refined([table((x, 1)) for x in turn]), 1) == pytest.approx(turn, abs=2)


def test_steady_boxes_are_never_inside_out_and_a_line_stays_a_line() -> None:
    x = np.linspace(0, 90, 21)
    boxes = np.stack([x, 0 * x, x + 20, 0 * x + 50], axis=-1)[None]
    offset = np.linspace(-4 * FRAME, 16 * FRAME, 21)
    assert steadied(boxes, np.full((1, 21), 0.9), offset, 4)[0].tolist() == pytest.approx(boxes[0, 4].tolist())
    rng = np.random.default_rng(0)
    wild = steadied(rng.uniform(0, 99, (50, 21, 4)), rng.uniform(0, 1, (50, 21)), offset, 4)
    assert (wild[:, 2:] >= wild[:, :2]).all()
    assert steadied(np.empty((0, 21, 4)), np.empty((0, 21)), offset, 4).shape == (0, 4)


def test_times_that_stand_still_or_go_back_hold_nothing_for_ever() -> None:
    for times in ([0.0] * 200, [9.0 - 0.04 * n for n in range(200)]):
        refinement = Refinement()
        out = [one for pts in times for one in refinement.push(table((0, 1)), pts)]
        assert len(refinement) <= 61
        assert len(out) + len(refinement.finish()) == 200


def test_memory_does_not_depend_on_how_long_the_video_is() -> None:
    refinement, most = Refinement(), 0
    for number in range(2500):  # a new person every 5 s, for 10 s
        refinement.push(table(*((50.0 * (k % 20), k + 1) for k in (number // 10, number // 10 + 1))), number * 0.5)
        most = max(most, len(refinement._tracks), len(refinement._reel.frames), len(refinement._newcomers))
    assert most <= 125
    assert refinement._last_id > 240


def test_what_is_wrong_is_said_and_changes_nothing() -> None:
    refinement = Refinement()
    with pytest.raises(ValueError, match="needs track_id, but the table has none"):
        refinement.push(Instances.of([[0, 0, 1, 1]], [0.5]), 0.0)
    with pytest.raises(ValueError, match="pts_seconds must be finite, got nan"):
        refinement.push(table((0, 1)), float("nan"))
    assert len(refinement) == 0
    with pytest.raises(ValidationError, match="less than or equal to 60"):
        RefinementOptions(gap_seconds=61.0)


@given(seed=st.integers(0, 2**32 - 1), step=st.sampled_from([0.033, 0.2, 1.0]))
def test_whatever_comes_rows_are_kept_and_ids_are_unique_and_without_gaps(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(rng.integers(1, 40)):
        some = rng.permutation(8)[: rng.integers(0, 5)]
        rows = [(float(rng.uniform(0, 60)), int(k) if k else NO_TRACK, float(rng.uniform(0.1, 1))) for k in some]
        tables.append(table(*rows))
    out = refined(tables, step, steady_boxes=bool(rng.integers(2)))
    assert len(out) == len(tables)
    highest = 0
    for before, after in zip(tables, out, strict=True):
        assert after.score[: len(before)].tolist() == before.score.tolist()
        assert after.predicted is not None
        assert after.predicted.tolist() == [False] * len(before) + [True] * (len(after) - len(before))
        (given_ids,) = ids([after])
        known = [one for one in given_ids if one != NO_TRACK]
        assert len(set(known)) == len(known)
        assert all(one != NO_TRACK for one in given_ids[len(before) :])
        assert set(range(highest + 1, max([highest, *known]) + 1)) <= set(known)
        highest = max([highest, *known])
