"""Steady joints: what is left alone, what is followed, what is forgotten."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from pipeline.skeletons import COCO_17, MPII_16, Skeleton
from pipeline.types import NO_TRACK, Instances
from trackers.smoothing import JointSmoothing, Strength

HEIGHT = 200.0
JOINTS = np.random.default_rng(7).uniform(0, HEIGHT, (17, 2))
STRENGTHS: list[Strength] = ["light", "strong"]


def seen(
    joints: ArrayLike,
    score: ArrayLike = 0.9,
    *,
    track_id: ArrayLike = (1,),
    height: float = HEIGHT,
    skeleton: Skeleton = COCO_17,
) -> Instances:
    """People whose joints are all at one place each, or where they are given: shape (n, k, 2) or less."""
    ids = np.asarray(track_id)
    shape = (len(ids), len(skeleton))
    table = Instances.of(
        np.tile([0, 0, height / 2, height], (len(ids), 1)),
        np.ones(len(ids)),
        keypoints=np.broadcast_to(joints, (*shape, 2)),
        keypoint_score=np.broadcast_to(score, shape),
        skeleton=skeleton,
    )
    return table.with_columns(track_id=ids)


def joints_of(people: Instances) -> NDArray[np.float64]:
    assert people.keypoints is not None
    return people.keypoints.astype(np.float64)


def follow(
    path: ArrayLike, fps: float = 30, strength: Strength = "light", score: float = 0.9, height: float = HEIGHT
) -> NDArray[np.float64]:
    """Give where the joints of one person are shown who is seen on a path, shape (frames, k, 2)."""
    joints = JointSmoothing(strength)
    frames = (seen(place, score, height=height) for place in np.asarray(path, np.float64))
    return np.stack([joints_of(joints.update(people, i / fps))[0] for i, people in enumerate(frames)])


def noise(frames: int, size: float, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, size, (frames, 17, 2)) + JOINTS


# What is left alone


def test_a_table_of_nobody_is_given_back() -> None:
    nobody = Instances.empty(COCO_17).with_columns(track_id=[])
    got = JointSmoothing().update(nobody, 0.0)
    assert len(got) == 0
    assert got.skeleton is COCO_17


@pytest.mark.parametrize("people", [seen(JOINTS).with_columns(track_id=None), Instances.of([[0, 0, 9, 9]], [1.0])])
def test_a_table_without_ids_or_joints_is_given_back_as_it_is(people: Instances) -> None:
    assert JointSmoothing().update(people, 0.0) is people


def test_who_has_no_id_is_left_alone_beside_those_who_have_one() -> None:
    joints = JointSmoothing()
    joints.update(seen([[[0, 0]], [[50, 50]]], track_id=[NO_TRACK, 4]), 0.0)
    got = joints_of(joints.update(seen([[[1, 0]], [[51, 50]]], track_id=[NO_TRACK, 4]), 1 / 30))
    np.testing.assert_array_equal(got[0], np.tile([1, 0], (17, 1)))
    assert (got[1, :, 0] < 51).all()


def test_everything_but_joints_is_left_alone_and_the_callers_table_too() -> None:
    joints = JointSmoothing()
    joints.update(seen(0.0), 0.0)
    people = seen(1.0).with_columns(embedding=[[1.0, 2.0]], predicted=[True])
    got = joints.update(people, 1 / 30)
    for column in ("xyxy", "score", "class_id", "keypoint_score", "track_id", "embedding", "predicted", "skeleton"):
        np.testing.assert_array_equal(getattr(got, column), getattr(people, column), column)
    assert (joints_of(people) == 1.0).all()
    assert (joints_of(got) < 1.0).all()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_what_does_not_move_stays_to_the_last_bit(strength: Strength) -> None:
    shown = follow([JOINTS] * 20, strength=strength)
    np.testing.assert_array_equal(shown, np.broadcast_to(JOINTS.astype(np.float32), shown.shape))


# What is followed


@pytest.mark.parametrize(("strength", "left"), [("light", 0.35), ("strong", 0.17)])
def test_trembling_goes(strength: Strength, left: float) -> None:
    path = noise(300, 0.01 * HEIGHT)
    shown = follow(path, strength=strength)
    assert np.diff(shown[30:], axis=0).std() < left * np.diff(path[30:], axis=0).std()


@pytest.mark.parametrize("fps", [5, 12.5, 30])
@pytest.mark.parametrize(("strength", "most_ms"), [("light", 25), ("strong", 60)])
def test_who_walks_is_shown_where_he_is(fps: float, strength: Strength, most_ms: float) -> None:
    speed = 0.8 * HEIGHT
    path = np.arange(0, 4, 1 / fps)[:, None, None] * [speed, 0]
    lag = (path - follow(path, fps, strength))[-1, 0, 0] / speed
    assert 0 <= lag * 1000 < most_ms


def test_a_skipped_frame_is_a_larger_step() -> None:
    """Somebody begins to walk; some frames are lost: at the others he is shown where he would be without the loss."""
    every = np.arange(60) / 30
    path = np.maximum(every - 0.5, 0) * 0.5 * HEIGHT
    kept = np.flatnonzero(np.random.default_rng(3).random(60) < 0.6)
    whole, some = JointSmoothing("strong"), JointSmoothing("strong")
    shown = np.array([joints_of(whole.update(seen(x), t))[0, 0, 0] for t, x in zip(every, path, strict=True)])
    fewer = np.array([joints_of(some.update(seen(path[i]), every[i]))[0, 0, 0] for i in kept])
    assert np.abs(fewer - shown[kept]).max() < 0.02 * HEIGHT
    assert np.abs(path - shown).max() > 0.02 * HEIGHT


def test_one_step_does_what_six_small_ones_do() -> None:
    """After a jump so small that its speed does not matter."""
    slow, fast = JointSmoothing("strong"), JointSmoothing("strong")
    for joints in (slow, fast):
        joints.update(seen(0.0, height=1e6), 0.0)
    (late,) = [joints_of(slow.update(seen(1.0, height=1e6), 0.2))]
    *_, last = [joints_of(fast.update(seen(1.0, height=1e6), i / 30)) for i in range(1, 7)]
    np.testing.assert_allclose(late, last, rtol=1e-4)


@pytest.mark.parametrize("height", [HEIGHT, 1e6], ids=["fast", "so slow that speed does not matter"])
def test_of_two_joints_the_more_doubtful_one_follows_less(height: float) -> None:
    joints = JointSmoothing()
    joints.update(seen(0.0, height=height), 0.0)
    score = np.linspace(0.05, 1, 17)
    got = joints_of(joints.update(seen([1.0, 0.0], score, height=height), 1 / 30))[0, :, 0]
    assert (np.diff(got) > 0).all()
    assert got[8] < 0.7 * got[16]


def test_a_joint_that_was_not_seen_is_given_as_it_came_and_changes_nothing() -> None:
    with_gap, without = JointSmoothing(), JointSmoothing()
    score = np.where(np.arange(17) == 3, 0.0, 0.9)
    for joints in (with_gap, without):
        joints.update(seen(JOINTS), 0.0)
    got = joints_of(with_gap.update(seen(JOINTS + 500, score), 1 / 30))[0]
    np.testing.assert_allclose(got[3], JOINTS[3] + 500, rtol=1e-6)
    back = joints_of(with_gap.update(seen(JOINTS + 1), 2 / 30))[0]
    np.testing.assert_array_equal(back[3], joints_of(without.update(seen(JOINTS + 1), 2 / 30))[0, 3])


@pytest.mark.parametrize("score", [-0.2, 1.7])
def test_scores_beyond_their_range_count_as_its_ends(score: float) -> None:
    """Heat maps go a little below 0 and above 1."""
    end = float(np.clip(score, 0, 1))
    np.testing.assert_array_equal(follow(noise(9, 3), score=score), follow(noise(9, 3), score=end))


# What is forgotten


@pytest.mark.parametrize("step", [1.5, 0.0, -1.0, -1e6], ids=["long away", "the same time", "back", "far back"])
def test_after_a_gap_or_where_time_does_not_go_on_joints_begin_anew(step: float) -> None:
    joints = JointSmoothing("strong")
    joints.update(seen(0.0), 5.0)
    assert (joints_of(joints.update(seen(1.0), 5.0 + step)) == 1.0).all()


def test_who_comes_back_soon_is_known_and_who_comes_back_late_is_not() -> None:
    for away, is_known in ((0.5, True), (1.5, False)):
        joints = JointSmoothing("strong")
        joints.update(seen(0.0, track_id=[1]), 0.0)
        for t in np.arange(0.1, away, 0.1):
            joints.update(seen(9.0, track_id=[2]), float(t))
        got = joints_of(joints.update(seen([[[1.0]], [[9.0]]], track_id=[1, 2]), away))
        assert (got[0] < 1.0).all() == is_known
        assert (got[1] == 9.0).all()


def test_another_skeleton_begins_anew_at_once() -> None:
    joints = JointSmoothing("strong")
    joints.update(seen(0.0), 0.0)
    assert (joints_of(joints.update(seen(1.0, skeleton=MPII_16), 1 / 30)) == 1.0).all()
    assert (joints_of(joints.update(seen(2.0), 2 / 30)) == 2.0).all()


def test_memory_is_bounded_by_who_was_there_in_the_last_second() -> None:
    joints = JointSmoothing()
    for i in range(500):
        joints.update(seen(0.0, score=float(i % 2), track_id=[i]), i / 10)
        assert len(joints._ids) == len(joints._joints) <= 12


# Properties


@st.composite
def films(draw: st.DrawFn) -> list[tuple[float, Instances]]:
    """People who come and go, anywhere, with any scores, at any times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    largest = draw(st.sampled_from([1.0, 1e3, 1e30]))
    return list(_frames(rng, largest))


