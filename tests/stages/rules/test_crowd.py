"""When a crowd is there, in made-up scenes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import make_frame
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.types import NO_TRACK, Event, HostPixels, Instances
from stages.rules.crowd import CrowdRule, Options

ZONE = [[100, 100], [300, 100], [300, 300], [100, 300]]
IN, OUT = (200.0, 200.0), (500.0, 200.0)
STEP = 0.5


def people(feet: Iterable[tuple[float, float]], first_id: int = 1) -> Instances:
    """People of 40 x 100 px whose feet are at (x, y)."""
    xy = np.array(list(feet), np.float64).reshape(-1, 2)
    boxes = np.column_stack([xy - (20, 100), xy - (-20, 0)])
    return Instances.of(boxes, np.ones(len(xy))).with_columns(track_id=first_id + np.arange(len(xy)))


def counts(*numbers: int) -> list[Instances]:
    """So many people in each frame."""
    return [people([IN] * number) for number in numbers]


def play(rule: CrowdRule, tables: Iterable[Instances], step: float = STEP) -> list[Event]:
    pixels = HostPixels(np.zeros((480, 640, 3), np.uint8))
    events = []
    for index, table in enumerate(tables):
        events += rule.update(replace(make_frame(index), pts_seconds=index * step, pixels=pixels), table)
    return events


def rule(**options: Any) -> CrowdRule:
    return CrowdRule(Options.model_validate({"people": 3, "patience_seconds": 0, **options}), "square")


def phases(events: list[Event]) -> list[tuple[str, float]]:
    assert {event.kind for event in events} <= {"crowd"}
    return [(str(event.values["phase"]), event.pts_seconds) for event in events]


def test_nobody_is_no_crowd() -> None:
    assert play(rule(people=1, slack=0), counts(*[0] * 20)) == []


def test_a_crowd_begins_after_its_time_and_ends_below_the_slack() -> None:
    begin, end = play(rule(), counts(2, *[3] * 5, 5, 3, 2, 2, 1, 1))
    assert (begin.kind, begin.pts_seconds, begin.rule) == ("crowd", 2.5, "square")
    assert begin.values == {"phase": "begin", "count": 3, "seconds": 2.0}
    assert begin.reason == "people here: 3 for 2.00 s, at least 3 for 2 s"
    assert (end.kind, end.pts_seconds) == ("crowd", 5.0)
    assert end.values == {"phase": "end", "count": 1, "seconds": 4.5, "most": 5}
    assert end.reason == "people here: 1, fewer than 2; was a crowd for 4.50 s with at most 5"
    assert (begin.track_id, begin.xyxy, begin.is_state) == (None, None, False)


def test_a_crowd_that_is_too_short_is_none() -> None:
    assert play(rule(), counts(*[3] * 4, 2, *[3] * 4, 0, 0)) == []


@pytest.mark.parametrize(("slack", "ends"), [(0, [("end", 2.5)]), (1, []), (2, [])])
def test_slack_says_when_it_ends(slack: int, ends: list[tuple[str, float]]) -> None:
    assert phases(play(rule(slack=slack), counts(*[3] * 5, *[2] * 5)))[1:] == ends


def test_a_crowd_can_come_again() -> None:
    events = play(rule(), counts(*[5] * 5, *[0] * 3, *[3] * 5, *[0] * 3))
    assert phases(events) == [("begin", 2.0), ("end", 2.5), ("begin", 6.0), ("end", 6.5)]
    assert [event.values["most"] for event in events if "most" in event.values] == [5, 3]


def test_who_is_missed_for_a_moment_still_counts() -> None:
    flicker = counts(*[3, 2, 3, 3, 2, 3, 3])
    assert phases(play(rule(patience_seconds=1.0), flicker)) == [("begin", 2.0)]
    assert play(rule(), flicker) == []


def test_who_vanishes_counts_until_the_patience_is_over() -> None:
    assert phases(play(rule(patience_seconds=1.0), counts(*[3] * 5, *[0] * 5))) == [("begin", 2.0), ("end", 3.0)]


def test_only_people_in_the_polygon_count() -> None:
    scene = [people([IN, IN, OUT])] * 6 + [people([IN, IN, IN])] * 6 + [people([IN, OUT, OUT])] * 3
    assert phases(play(rule(polygon=ZONE), scene)) == [("begin", 5.0), ("end", 6.0)]
    assert phases(play(rule(), scene)) == [("begin", 2.0)]


def test_the_anchor_decides() -> None:
    below = [people([(200.0, 340.0)] * 3)] * 6
    assert phases(play(rule(polygon=ZONE, anchor="hip"), below)) == [("begin", 2.0)]
    assert play(rule(polygon=ZONE), below) == []


def test_a_polygon_in_fractions_is_of_the_frame() -> None:
    left = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    assert phases(play(rule(polygon=left), counts(*[3] * 6))) == [("begin", 2.0)]
    assert play(rule(polygon=left), [people([OUT] * 3)] * 6) == []


def test_feet_on_the_lower_edge_of_the_picture_are_in_a_polygon_that_ends_there() -> None:
    floor = [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    assert phases(play(rule(polygon=floor), [people([(320.0, 480.0)] * 3)] * 6)) == [("begin", 2.0)]


def test_people_without_an_identity_are_left_alone() -> None:
    nobody = people([IN] * 5).with_columns(track_id=np.full(5, NO_TRACK))
    assert play(rule(), [nobody] * 20) == []


def test_a_time_that_stands_still_or_jumps_back_is_no_time() -> None:
    assert play(rule(), counts(*[3] * 20), step=0.0) == []
    assert play(rule(), counts(*[3] * 20), step=-1.0) == []


def test_one_person_can_be_a_crowd_at_once() -> None:
    assert phases(play(rule(people=1, slack=0, min_seconds=0), counts(1, 0))) == [("begin", 0.0), ("end", 0.5)]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param({"people": 3, "slack": 3}, "slack must be less than people.*got 3 and 3", id="never ends"),
        pytest.param({"people": 1}, "slack must be less than people", id="default slack"),
        pytest.param({"people": 0}, "greater than or equal to 1", id="nobody"),
        pytest.param({"polygon": [[0, 0], [1, 1]]}, "at least 3 different corners", id="a line"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Options.model_validate(options)


@given(st.lists(st.integers(0, 6), max_size=60))
def test_begin_and_end_take_turns_and_are_right_about_the_count(numbers: list[int]) -> None:
    expected = "begin"
    for event in play(rule(), counts(*numbers)):
        assert event.values["phase"] == expected
        assert event.values["count"] == numbers[event.frame_index]
        assert (numbers[event.frame_index] >= 3) if expected == "begin" else (numbers[event.frame_index] < 2)
        expected = "end" if expected == "begin" else "begin"


def test_nobody_is_remembered_for_ever() -> None:
    watched = rule(patience_seconds=1.0)
    play(watched, [people([IN], first_id=n) for n in range(1, 200)])
    assert len(watched._attendance) <= 3
