"""Who is here and who is gone, whatever the time stamps do."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.types import NO_TRACK, Instances
from stages.judging.attendance import Attendance, Visitor


def table(*ids: int) -> Instances:
    return Instances.of(np.zeros((len(ids), 4)), np.ones(len(ids))).with_columns(track_id=np.array(ids, np.int64))


def attendance(patience_seconds: float = 2.0) -> Attendance[Visitor]:
    return Attendance(Visitor, patience_seconds)


def ids(visitors: list[Visitor]) -> list[int]:
    return [visitor.track_id for visitor in visitors]


def test_rows_without_an_identity_and_tables_without_the_column_are_nobody() -> None:
    known = attendance()
    assert known.take(0.0, table(NO_TRACK, NO_TRACK)) == ([], [])
    assert known.take(0.1, Instances.of([[0, 0, 1, 1]], [0.9])) == ([], [])
    assert len(known) == 0


def test_people_are_given_in_the_order_of_the_rows() -> None:
    known = attendance()
    known.take(0.0, table(1, 2, 3))
    here, _ = known.take(0.1, table(3, NO_TRACK, 1))
    assert [(visitor.track_id, visitor.row) for visitor in here] == [(3, 0), (1, 2)]
    assert ids(known.away()) == [2]


def test_who_is_not_seen_for_the_patience_is_gone_once_and_forgotten() -> None:
    known = attendance(2.0)
    known.take(0.0, table(1))
    assert ids(known.take(1.9, table())[1]) == []
    assert ids(known.take(2.0, table())[1]) == [1]
    assert known.take(9.0, table()) == ([], [])
    assert len(known) == 0


def test_who_is_seen_after_a_long_step_was_never_gone() -> None:
    known = attendance(2.0)
    known.take(0.0, table(1))
    here, gone = known.take(60.0, table(1))
    assert (here[0].first_seconds, gone) == (0.0, [])


def test_without_patience_one_frame_away_is_gone() -> None:
    known = attendance(0.0)
    known.take(0.0, table(1, 2))
    assert ids(known.take(0.0, table(2))[1]) == [1]


def test_a_step_back_is_no_time_and_time_goes_on_from_there() -> None:
    known = attendance()
    for pts_seconds, now in [(10.0, 10.0), (10.0, 10.0), (10.5, 10.5), (3.0, 10.5), (3.25, 10.75), (3.0, 10.75)]:
        known.take(pts_seconds, table())
        assert known.now_seconds == now


def test_a_time_that_is_no_number_is_no_step() -> None:
    known = attendance()
    for pts_seconds in (math.nan, 1.0, math.inf, math.nan, 1.5):
        known.take(pts_seconds, table(1))
    assert known.now_seconds == 1.5


def test_ten_steps_of_a_tenth_are_a_second() -> None:
    known = attendance()
    pts_seconds = 0.0
    for _ in range(11):
        known.take(pts_seconds, table())
        pts_seconds += 0.1
    assert known.seconds_since(0.0) == 1.0


def test_memory_is_bounded_even_where_time_stands_still() -> None:
    known = attendance()
    for track_id in range(1, 3000):
        known.take(0.0, table(track_id))
    assert len(known) <= 1001


@given(st.lists(st.tuples(st.floats(-5, 5), st.sets(st.integers(1, 4))), max_size=30))
def test_everybody_who_was_here_is_here_away_or_gone_exactly_once(frames: list[tuple[float, set[int]]]) -> None:
    known, expected, before = attendance(1.0), set[int](), -math.inf
    for pts_seconds, present in frames:
        here, gone = known.take(pts_seconds, table(*sorted(present)))
        expected |= present
        assert set(ids(here)) == present
        assert set(ids(gone)) <= expected - present
        expected -= set(ids(gone))
        assert set(ids(known.away())) == expected - present
        assert known.now_seconds >= before
        before = known.now_seconds
