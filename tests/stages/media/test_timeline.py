"""Time that never stands still and never goes back."""

import itertools
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.media.timeline import Timeline, ticks_of_rate

TIME_BASE = Fraction(1, 100)
FRAME_TICKS = 4


def seconds_of(*pts: int | None) -> list[float]:
    timeline = Timeline(TIME_BASE, FRAME_TICKS)
    return [timeline.seconds(one, FRAME_TICKS) for one in pts]


@pytest.mark.parametrize(
    ("pts", "seconds"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([None, None, None], [0.0, 0.04, 0.08], id="no PTS at all"),
        pytest.param([None, 4, 8], [0.0, 0.04, 0.08], id="the first PTS is missing"),
        pytest.param([7, None, 15], [0.07, 0.11, 0.15], id="one PTS is missing"),
        pytest.param([-8, -4, 0], [-0.08, -0.04, 0.0], id="negative"),
        pytest.param([360_000, 360_004], [3600.0, 3600.04], id="begins late"),
        pytest.param([0, 1, 50, 51], [0.0, 0.01, 0.5, 0.51], id="variable rate"),
        pytest.param([0, 4, 4, 8], [0.0, 0.04, 0.05, 0.08], id="doubled"),
        pytest.param([0, 8, 4, 12], [0.0, 0.08, 0.09, 0.12], id="in disorder after damage"),
        pytest.param([0, 4, 100, 0, 4], [0.0, 0.04, 1.0, 1.04, 1.08], id="joined recordings"),
    ],
)
def test_the_time_of_a_stream(pts: list[int | None], seconds: list[float]) -> None:
    assert seconds_of(*pts) == pytest.approx(seconds)


def test_a_frame_that_says_its_duration_is_believed() -> None:
    timeline = Timeline(TIME_BASE, FRAME_TICKS)
    assert [timeline.seconds(0, 30), timeline.seconds(None, None), timeline.seconds(None)] == [0.0, 0.3, 0.34]


@given(st.lists(st.none() | st.integers(-(10**6), 10**6)), st.integers(0, 50))
def test_time_always_grows(pts: list[int | None], duration: int) -> None:
    timeline = Timeline(TIME_BASE, FRAME_TICKS)
    seconds = [timeline.seconds(one, duration) for one in pts]
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds))


@given(st.lists(st.integers(-(10**9), 10**9), unique=True).map(sorted))
def test_a_good_clock_is_passed_on_exactly(pts: list[int]) -> None:
    assert seconds_of(*pts) == [one / 100 for one in pts]


@pytest.mark.parametrize(
    ("rate", "time_base"),
    [
        pytest.param(25.0, Fraction(1, 25), id="25"),
        pytest.param(1.0, Fraction(1), id="1"),
        pytest.param(0.5, Fraction(2), id="one in two seconds"),
        pytest.param(30000 / 1001, Fraction(1001, 30000), id="television"),
    ],
)
def test_the_time_base_of_a_rate(rate: float, time_base: Fraction) -> None:
    assert ticks_of_rate(rate) == time_base
