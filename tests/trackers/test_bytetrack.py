"""ByteTrack in made-up scenes: who keeps which id, and when."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scenes import FRAME, NOBODY, every, ids_of, people, walk

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances
from trackers.bytetrack import ByteTrack, Options


def test_nobody_ever_leaves_no_ids_and_no_state() -> None:
    tracker = ByteTrack()
    assert ids_of(tracker, [(t, NOBODY) for t in every(FRAME, 5)]) == [[]] * 5
    assert len(tracker._people) == len(tracker._motion) == 0


def test_people_of_the_first_frame_get_their_ids_at_once() -> None:
    assert ids_of(ByteTrack(), [(7.5, people((100, 100), (300, 100)))]) == [[1, 2]]


def test_after_an_empty_first_frame_people_are_confirmed_when_seen_again() -> None:
    assert ids_of(ByteTrack(), [(0, NOBODY), *walk([FRAME, 2 * FRAME])]) == [[], [NO_TRACK], [1]]


def test_a_false_alarm_of_one_frame_spends_no_id() -> None:
    here, ghost = (100, 300), (500, 300)
    scene = [people(here), people(here, ghost), people(here), people(here, (800, 300)), people(here, (801, 300))]
    assert ids_of(ByteTrack(), zip(every(FRAME, 5), scene, strict=True)) == [[1], [1, -1], [1], [1, -1], [1, 2]]


@pytest.mark.parametrize(
    ("confirm_seconds", "expected"),
    [(0.0, [1, 1, 1, 1, 1]), (0.02, [-1, 1, 1, 1, 1]), (0.09, [-1, -1, -1, 1, 1])],
    ids=["at once", "second box", "0.09 s"],
)
def test_confirmation_takes_its_seconds(confirm_seconds: float, expected: list[int]) -> None:
    tracker = ByteTrack(Options(confirm_seconds=confirm_seconds))
    got = ids_of(tracker, [(0, NOBODY), *walk([1 + t for t in every(FRAME, 5)])])
    assert [row[0] for row in got[1:]] == expected


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(every(FRAME, 90), id="30 fps"),
        pytest.param(every(0.2, 15), id="5 fps"),
        pytest.param(every(1 / 3, 9), id="3 fps"),
        pytest.param(np.cumsum(np.random.default_rng(3).uniform(0.005, 0.3, 40)).tolist(), id="irregular"),
        pytest.param([0.0, FRAME, 2 * FRAME, 0.5, 0.5 + FRAME, 0.9, 1.3, 1.3 + FRAME], id="frames skipped"),
        pytest.param([t + 1e9 for t in every(FRAME, 30)], id="far from zero"),
    ],
)
def test_one_walker_is_one_id_at_any_frame_rate(times: list[float]) -> None:
    assert ids_of(ByteTrack(), walk(times)) == [[1]] * len(times)


def test_people_who_cross_keep_their_ids() -> None:
    times = every(FRAME, 90)
    scene = [people((100 + 100 * t, 300), (400 - 100 * t, 310)) for t in times]
    assert ids_of(ByteTrack(), zip(times, scene, strict=True)) == [[1, 2]] * 90


def test_people_who_cross_hidden_by_each_other_keep_their_ids() -> None:
    times = every(FRAME, 90)
    scene = []
    for t in times:
        left, right = (100 + 100 * t, 300), (400 - 100 * t, 310)
        hidden = abs(left[0] - right[0]) < 20
        scene.append(people(left) if hidden else people(left, right))
    got = ids_of(ByteTrack(), zip(times, scene, strict=True))
    assert {tuple(ids) for ids in got if len(ids) == 2} == {(1, 2)}


@pytest.mark.parametrize("step", [FRAME, 0.2], ids=["30 fps", "5 fps"])
@pytest.mark.parametrize(
    ("gap_seconds", "expected"), [(0.25, 1), (1.0, 1), (3.0, 2)], ids=["missed", "one second", "too long"]
)
def test_a_walker_behind_a_pillar_is_known_for_as_long_as_patience_lasts(
    step: float, gap_seconds: float, expected: int
) -> None:
    times = every(step, round(7 / step))
    scene = [(t, table if not 2 < t < 2 + gap_seconds else NOBODY) for t, table in walk(times)]
    assert ids_of(ByteTrack(), scene)[-1] == [expected]


def test_a_gap_without_frames_is_an_absence_like_any_other() -> None:
    tracker = ByteTrack(Options(patience_seconds=1.0))
    assert ids_of(tracker, walk([0, FRAME, 2 * FRAME, 0.9, 5.0, 5.0 + FRAME], speed=0)) == [
        [1], [1], [1], [1], [NO_TRACK], [2],
    ]  # fmt: skip


def test_a_doubtful_box_keeps_somebody_but_starts_nobody() -> None:
    here, elsewhere = (100, 300), (500, 300)
    scene = [
        people(here),
        people(here, elsewhere, score=[0.2, 0.2]),
        people(here, elsewhere, score=[0.2, 0.2]),
        people(here, elsewhere, score=[0.05, 0.2]),
    ]
    assert ids_of(ByteTrack(), zip(every(FRAME, 4), scene, strict=True)) == [[1], [1, -1], [1, -1], [-1, -1]]


def test_a_doubtful_box_does_not_bring_back_the_lost_but_a_sure_one_does() -> None:
    here = (100, 300)
    scene = [people(here), NOBODY, people(here, score=0.2), people(here, score=0.9)]
    assert ids_of(ByteTrack(), zip(every(FRAME, 4), scene, strict=True)) == [[1], [], [-1], [1]]


@pytest.mark.parametrize(("shift_px", "expected"), [(8, 1), (16, NO_TRACK)], ids=["IoU 0.67", "IoU 0.43"])
def test_a_doubtful_box_must_overlap_more_than_a_sure_one(shift_px: float, expected: int) -> None:
    for score, track in ((0.9, 1), (0.2, expected)):
        scene = [(0, people((100, 300))), (FRAME, people((100 + shift_px, 300), score=score))]
        assert ids_of(ByteTrack(), scene)[-1] == [track]


@pytest.mark.parametrize("before", [[], [NOBODY]], ids=["confirmed", "new"])
def test_of_two_boxes_in_one_place_the_surer_one_gets_the_id(before: list[Instances]) -> None:
    scene = [*before, people((100, 300)), people((100, 300), (102, 300), score=[0.5, 0.95])]
    assert ids_of(ByteTrack(), zip(every(FRAME, len(scene)), scene, strict=True))[-1] == [NO_TRACK, 1]


def test_somebody_who_vanishes_while_coming_closer_is_known_when_back() -> None:
    near = [Instances.of([[100 - 3 * i, 200 - 3 * i, 140 + 3 * i, 300 + 3 * i]], [0.9]) for i in range(8)]
    scene = [*near, *[NOBODY] * 45, near[-1]]
    assert ids_of(ByteTrack(), zip(every(FRAME, 54), scene, strict=True))[-1] == [1]


@pytest.mark.parametrize(
    "times",
    [[0.0, FRAME, 2 * FRAME, -100.0, FRAME - 100, 2 * FRAME - 100], [5.0] * 6],
    ids=["goes back", "stands still"],
)
def test_when_time_does_not_move_on_nobody_moves_and_ids_stay(times: list[float]) -> None:
    tracker = ByteTrack()
    scene = [people((100 + 3 * i, 300), (500, 300)) for i in range(6)]
    assert ids_of(tracker, zip(times, scene, strict=True)) == [[1, 2]] * 6
    before = tracker._motion.xyxy
    tracker.update(NOBODY, times[-1] - 10)
    np.testing.assert_array_equal(tracker._motion.xyxy, before)


def test_the_lost_are_forgotten_even_when_time_stands_still() -> None:
    tracker = ByteTrack(Options(patience_seconds=1.0))
    ids_of(tracker, [(0, people((100, 300))), *[(0.0, NOBODY)] * 60])
    assert len(tracker._people) == 0


@pytest.mark.parametrize("pts_seconds", [np.nan, np.inf], ids=["nan", "infinite"])
def test_a_time_that_is_no_time_is_refused(pts_seconds: float) -> None:
    with pytest.raises(ValueError, match="pts_seconds must be finite"):
        ByteTrack().update(NOBODY, pts_seconds)


def test_a_box_given_twice_gets_two_ids_that_last() -> None:
    scene = [(t, people((100, 300), (100, 300))) for t in every(FRAME, 5)]
    assert ids_of(ByteTrack(), scene) == [[1, 2]] * 5


def test_a_box_without_area_disturbs_nobody() -> None:
    table = Instances.of([[80, 250, 120, 350], [100, 300, 100, 300]], [0.9, 0.9])
    tracker = ByteTrack()
    got = ids_of(tracker, [(0, people((100, 300))), *[(t, table) for t in every(FRAME, 6)[1:]]])
    assert got == [[1], *[[1, NO_TRACK]] * 5]
    assert len(tracker._people) <= 2


def test_with_equal_scores_ids_follow_the_order_of_the_rows() -> None:
    centres = [(100.0 * i, 300.0) for i in (3, 1, 2, 0)]
    scene = [(t, people(*centres, score=0.7)) for t in every(FRAME, 3)]
    assert ids_of(ByteTrack(), scene) == [[1, 2, 3, 4]] * 3


def test_a_crowd_of_a_hundred_keeps_its_ids() -> None:
    rng = np.random.default_rng(0)
    start = np.stack(np.meshgrid(np.arange(10) * 60.0, np.arange(10) * 60.0), axis=2).reshape(-1, 2)
    velocity = rng.uniform(-10, 10, (100, 2))
    tracker, seen = ByteTrack(), []
    for t in every(FRAME, 60):
        order = rng.permutation(100)
        centres = start + velocity * t + rng.normal(0, 1, (100, 2))
        track_id = tracker.update(people(*centres[order]), t).track_id
        assert track_id is not None
        seen.append(track_id[np.argsort(order)])
    assert sorted(seen[0].tolist()) == list(range(1, 101))
    np.testing.assert_array_equal(seen, np.broadcast_to(seen[0], (60, 100)))


def test_people_of_different_classes_are_never_the_same() -> None:
    here = (100, 300)
    scene = [people(here, class_id=0), people(here, class_id=1), people(here, class_id=1), people(here, class_id=0)]
    assert ids_of(ByteTrack(), zip(every(FRAME, 4), scene, strict=True)) == [[1], [-1], [2], [1]]


def test_reset_forgets_everybody_and_starts_ids_and_time_again() -> None:
    tracker = ByteTrack()
    ids_of(tracker, walk([10.0, 10.0 + FRAME]))
    tracker.reset()
    assert len(tracker._people) == 0
    assert ids_of(tracker, walk([0.0, FRAME], start=500)) == [[1], [1]]


def test_two_trackers_know_nothing_of_each_other() -> None:
    one, other = ByteTrack(), ByteTrack()
    times = every(FRAME, 4)
    for t in times:
        assert ids_of(one, [(t, people((100, 300), (300, 300)))]) == [[1, 2]]
        assert ids_of(other, [(t, people((900, 300)))]) == [[1]]


def test_ten_thousand_people_come_and_go_and_leave_nothing() -> None:
    tracker = ByteTrack(Options(confirm_seconds=0, patience_seconds=0.5))
    most = 0
    for i in range(1000):
        tracker.update(people(*[(100 * (10 * i + k), 300) for k in range(10)]), i * 0.1)
        most = max(most, len(tracker._people))
        assert len(tracker._people) == len(tracker._motion)
    assert tracker._people._last_id == 10_000
    assert most <= 70  # 10 a frame, for half a second and the frame it ends in
    tracker.update(NOBODY, 1000.0)
    assert len(tracker._people) == len(tracker._motion) == 0


def test_only_the_track_column_changes() -> None:
    table = people((100, 300), (300, 300))
    table = Instances.of(
        table.xyxy,
        table.score,
        keypoints=np.ones((2, 17, 2)),
        keypoint_score=np.ones((2, 17)),
        skeleton=COCO_17,
    )
    tracked = ByteTrack().update(table, 0.0)
    assert tracked.track_id is not None
    assert tracked.track_id.dtype == np.int64
    assert tracked.xyxy is table.xyxy or (tracked.xyxy == table.xyxy).all()
    assert tracked.keypoints is not None
    np.testing.assert_array_equal(tracked.keypoints, np.ones((2, 17, 2)))
    assert tracked.skeleton is COCO_17


def crowd(seed: int, frames: int) -> list[tuple[float, Instances]]:
    """Anything a detector could say: boxes of any size and score, of two classes, at times that may go back."""
    rng = np.random.default_rng(seed)
    scene, now = [], 0.0
    for _ in range(frames):
        now += rng.choice([0.0, FRAME, FRAME, FRAME, 0.2, 5.0, -1.0])
        n = int(rng.integers(0, 8))
        corner = rng.integers(0, 4, (n, 2)) * 30.0
        size = rng.integers(0, 3, (n, 2)) * 40.0
        score, class_id = rng.integers(0, 11, n) / 10, rng.integers(0, 2, n)
        scene.append((now, Instances.of(np.hstack([corner, corner + size]), score, class_id=class_id)))
    return scene


@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_comes_ids_are_unique_in_a_frame_and_without_gaps(seed: int) -> None:
    tracker = ByteTrack(Options(new_track_score=0.4))
    highest, classes = 0, dict[int, int]()
    for (_, table), ids in zip(scene := crowd(seed, 30), ids_of(tracker, scene), strict=True):
        given_ids = [i for i in ids if i != NO_TRACK]
        assert len(ids) == len(table)
        assert len(given_ids) == len(set(given_ids))
        new = sorted(i for i in given_ids if i > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
        for row, track in enumerate(ids):
            if track != NO_TRACK:
                assert classes.setdefault(track, int(table.class_id[row])) == table.class_id[row]
    assert np.isfinite(tracker._motion.xyxy).all()


def test_both_solvers_give_the_same_ids() -> None:
    rng = np.random.default_rng(2)
    start, speed = rng.uniform(0, 900, (12, 2)), rng.uniform(-60, 60, (12, 2))
    scene = [
        (t, people(*(start + speed * t + rng.normal(0, 2, (12, 2))), score=rng.uniform(0.2, 1, 12)))
        for t in every(FRAME, 40)
    ]
    assert ids_of(ByteTrack(Options(solver="munkres")), scene) == ids_of(ByteTrack(), scene)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"high_score": 0.6}, "scores must rise"),
        ({"low_score": 0.5}, "scores must rise"),
        ({"match_iou": 1.5}, "less than or equal to 1"),
        ({"patience_seconds": -1}, "greater than or equal to 0"),
        ({"patience_seconds": float("inf")}, "finite"),
        ({"solver": "greedy"}, "'scipy' or 'munkres'"),
    ],
    ids=["high above new", "low above high", "IoU above 1", "negative patience", "endless patience", "solver"],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options.model_validate(options)
