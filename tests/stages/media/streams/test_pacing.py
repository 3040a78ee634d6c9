import pytest

from stages.media.streams.pacing import Pace


def handed_on(frames: list[tuple[float, float]]) -> list[float]:
    """Say when each frame (its time, its arrival) is given on."""
    pace, now = Pace(), 0.0
    times = []
    for pts_seconds, arrival in frames:
        now = max(now, arrival)
        now += pace.wait_seconds(pts_seconds, now)
        times.append(now)
    return times


def test_a_piece_that_comes_at_once_is_given_on_at_the_pace_of_its_time() -> None:
    assert handed_on([(90 + i * 0.5, 7.0) for i in range(4)]) == pytest.approx([7.0, 7.5, 8.0, 8.5])


def test_frames_that_come_in_time_do_not_wait() -> None:
    assert handed_on([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]) == [1.0, 2.0, 3.0]


def test_who_is_a_little_late_catches_up_and_who_is_very_late_begins_anew() -> None:
    assert handed_on([(0.0, 0.0), (1.0, 1.5), (2.0, 2.0)]) == [0.0, 1.5, 2.0]
    assert handed_on([(0.0, 0.0), (1.0, 9.0), (2.0, 9.0)]) == [0.0, 9.0, 10.0]
