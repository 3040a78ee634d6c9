import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.media.pace import Rate, Thinning, clock


def test_one_frame_has_no_rate() -> None:
    assert Rate().add(5.0) is None


@pytest.mark.parametrize("frames_per_second", [0.2, 1, 12.5, 25, 120])
def test_the_rate_is_that_of_the_last_second(frames_per_second: float) -> None:
    rate = Rate()
    for index in range(100):
        rate.add(index / 5)
    given_now = [rate.add(1000 + index / frames_per_second) for index in range(300)][-1]
    assert given_now == pytest.approx(frames_per_second)
    assert len(rate._times) <= frames_per_second + 3


def test_a_clock_that_steps_back_starts_over() -> None:
    rate = Rate()
    rate.add(10.0)
    assert rate.add(9.0) is None
    assert rate.add(9.5) == pytest.approx(2.0)


@pytest.mark.parametrize(("wanted", "taken"), [(None, 300), (60, 300), (30, 300), (10, 100), (7.5, 75), (0.1, 1)])
def test_frames_are_left_out_evenly(wanted: float | None, taken: int) -> None:
    thinning = Thinning(wanted)
    assert sum(thinning.takes(index / 30) for index in range(300)) == taken


@given(st.floats(-1e6, 1e6), st.floats(0.01, 1000))
def test_the_first_frame_is_always_taken(pts_seconds: float, frames_per_second: float) -> None:
    assert Thinning(frames_per_second).takes(pts_seconds)


def test_a_clock_that_steps_back_is_no_reason_to_wait() -> None:
    thinning = Thinning(1.0)
    assert [thinning.takes(pts) for pts in (100.0, 100.5, 0.0, 0.5, 1.0)] == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00.0"),
        (-0.01, "0:00.0"),
        (59.96, "1:00.0"),
        (61.25, "1:01.2"),
        (3599.96, "1:00:00.0"),
        (36_000, "10:00:00.0"),
        (-1.5, "-0:01.5"),
    ],
)
def test_a_clock_shows_hours_only_where_there_are_any(seconds: float, text: str) -> None:
    assert clock(seconds) == text
