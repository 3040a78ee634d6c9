"""KineSort in made-up scenes: who keeps which id, and what of boxes, poses and looks decides."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scenes import FRAME, NOBODY, every, ids_of, people, posed, walk

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances
from stages.drawing.figures import Walkers
from trackers.kalman import BoxMotion
from trackers.kinesort import KineSort, Options
from trackers.likeness import box_likeness
from trackers.pose_motion import PoseMotion


def crowd(seed: int, frames: int) -> list[tuple[float, Instances]]:
    """Anything at all: boxes of any place and score, two classes, times that jump."""
    rng = np.random.default_rng(seed)
    scene, now = [], 0.0
    for _ in range(frames):
        n = int(rng.integers(0, 8))
        corner = rng.uniform(0, 300, (n, 2))
        size = rng.choice([0.0, 20.0, 80.0], (n, 2))
        scene.append(
            (
                now,
                Instances.of(np.hstack([corner, corner + size]), rng.uniform(0, 1, n), class_id=rng.integers(0, 2, n)),
            )
        )
        now += float(rng.choice([FRAME, 0.2, 0.0, -1.0, 3.0], p=[0.6, 0.2, 0.1, 0.05, 0.05]))
    return scene


def state_size(tracker: KineSort) -> tuple[int, int]:
    return len(tracker._people), len(tracker._known)


def test_nobody_ever_leaves_no_ids_and_no_state() -> None:
    tracker = KineSort()
    assert ids_of(tracker, [(t, NOBODY) for t in every(FRAME, 5)]) == [[]] * 5
    assert state_size(tracker) == (0, 0)


def test_people_of_the_first_frame_get_their_ids_at_once_and_later_ones_when_seen_again() -> None:
    here, late = (100, 300), (500, 300)
    scene = [people(here), people(late, here), people(late, here), people(here, late)]
    assert ids_of(KineSort(), zip(every(FRAME, 4), scene, strict=True)) == [[1], [-1, 1], [2, 1], [1, 2]]


def test_a_false_alarm_of_one_frame_spends_no_id() -> None:
    here = (100, 300)
    scene = [people(here), people(here, (500, 300)), people(here), people(here, (800, 300)), people(here, (801, 300))]
    assert ids_of(KineSort(), zip(every(FRAME, 5), scene, strict=True))[-1] == [1, 2]


@pytest.mark.parametrize(
    "times",
    [
        pytest.param(every(FRAME, 90), id="30 fps"),
        pytest.param(every(0.2, 15), id="5 fps"),
        pytest.param(np.cumsum(np.random.default_rng(3).uniform(0.005, 0.3, 40)).tolist(), id="irregular"),
        pytest.param([0.0, FRAME, 2 * FRAME, 0.5, 0.5 + FRAME, 0.9, 1.3, 1.3 + FRAME], id="frames skipped"),
        pytest.param([t + 1e9 for t in every(FRAME, 30)], id="far from zero"),
    ],
)
def test_one_walker_is_one_id_at_any_frame_rate(times: list[float]) -> None:
    assert ids_of(KineSort(), walk(times)) == [[1]] * len(times)


@pytest.mark.parametrize("step", [FRAME, 0.2], ids=["30 fps", "5 fps"])
def test_people_who_cross_hidden_by_each_other_keep_their_ids(step: float) -> None:
    times, got = every(step, round(3 / step)), set()
    tracker = KineSort()
    for t in times:
        left, right = (100 + 100 * t, 300), (400 - 100 * t, 310)
        hidden = abs(left[0] - right[0]) < 20
        ids = ids_of(tracker, [(t, people(left) if hidden else people(left, right))])[0]
        got |= set() if hidden else {tuple(ids)}
    assert got == {(1, 2)}


@pytest.mark.parametrize("step", [FRAME, 0.2], ids=["30 fps", "5 fps"])
@pytest.mark.parametrize(
    ("gap_seconds", "expected"), [(0.25, 1), (1.0, 1), (3.0, 2)], ids=["missed", "one second", "too long"]
)
def test_a_walker_behind_a_pillar_is_known_for_as_long_as_patience_lasts(
    step: float, gap_seconds: float, expected: int
) -> None:
    scene = [(t, table if not 2 < t < 2 + gap_seconds else NOBODY) for t, table in walk(every(step, round(7 / step)))]
    assert ids_of(KineSort(), scene)[-1] == [expected]


@pytest.mark.parametrize("step", [FRAME, 0.2], ids=["30 fps", "5 fps"])
def test_one_missed_frame_costs_nobody_his_id(step: float) -> None:
    scene = [(t, people((100 + 80 * t, 300), (300 - 80 * t, 420))) for t in every(step, 12)]
    scene[7] = (scene[7][0], NOBODY)
    assert ids_of(KineSort(), scene)[8:] == [[1, 2]] * 4


def test_who_leaves_and_returns_after_long_is_somebody_new_and_no_id_comes_twice() -> None:
    scene = walk(every(FRAME, 30)) + [(t + 10, table) for t, table in walk(every(FRAME, 30))]
    got = [row[0] for row in ids_of(KineSort(), scene)]
    assert got == [1] * 30 + [NO_TRACK] + [2] * 29


def test_a_jump_of_the_camera_changes_no_ids_if_the_warp_is_told() -> None:
    told, untold = KineSort(), KineSort()
    warp = np.array([[1.0, 0.0, 250.0], [0.0, 1.0, -40.0]])
    for i in range(40):
        shift = np.array([250, -40]) if i >= 20 else np.zeros(2)
        seen = people(*(np.array([[100 + 3 * i, 300], [350 + 3 * i, 300]]) + shift))
        with_it = told.update(seen, i * FRAME, None, warp if i == 20 else None).track_id
        without = untold.update(seen, i * FRAME).track_id
    assert with_it is not None
    assert without is not None
    assert with_it.tolist() == [1, 2]
    assert without.tolist() != [1, 2]


@pytest.mark.parametrize(
    ("score", "boxes"),
    [(0.9, 2), (0.8, 2), (0.72, 3), (0.66, 4)],
    ids=["evident", "just evident", "less sure", "just sure"],
)
def test_the_less_sure_the_boxes_of_a_newcomer_the_longer_he_waits_for_his_id(score: float, boxes: int) -> None:
    here, late = (100, 300), (500, 300)
    scene = [people(here), *[people(here, late, score=[0.95, score])] * 6]
    got = [ids[-1] for ids in ids_of(KineSort(), zip(every(FRAME, 7), scene, strict=True))][1:]
    assert got == [NO_TRACK] * (boxes - 1) + [2] * (7 - boxes)


def test_people_whom_a_small_detector_is_less_sure_of_get_their_ids_too() -> None:
    here, there = (100, 300), (500, 300)
    scene = [people(here, there, score=[0.7, 0.55])] * 60
    assert ids_of(KineSort(), zip(every(FRAME, 60), scene, strict=True))[-1] == [1, 2]


def test_where_only_very_doubtful_boxes_are_seen_there_is_nobody() -> None:
    scene = [people((100, 300), (500, 300), score=[0.3, 0.4])] * 300
    assert ids_of(KineSort(), zip(every(FRAME, 300), scene, strict=True))[-1] == [NO_TRACK, NO_TRACK]


def test_a_doubtful_box_keeps_somebody_but_starts_nobody() -> None:
    here, elsewhere = (100, 300), (500, 300)
    scene = [people(here), *[people(here, elsewhere, score=[0.3, 0.3])] * 3, people(here, score=0.05)]
    assert ids_of(KineSort(), zip(every(FRAME, 5), scene, strict=True)) == [[1], [1, -1], [1, -1], [1, -1], [-1]]


def test_the_second_box_of_somebody_who_is_there_starts_no_track() -> None:
    scene = [people((100, 300)), *[people((100, 300), (103, 302), score=[0.9, 0.8])] * 10]
    assert ids_of(KineSort(), zip(every(FRAME, 11), scene, strict=True))[-1] == [1, NO_TRACK]


def test_identical_boxes_with_identical_scores_are_one_person_and_the_rest_nobody() -> None:
    scene = [people((100, 300)), *[people((100, 300), (100, 300), (100, 300))] * 5]
    for ids in ids_of(KineSort(), zip(every(FRAME, 6), scene, strict=True))[1:]:
        assert sorted(ids) == [NO_TRACK, NO_TRACK, 1]


def test_with_equal_scores_ids_follow_the_order_of_the_rows() -> None:
    centres = [(100.0 * i, 300.0) for i in (3, 1, 2, 0)]
    scene = [(t, people(*centres, score=0.7)) for t in every(FRAME, 3)]
    assert ids_of(KineSort(), scene) == [[1, 2, 3, 4]] * 3


def test_people_of_different_classes_are_never_the_same() -> None:
    scene = [people((100, 300), class_id=i % 2) for i in range(6)]
    got = ids_of(KineSort(), zip(every(FRAME, 6), scene, strict=True))
    assert {i for ids in got[::2] for i in ids}.isdisjoint({i for ids in got[1::2] for i in ids if i > 0})


def test_boxes_without_area_are_borne() -> None:
    flat = Instances.of([[5, 5, 5, 5], [10, 10, 10, 90], [90, 90, 5, 5]], [0.9, 0.9, 0.9])
    tracker = KineSort()
    for t in every(FRAME, 5):
        assert len(tracker.update(flat, t)) == 3
    assert np.isfinite(tracker._known.motion.xyxy).all()


def test_time_that_goes_back_is_no_step_and_the_lost_still_age() -> None:
    tracker = KineSort(Options(patience_seconds=0.5))
    assert ids_of(tracker, [(100.0, people((100, 300))), (3.0, people((101, 300)))]) == [[1], [1]]
    ids_of(tracker, [(3.0, NOBODY)] * 20)
    assert state_size(tracker) == (0, 0)


@pytest.mark.parametrize("pts_seconds", [np.nan, np.inf], ids=["nan", "infinite"])
def test_a_frame_without_a_time_is_refused(pts_seconds: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        KineSort().update(NOBODY, pts_seconds)


def test_a_crowd_of_a_hundred_keeps_its_ids_and_its_order_of_rows() -> None:
    rng = np.random.default_rng(1)
    start = np.stack(np.meshgrid(np.arange(20) * 90.0, np.arange(5) * 190.0), axis=-1).reshape(-1, 2)
    speed = rng.uniform(-15, 15, (100, 2))
    tracker, order = KineSort(), np.arange(100)
    for i in range(60):
        seen = people(*(start + speed * i * FRAME + rng.normal(0, 1.5, (100, 2)))[order])
        track_id = tracker.update(seen, i * FRAME).track_id
        assert track_id is not None
        np.testing.assert_array_equal(track_id, order + 1)
        order = rng.permutation(100)


def test_it_begins_anew_after_reset() -> None:
    tracker = KineSort()
    first = ids_of(tracker, crowd(4, 40))
    tracker.reset()
    assert ids_of(tracker, crowd(4, 40)) == first


def test_the_state_stays_small_while_thousands_come_and_go() -> None:
    tracker, most = KineSort(), 0
    for i in range(3000):  # a new place every third frame: everybody is confirmed and lost at once
        tracker.update(people((300 * (i // 3 % 50), 300), (300 * (i // 3 % 50), 900)), i * FRAME)
        most = max(most, len(tracker._people))
    assert tracker._people._last_id > 1000
    assert most <= 2 * 1.5 * 30 / 3 + 10


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_comes_ids_are_unique_in_a_frame_without_gaps_and_never_used_again(seed: int) -> None:
    tracker, highest = KineSort(), 0
    for (_, table), ids in zip(scene := crowd(seed, 30), ids_of(tracker, scene), strict=True):
        given_ids = [i for i in ids if i != NO_TRACK]
        assert len(ids) == len(table)
        assert len(given_ids) == len(set(given_ids))
        new = sorted(i for i in given_ids if i > highest)
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
    assert np.isfinite(tracker._known.motion.xyxy).all()


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_both_solvers_give_the_same_ids(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(0, 600, (10, 2)), rng.uniform(-60, 60, (10, 2))
    scene = [
        (t, people(*(start + speed * t + rng.normal(0, 2, (10, 2))), score=rng.uniform(0.3, 1, 10)))
        for t in every(FRAME, 25)
    ]
    assert ids_of(KineSort(Options(solver="munkres")), scene) == ids_of(KineSort(), scene)


def hidden_walkers(seed: int, count: int, times: list[float]) -> Iterator[tuple[float, Instances, np.ndarray]]:
    """Walkers as a detector sees them: noise, misses, who is behind is cut short of score; and who is who."""
    walkers, rng = Walkers(count, 1280, 720, seed), np.random.default_rng(seed + 100)
    for t in times:
        truth = walkers.truth(t)
        boxes, joints = truth.xyxy.astype(np.float64), np.asarray(truth.keypoints, np.float64)
        nearer = boxes[None, :, 3] > boxes[:, None, 3]
        size = boxes[:, 2:] - boxes[:, :2]
        low, high = (
            f(boxes[:, None, s], boxes[None, :, s]) for f, s in ((np.maximum, slice(2)), (np.minimum, slice(2, 4)))
        )
        covered = np.where(nearer, np.maximum(high - low, 0).prod(axis=2) / size.prod(axis=1)[:, None], 0).max(axis=1)
        inside = (joints[:, None] > boxes[None, :, None, :2]) & (joints[:, None] < boxes[None, :, None, 2:])
        unseen = (inside.all(axis=3) & nearer[:, :, None]).any(axis=1)
        height = size[:, 1, None]
        boxes += rng.normal(0, 0.02, boxes.shape) * height
        joints += rng.normal(0, 1, joints.shape) * (np.where(unseen, 0.05, 0.02) * height)[..., None]
        score = np.clip(0.93 - 0.75 * covered**1.5 + rng.normal(0, 0.03, count), 0.11, 0.99)
        kept = rng.permutation(np.flatnonzero(rng.random(count) > 0.05 + np.clip((covered - 0.4) / 0.5, 0, 1) * 0.9))
        yield t, Instances.of(
            boxes[kept], score[kept], keypoints=joints[kept], skeleton=COCO_17,
            keypoint_score=np.where(unseen, 0.3, 0.85)[kept],
        ), kept  # fmt: skip


def switches(seed: int, times: list[float], *, with_pose: bool) -> int:
    tracker, last, total = KineSort(), dict[int, int](), 0
    for t, table, who in hidden_walkers(seed, 6, times):
        seen = table if with_pose else Instances.of(table.xyxy, table.score)
        for person, track in zip(who.tolist(), ids_of(tracker, [(t, seen)])[0], strict=True):
            if track != NO_TRACK:
                total += last.get(person, track) != track
                last[person] = track
    return total


# Measured: 11 and 46; 154 and 207, where most are people who come back after they were hidden, as somebody new.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("times", "share"),
    [pytest.param(every(FRAME, 300), 0.5, id="30 fps"), pytest.param(every(0.2, 150), 0.85, id="5 fps")],
)
def test_with_their_poses_people_who_cross_switch_less_often(times: list[float], share: float) -> None:
    with_pose, without = (sum(switches(seed, times, with_pose=pose) for seed in range(5)) for pose in (True, False))
    assert without > 20
    assert with_pose <= share * without


def test_at_one_place_the_pose_decides() -> None:
    """Two people stand at one place, one with raised arms; their boxes change places from frame to frame."""
    raised, hanging = np.zeros((17, 2)), np.zeros((17, 2))
    raised[7:11, 1], hanging[7:11, 1] = -50, 30
    to_the_left = np.array([-3.0, 0])
    table = posed((100, 300), (106, 300), joints=np.stack([raised - to_the_left, hanging + to_the_left]))
    changed = posed((106, 300), (100, 300), joints=np.stack([raised + to_the_left, hanging - to_the_left]))
    got = ids_of(KineSort(), [(t, changed if i % 2 else table) for i, t in enumerate(every(FRAME, 10))])
    assert got == [[1, 2]] * 10


def test_poses_may_come_and_go_and_change_their_kind() -> None:
    tracker = KineSort()
    scene = [people((100, 300)), posed((100, 300)), people((100, 300), (400, 300)), posed((100, 300), (400, 300))]
    assert ids_of(tracker, zip(every(FRAME, 8), scene * 2, strict=True))[-1] == [1, 2]


def test_at_one_place_looks_decide() -> None:
    red, blue = [1.0, 0.0], [0.0, 1.0]
    tracker, got = KineSort(), []
    for i, t in enumerate(every(FRAME, 10)):
        places = [(106, 300), (100, 300)] if i % 2 else [(100, 300), (106, 300)]
        got += ids_of(tracker, [(t, people(*places).with_columns(embedding=[red, blue]))])
    assert got == [[1, 2]] * 10


def test_looks_may_come_and_go_and_change_their_length() -> None:
    tracker, here = KineSort(), people((100, 300), (400, 300))
    for i, length in enumerate((0, 4, 4, 0, 8, 8)):
        seen = here.with_columns(embedding=np.ones((2, length))) if length else here
        assert ids_of(tracker, [(i * FRAME, seen)]) == [[1, 2]]


def test_joints_that_nobody_is_sure_of_say_nothing() -> None:
    motion = PoseMotion(COCO_17.sigmas)
    joints = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    motion.append(joints, np.zeros((1, 17)))
    assert motion.fit(np.array([0]), np.array([4000.0]), joints, np.ones((1, 17))) == [0.0]


def test_a_pose_at_its_place_speaks_for_a_pair_and_another_one_against_it() -> None:
    motion = PoseMotion(COCO_17.sigmas)
    joints = np.random.default_rng(0).uniform(0, 100, (1, 17, 2))
    motion.append(joints, np.ones((1, 17)))
    row, area, sure = np.array([0]), np.array([4000.0]), np.ones((1, 17))
    assert motion.fit(row, area, joints, sure) == pytest.approx(0.6)
    assert motion.fit(row, area, joints + 100, sure) == pytest.approx(-0.4)


def test_an_arm_that_swings_is_expected_further_on() -> None:
    motion = PoseMotion(COCO_17.sigmas)
    joints = np.zeros((1, 17, 2))
    motion.append(joints, np.ones((1, 17)))
    for _ in range(6):
        motion.predict(FRAME, np.zeros((1, 2)))
        joints[0, 9, 0] += 10.0  # 300 px/s
        motion.update(np.array([0]), joints, np.full((1, 17), 0.9))
    motion.predict(FRAME, np.zeros((1, 2)))
    assert 3 < motion._joints[0, 9, 0] - joints[0, 9, 0] < 15
    assert abs(motion._joints[0, 0]).max() < 1e-9


@pytest.mark.parametrize(
    ("margin", "height_weight", "expected"),
    [(0.0, 0.0, 0.0), (10.0, 0.0, 1200 / (2 * 7200 - 1200)), (0.0, 1.0, 0.0)],
    ids=["as they are", "grown", "heights"],
)
def test_boxes_that_miss_each_other_are_alike_once_they_have_grown(
    margin: float, height_weight: float, expected: float
) -> None:
    a, b = np.array([[0.0, 0, 40, 100]]), np.array([[50.0, 0, 90, 100]])
    got = box_likeness(a, b, margin=np.full((1, 2), margin), height_weight=height_weight)
    assert got == pytest.approx(expected)


def test_heights_tell_boxes_apart_that_overlap_alike() -> None:
    here, same, lower = np.array([[0.0, 0, 100, 100]]), [[20.0, 0, 120, 100]], [[0.0, 20, 100, 120]]
    got = box_likeness(here, np.array(same + lower), height_weight=1.0)[0]
    assert got == pytest.approx([2 / 3, (2 / 3) * (2 / 3)])


def test_a_doubted_box_and_a_steady_walker_move_the_belief_less() -> None:
    here, there = people((100, 300)).xyxy, people((120, 300)).xyxy
    moved = []
    for swerve, doubt in ((1.0, 1.0), (1.0, 4.0), (0.3, 1.0)):
        motion = BoxMotion(swerve)
        motion.initiate(here)
        motion.predict(1.0)
        motion.update(np.array([0]), there, np.array([doubt]))
        moved.append(motion.xyxy[0, 0] - here[0, 0])
    assert moved[1] < moved[0] < 20
    assert moved[2] < moved[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low_score": 0.9}, "low_score must not be above high_score"),
        ({"match_likeness": 1.5}, "less than or equal to 1"),
        ({"growth": -1}, "greater than or equal to 0"),
        ({"patience_seconds": float("inf")}, "finite"),
        ({"pose_weigth": 1}, "Extra inputs"),
    ],
    ids=["low above high", "likeness above 1", "shrinking", "endless patience", "misspelt"],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options.model_validate(options)