def _frames(rng: np.random.Generator, largest: float) -> Iterator[tuple[float, Instances]]:
    now = 0.0
    for _ in range(12):
        ids = rng.permutation(5)[: rng.integers(0, 5)] + NO_TRACK
        ids = np.unique(ids)
        where = rng.uniform(-largest, largest, (len(ids), 17, 2))
        score = rng.choice([0.0, 1e-30, 0.3, 1.0], (len(ids), 17))
        yield now, seen(where, score, track_id=ids, height=float(rng.choice([0.0, 50.0, largest])))
        now += float(rng.choice([1 / 30, 1e-300, 1e-7, 0.0, 0.2, 0.9, 3.0, -1.0]))


@given(films(), st.sampled_from(STRENGTHS))
def test_no_joint_is_shown_outside_of_where_it_was_seen(
    film: list[tuple[float, Instances]], strength: Strength
) -> None:
    joints = JointSmoothing(strength)
    low: dict[int, NDArray[np.float64]] = {}
    high: dict[int, NDArray[np.float64]] = {}
    for now, people in film:
        got = joints_of(joints.update(people, now))
        assert people.track_id is not None
        for track_id, was, shown in zip(people.track_id.tolist(), joints_of(people), got, strict=True):
            low[track_id] = np.minimum(low.get(track_id, was), was)
            high[track_id] = np.maximum(high.get(track_id, was), was)
            slack = 1e-6 * np.abs(was).max()
            assert ((low[track_id] - slack <= shown) & (shown <= high[track_id] + slack)).all()


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.1, 20),
    st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
    st.floats(-np.pi, np.pi),
    st.sampled_from(STRENGTHS),
)
def test_people_are_steadied_alike_wherever_and_however_large_they_are_and_whichever_way_they_go(
    seed: int, scale: float, shift: tuple[float, float], angle: float, strength: Strength
) -> None:
    path = noise(8, 5, seed) - JOINTS
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = follow(path @ turn.T + shift, strength=strength, height=HEIGHT * scale)
    atol = 1e-5 * (np.abs(shift).max() + 50 * scale)
    np.testing.assert_allclose(moved, follow(path, strength=strength) @ turn.T + shift, atol=atol)
