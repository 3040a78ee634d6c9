from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.media.streams.timeline import LiveTimeline

RTP = Fraction(1, 90_000)
FRAME = 3600
"""Ticks of a frame at 25 a second."""


def run(frames: Sequence[tuple[int | None, float]]) -> list[float]:
    timeline = LiveTimeline(RTP)
    return [timeline.seconds(pts, arrived) for pts, arrived in frames]


def steady(first_pts: int, count: int, since: float = 1000.0) -> list[tuple[int | None, float]]:
    return [(first_pts + FRAME * i, since + i * 0.04) for i in range(count)]


def steps(times: list[float]) -> list[float]:
    return [round(later - earlier, 4) for earlier, later in pairwise(times)]


@pytest.mark.parametrize("first", [0, 7, 10**9, -(10**6)])
def test_a_steady_clock_is_passed_on_exactly(first: int) -> None:
    assert run(steady(first, 4)) == [pts / 90_000 for pts, _ in steady(first, 4) if pts is not None]


def test_uneven_arrival_does_not_make_time_uneven() -> None:
    arrivals = [1000.0, 1000.3, 1000.31, 1000.32, 1000.33, 1000.5]
    assert steps(run([(FRAME * i, at) for i, at in enumerate(arrivals)])) == [0.04] * 5


def test_a_missing_first_pts_begins_at_zero_and_the_next_one_counts() -> None:
    assert run([(None, 1000.0), (FRAME, 1000.04), (2 * FRAME, 1000.08)]) == [0.0, 0.04, 0.08]


def test_a_missing_first_pts_before_a_clock_that_is_far_on_goes_by_arrival() -> None:
    assert steps(run([(None, 1000.0), *steady(10**9, 3, 1000.04)])) == [0.04, 0.04, 0.04]


def test_without_any_pts_time_is_arrival() -> None:
    times = run([(None, 1000.0), (None, 1000.1), (None, 1000.1), (None, 1002.0)])
    assert times == pytest.approx([0, 0.1, 0.1 + 1 / 90_000, 2 + 1 / 90_000], abs=1e-9)


def test_a_pts_that_stands_still_goes_by_arrival() -> None:
    assert steps(run([(FRAME, 1000.0 + i / 10) for i in range(4)])) == [0.1] * 3


@pytest.mark.parametrize("bits", [32, 33])
def test_a_counter_that_wraps_goes_on_exactly(bits: int) -> None:
    frames = [((2**bits - 2 * FRAME + FRAME * i) % 2**bits, 1000 + i * 0.04 + (i % 3) * 0.01) for i in range(6)]
    assert steps(run(frames)) == [0.04] * 5


def test_two_wraps_are_two_wraps() -> None:
    day = [((i * 20_000 * 90_000) % 2**32, i * 20_000.0) for i in range(6)]
    assert steps(run(day)) == [20_000.0] * 5


@pytest.mark.parametrize("jump_seconds", [-3600, -1, -0.5, 1.5, 10, 3600, 10**6])
def test_a_camera_that_sets_its_clock_goes_on_by_the_time_that_passed(jump_seconds: float) -> None:
    frames = steady(10**9, 50) + steady(10**9 + 50 * FRAME + int(jump_seconds * 90_000), 50, 1002.0)
    assert steps(run(frames)) == [0.04] * 99


def test_a_clock_set_twice_goes_on_both_times() -> None:
    frames = steady(10**9, 5) + steady(0, 5, 1000.2) + steady(10**9, 5, 1000.4)
    assert steps(run(frames)) == [0.04] * 14


def test_a_small_step_back_is_disorder_and_does_not_move_the_clock() -> None:
    times = run([(pts * FRAME, 1000 + i * 0.04) for i, pts in enumerate((0, 1, 3, 2, 4))])
    assert times == [0.0, 0.04, 0.12, 0.12 + 1 / 90_000, 0.16]


def test_frames_that_were_held_back_keep_their_times() -> None:
    """Nothing for 4 s, then everything at once; and after that as before."""
    held = [(FRAME * i, 1000 + max(i * 0.04, 5.0 if 25 <= i < 125 else 0)) for i in range(150)]
    assert steps(run(held)) == [0.04] * 149


def test_a_burst_at_the_start_keeps_its_times() -> None:
    """Some servers send what they have since the last key frame at once."""
    burst = [(FRAME * i, 1000 + max(0, (i - 250) * 0.04)) for i in range(300)]
    assert steps(run(burst)) == [0.04] * 299


def test_a_pause_of_the_camera_is_a_pause() -> None:
    assert steps(run([(0, 1000.0), (90_000 * 3, 1003.0), (90_000 * 3 + FRAME, 1003.04)])) == [3.0, 0.04]


def test_a_day_with_a_clock_that_is_one_second_in_ten_thousand_too_fast_has_no_jump() -> None:
    ticks = [int(i * 2 * 90_000 * 1.0001) for i in range(43_200)]
    times = run([(pts, 1000.0 + i * 2) for i, pts in enumerate(ticks)])
    assert times[-1] == pytest.approx(ticks[-1] / 90_000)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**33), 2**34)),
            st.floats(0, 100, allow_nan=False).map(lambda seconds: round(seconds, 3)),
        ),
        min_size=2,
        max_size=50,
    )
)
def test_time_always_goes_on_whatever_comes(chaos: list[tuple[int | None, float]]) -> None:
    arrivals = accumulate(seconds for _, seconds in chaos)
    times = run([(pts, at) for (pts, _), at in zip(chaos, arrivals, strict=True)])
    assert all(earlier < later for earlier, later in pairwise(times))


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(-(2**32), 2**32), st.integers(1, 40)), min_size=1, max_size=8),
    st.sampled_from([5, 15, 25, 30]),
)
def test_stream_time_stays_with_real_time_however_often_the_clock_is_set(
    first: int, settings: list[tuple[int, int]], rate: int
) -> None:
    frames: list[tuple[int | None, float]] = []
    for offset, count in settings:
        at = len(frames) / rate
        frames += [(first + offset + 90_000 * i // rate, at + i / rate) for i in range(count)]
    times = run(frames)
    assert times[-1] - times[0] == pytest.approx(frames[-1][1] - frames[0][1], abs=1.3 * len(settings))


def test_a_jump_is_noticed_after_a_day_with_a_clock_that_is_too_slow() -> None:
    """By then frames come eight seconds later than at first, by the camera's clock."""
    slow = [(int(i * 2 * 90_000 * 0.9999), 1000.0 + i * 2) for i in range(43_200)]
    pts, arrived = slow[-1]
    times = run([*slow, (pts + 8 * 90_000, arrived + 2)])
    assert times[-1] - times[-2] == pytest.approx(2)
