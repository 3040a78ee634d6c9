"""Motion of boxes against a plain filter: one object, full 8x8 matrices, nothing vectorised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import expm

from trackers.kalman import BoxMotion

Array = NDArray[np.float64]

WALK = np.array([100.0, 50.0, 140.0, 150.0])
FADES = st.sampled_from([np.inf, 0.5])


class PlainFilter:
    """Textbook Kalman filter of one box: state (cx, cy, w, h, their velocities), px and px/s.

    Steps of time are computed by the method of Van Loan (1978), which knows nothing of the formulas in use.
    """

    def __init__(self, xyxy: Array, size_fade_seconds: float = np.inf) -> None:
        z = self.centre_size(xyxy)
        self.drift = np.zeros((8, 8))
        self.drift[:4, 4:] = np.eye(4)
        self.drift[[6, 7], [6, 7]] = -1 / size_fade_seconds
        self.size = self.noise_size(z)
        self.mean = np.concatenate([z, np.zeros(4)])
        self.covariance = np.diag(np.concatenate([self.size / 10, self.size * 30 / 16]) ** 2)

    @staticmethod
    def centre_size(xyxy: Array) -> Array:
        x1, y1, x2, y2 = xyxy
        return np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])

    @staticmethod
    def noise_size(z: Array) -> Array:
        return np.maximum([z[2], z[3], z[2], z[3]], 1.0)

    def predict(self, dt: float) -> None:
        noise = np.diag(np.concatenate([(self.size / 20) ** 2, (self.size * 30 / 160) ** 2]) * 30)
        both = expm(np.block([[-self.drift, noise], [np.zeros((8, 8)), self.drift.T]]) * dt)
        motion = both[8:, 8:].T
        self.mean = motion @ self.mean
        self.covariance = motion @ self.covariance @ motion.T + motion @ both[:8, 8:]

    def update(self, xyxy: Array) -> None:
        look = np.eye(4, 8)
        surprise = self.centre_size(xyxy) - look @ self.mean
        spread = look @ self.covariance @ look.T + np.diag((self.size / 20) ** 2)
        gain = self.covariance @ look.T @ np.linalg.inv(spread)
        self.mean = self.mean + gain @ surprise
        self.covariance = (np.eye(8) - gain @ look) @ self.covariance
        self.size = self.noise_size(self.mean)


def boxes(n: int, rng: np.random.Generator) -> Array:
    corner = rng.uniform(-500, 2000, (n, 2))
    return np.hstack([corner, corner + rng.uniform(0, 400, (n, 2))])


def motion_of(*xyxy: Array, size_fade_seconds: float = np.inf) -> BoxMotion:
    motion = BoxMotion(size_fade_seconds=size_fade_seconds)
    motion.initiate(np.array(xyxy).reshape(-1, 4))
    return motion


def test_no_boxes_can_be_predicted_updated_and_kept() -> None:
    motion = motion_of()
    motion.predict(0.1)
    motion.update(np.empty(0, np.int64), np.empty((0, 4)))
    motion.hold_size(np.empty(0, np.bool_))
    motion.keep(np.empty(0, np.bool_))
    assert len(motion) == 0
    assert motion.xyxy.shape == motion.velocity.shape == (0, 4)
    assert motion.covariance.shape == (0, 4, 2, 2)


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 3),
    steps=st.lists(st.sampled_from([0.0, 1 / 60, 1 / 30, 0.04, 0.2, 1.0, 3.7]), min_size=1, max_size=8),
    fade=FADES,
)
def test_it_agrees_with_a_plain_filter_for_each_box(seed: int, n: int, steps: list[float], fade: float) -> None:
    rng = np.random.default_rng(seed)
    start = boxes(n, rng)
    motion, plain = motion_of(*start, size_fade_seconds=fade), [PlainFilter(box, fade) for box in start]
    for dt in steps:
        motion.predict(dt)
        rows = np.flatnonzero(rng.random(n) < 0.7)
        seen = boxes(len(rows), rng)
        motion.update(rows, seen)
        for one in plain:
            one.predict(dt)
        for row, box in zip(rows, seen, strict=True):
            plain[row].update(box)

    mean = np.array([one.mean for one in plain])
    size = np.maximum(mean[:, 2:4], 0)
    np.testing.assert_allclose(
        motion.xyxy, np.hstack([mean[:, :2] - size / 2, mean[:, :2] + size / 2]), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(motion.velocity, mean[:, 4:], rtol=1e-6, atol=1e-6)
    for got, one in zip(motion.covariance, plain, strict=True):
        blocks = one.covariance.reshape(2, 4, 2, 4)[:, range(4), :, range(4)]
        np.testing.assert_allclose(got, blocks, rtol=1e-6, atol=1e-6)


@given(
    seed=st.integers(0, 2**32 - 1),
    parts=st.lists(st.floats(0, 2, allow_subnormal=False), min_size=1, max_size=8),
    fade=FADES,
)
def test_one_long_step_is_many_short_ones(seed: int, parts: list[float], fade: float) -> None:
    rng = np.random.default_rng(seed)
    start, seen = boxes(3, rng), boxes(3, rng)
    once, often = (motion_of(*start, size_fade_seconds=fade) for _ in range(2))
    for motion in (once, often):
        motion.predict(0.1)
        motion.update(np.arange(3), seen)
    once.predict(sum(parts))
    for part in parts:
        often.predict(part)
    np.testing.assert_allclose(often.xyxy, once.xyxy, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(often.covariance, once.covariance, rtol=1e-9, atol=1e-9)


def test_a_step_of_no_time_changes_nothing() -> None:
    motion = motion_of(WALK)
    motion.predict(0.1)
    motion.update(np.array([0]), WALK[None] + 5)
    before = motion.xyxy, motion.velocity, motion.covariance
    motion.predict(0.0)
    for was, now in zip(before, (motion.xyxy, motion.velocity, motion.covariance), strict=True):
        np.testing.assert_array_equal(now, was)


@pytest.mark.parametrize("step_seconds", [-0.1, np.nan, np.inf], ids=["negative", "nan", "infinite"])
def test_a_step_that_is_no_time_is_refused(step_seconds: float) -> None:
    with pytest.raises(ValueError, match="0 seconds or more"):
        motion_of(WALK).predict(step_seconds)


@pytest.mark.parametrize(
    "steps",
    [np.full(60, 1 / 30), np.full(10, 0.2), np.random.default_rng(5).uniform(0.01, 0.2, 25)],
    ids=["30 fps", "5 fps", "irregular"],
)
def test_the_speed_of_a_walker_is_found_at_any_frame_rate(steps: Array) -> None:
    speed = np.array([90.0, -30.0, 90.0, -30.0])
    motion, now = motion_of(WALK), 0.0
    for dt in steps:
        now += dt
        motion.predict(dt)
        motion.update(np.array([0]), (WALK + speed * now)[None])
    np.testing.assert_allclose(motion.velocity[0], [90, -30, 0, 0], atol=4.0)
    motion.predict(0.5)
    np.testing.assert_allclose(motion.xyxy[0], WALK + speed * (now + 0.5), atol=4.0)


def test_uncertainty_does_not_depend_on_how_often_one_looks_away() -> None:
    fast, slow = motion_of(WALK), motion_of(WALK)
    for _ in range(6):
        fast.predict(1 / 30)
    slow.predict(0.2)
    np.testing.assert_allclose(fast.covariance, slow.covariance, rtol=1e-12)


def test_the_noise_at_30_fps_is_that_of_the_papers() -> None:
    """DeepSORT: h/20 px and h/160 px a frame of process noise; the coupling of both adds under 1 % to the first."""
    motion = motion_of(WALK)
    before = motion.covariance
    motion.predict(1 / 30)
    moved_on = before[:, :, 0, 0] + before[:, :, 1, 1] / 900
    size = np.array([40.0, 100.0, 40.0, 100.0])
    np.testing.assert_allclose(motion.covariance[0, :, 0, 0] - moved_on[0], (size / 20) ** 2, rtol=0.01)
    np.testing.assert_allclose((motion.covariance - before)[0, :, 1, 1], (size / 160 * 30) ** 2)


@given(
    seed=st.integers(0, 2**32 - 1),
    steps=st.lists(st.one_of(st.just(0.0), st.floats(1e-6, 1e4)), min_size=1, max_size=30),
    fade=FADES,
)
def test_covariances_stay_symmetric_and_positive(seed: int, steps: list[float], fade: float) -> None:
    rng = np.random.default_rng(seed)
    motion = motion_of(*boxes(2, rng), np.array([10.0, 10.0, 10.0, 10.0]), size_fade_seconds=fade)
    for dt in steps:
        motion.predict(dt)
        if rng.random() < 0.8:
            motion.update(np.arange(3), boxes(3, rng))
        covariance = motion.covariance
        np.testing.assert_array_equal(covariance, covariance.swapaxes(2, 3))
        assert (np.linalg.eigvalsh(covariance / np.abs(covariance).max(axis=(2, 3), keepdims=True)) > -1e-12).all()
        assert (covariance[:, :, [0, 1], [0, 1]] > 0).all()


@pytest.mark.parametrize(
    "box",
    [[5, 5, 5, 5], [5, 5, 5, 90], [90, 90, 5, 5], [-3e38, -3e38, 3e38, 3e38]],
    ids=["a point", "a line", "inside out", "as large as float32"],
)
def test_an_odd_box_gives_finite_numbers(box: list[float]) -> None:
    motion = motion_of(np.array(box))
    for _ in range(5):
        motion.predict(0.1)
        motion.update(np.array([0]), np.array([box]))
    assert np.isfinite(motion.xyxy).all()
    assert np.isfinite(motion.covariance).all()


def test_a_shrinking_box_ends_at_a_point_and_never_turns_inside_out() -> None:
    motion = motion_of(WALK)
    motion.predict(0.1)
    motion.update(np.array([0]), np.array([[115.0, 90.0, 125.0, 110.0]]))
    motion.predict(10.0)
    x1, y1, x2, y2 = motion.xyxy[0]
    assert x1 == x2
    assert y1 == y2


def test_a_box_that_becomes_narrow_stays_a_box_where_the_velocity_of_its_size_fades() -> None:
    widths = []
    for fade in (np.inf, 0.15):
        motion = motion_of(WALK, size_fade_seconds=fade)
        motion.predict(0.2)
        motion.update(np.array([0]), np.array([[110.0, 50.0, 130.0, 150.0]]))
        motion.predict(0.2)
        x1, _, x2, _ = motion.xyxy[0]
        widths.append(x2 - x1)
    assert widths[0] < 5
    assert widths[1] > 12


def test_a_held_box_moves_on_with_its_size() -> None:
    motion = motion_of(WALK, WALK)
    motion.predict(0.1)
    motion.update(np.arange(2), np.array([[110, 50, 130, 120], [110, 50, 130, 120]]))
    motion.hold_size(np.array([True, False]))
    before = motion.xyxy
    motion.predict(0.1)
    grown = (motion.xyxy[:, 2:] - motion.xyxy[:, :2]) - (before[:, 2:] - before[:, :2])
    np.testing.assert_allclose(grown[0], 0, atol=1e-9)
    assert (grown[1] < -1).all()
    assert (motion.xyxy[0] != before[0]).any()


def test_kept_rows_close_up_and_new_ones_come_last() -> None:
    first, second, third = WALK, WALK + 10, WALK + 20
    motion = motion_of(first, second)
    motion.keep(np.array([False, True]))
    motion.initiate(third[None])
    np.testing.assert_allclose(motion.xyxy, [second, third])
    assert len(motion) == 2


def test_each_box_can_take_a_step_of_its_own() -> None:
    together, alone = motion_of(WALK, WALK + 30), [motion_of(WALK), motion_of(WALK + 30)]
    together.predict(np.array([0.1, 0.7]))
    for one, step in zip(alone, (0.1, 0.7), strict=True):
        one.predict(step)
    np.testing.assert_array_equal(together.xyxy, np.concatenate([one.xyxy for one in alone]))
    np.testing.assert_array_equal(together.covariance, np.concatenate([one.covariance for one in alone]))
    with pytest.raises(ValueError, match="0 seconds or more"):
        together.predict(np.array([0.1, -0.7]))


def test_a_copy_goes_its_own_way_until_it_is_put_back() -> None:
    motion = motion_of(WALK, WALK + 10, WALK + 20)
    copy, before = motion.copy(np.array([2, 0])), motion.xyxy
    copy.predict(0.1)
    copy.update(np.arange(2), np.array([WALK + 50, WALK + 60]))
    np.testing.assert_array_equal(motion.xyxy, before)
    motion.put(np.array([2, 0]), copy)
    np.testing.assert_array_equal(motion.xyxy[[2, 0]], copy.xyxy)
    np.testing.assert_array_equal(motion.covariance[[2, 0]], copy.covariance)
    np.testing.assert_array_equal(motion.xyxy[1], before[1])


def test_a_camera_that_pans_moves_positions_and_nothing_else() -> None:
    motion = motion_of(WALK)
    motion.predict(0.1)
    motion.update(np.array([0]), WALK[None] + 5)
    before = motion.xyxy, motion.velocity, motion.covariance
    motion.warp(np.array([[1.0, 0, 30], [0, 1, -7]]))
    np.testing.assert_allclose(motion.xyxy, before[0] + [30, -7, 30, -7])
    np.testing.assert_array_equal(motion.velocity, before[1])
    np.testing.assert_array_equal(motion.covariance, before[2])


@given(seed=st.integers(0, 2**32 - 1), angle=st.sampled_from([0.0, np.pi / 2, np.pi]), zoom=st.floats(0.3, 3))
def test_seen_through_a_camera_that_turned_and_zoomed_a_walk_is_the_same_walk(
    seed: int, angle: float, zoom: float
) -> None:
    """Turns by right angles swap x and y exactly, and here all sides are alike; others mix what is known of both."""
    rng = np.random.default_rng(seed)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    warp = np.column_stack([turn, rng.uniform(-50, 50, 2)])
    centres = rng.uniform(0, 300, (4, 2))
    squares = np.hstack([centres - 20, centres + 20])
    through = centres @ turn.T + warp[:, 2]
    seen = np.hstack([through - 20 * zoom, through + 20 * zoom])
    motion, other = motion_of(squares[0]), motion_of(seen[0])
    for step, (box, warped) in enumerate(zip(squares[1:], seen[1:], strict=True)):
        motion.predict(0.1)
        other.predict(0.1)
        if step == 2:
            motion.warp(warp)
        motion.update(np.array([0]), (warped if step == 2 else box)[None])
        other.update(np.array([0]), warped[None])
    np.testing.assert_allclose(motion.xyxy, other.xyxy, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(motion.velocity, other.velocity, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(motion.covariance, other.covariance, rtol=1e-6, atol=1e-6)
