"""Who crosses a line, in made-up scenes.

The line goes from a = (100, 200) to b = (300, 200): `in` is downwards. People are 100 px high, so that the default
hysteresis is 5 px.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import make_frame
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.types import NO_TRACK, Event, HostPixels, Instances
from stages.rules.line import LineRule, Options

A, B = (100.0, 200.0), (300.0, 200.0)
Spot = tuple[float, float]


def people(feet: Iterable[Spot], ids: Iterable[int] = (1, 2, 3)) -> Instances:
    """People of 40 x 100 px whose feet are at (x, y)."""
    xy = np.array(list(feet), np.float64).reshape(-1, 2)
    boxes = np.column_stack([xy - (20, 100), xy - (-20, 0)])
    return Instances.of(boxes, np.ones(len(xy))).with_columns(track_id=np.array(list(ids)[: len(xy)], np.int64))


def play(
    rule: LineRule, tables: Iterable[Instances], step: float = 0.1, size: tuple[int, int] = (640, 480)
) -> list[Event]:
    events = []
    for index, table in enumerate(tables):
        pixels = HostPixels(np.zeros((size[1], size[0], 3), np.uint8))
        events += rule.update(replace(make_frame(index), pts_seconds=index * step, pixels=pixels), table)
    return events


def walk(*spots: Spot | None) -> list[Instances]:
    """One person, spot after spot; None where it is not seen."""
    return [people([] if spot is None else [spot]) for spot in spots]


def down(*ys: float | None, x: float = 200.0) -> list[Instances]:
    return walk(*(None if y is None else (x, y) for y in ys))


def rule(a: Spot = A, b: Spot = B, **options: Any) -> LineRule:
    return LineRule(Options(a=a, b=b, **options), "door")


def ways(events: list[Event]) -> list[str]:
    return [str(event.values["direction"]) for event in events]


def test_nobody_crosses_nothing() -> None:
    assert play(rule(), [people([])] * 5) == []


def test_downwards_over_a_line_to_the_right_is_in() -> None:
    (event,) = play(rule(), down(100, 150, 198, 203, 206, 300))
    assert (event.kind, event.rule, event.track_id, event.frame_index) == ("cross", "door", 1, 4)
    assert event.values == {"direction": "in", "total_in": 1, "total_out": 0}
    assert event.reason == "crossed to the right of the line from a to b, now 6.0 px beyond it"
    assert list(event.xyxy or ()) == [180, 106, 220, 206]
    assert not event.is_state


@pytest.mark.parametrize(
    ("a", "b", "spots", "direction"),
    [
        pytest.param((100, 200), (300, 200), [(200, 100), (200, 300)], "in", id="line right, walk down"),
        pytest.param((100, 200), (300, 200), [(200, 300), (200, 100)], "out", id="line right, walk up"),
        pytest.param((300, 200), (100, 200), [(200, 100), (200, 300)], "out", id="line left, walk down"),
        pytest.param((200, 300), (200, 100), [(100, 200), (300, 200)], "in", id="line up, walk right"),
        pytest.param((200, 100), (200, 300), [(100, 200), (300, 200)], "out", id="line down, walk right"),
        pytest.param((100, 100), (300, 300), [(250, 150), (150, 250)], "in", id="line slanting"),
    ],
)
def test_in_is_from_left_to_right_of_the_way_from_a_to_b(a: Spot, b: Spot, spots: list[Spot], direction: str) -> None:
    assert ways(play(rule(a, b), walk(*spots))) == [direction]


@pytest.mark.parametrize(
    ("x", "crosses"),
    [(99.0, False), (100.0, True), (101.0, True), (299.0, True), (300.0, True), (301.0, False), (600.0, False)],
)
def test_only_the_line_between_a_and_b_counts(x: float, crosses: bool) -> None:  # noqa: FBT001 - a row of the table
    assert len(play(rule(), down(100, 300, x=x))) == crosses


def test_who_walks_around_an_end_has_not_crossed_but_crosses_on_the_way_back() -> None:
    around = [(200.0, 150.0), (350.0, 150.0), (350.0, 250.0), (200.0, 250.0)]
    assert ways(play(rule(), walk(*around, (200.0, 150.0)))) == ["out"]


def test_who_crosses_and_gets_far_enough_only_beside_the_line_has_crossed() -> None:
    assert ways(play(rule(), walk((280, 190), (290, 203), (310, 204), (330, 220)))) == ["in"]


@pytest.mark.parametrize(
    ("spots", "crosses"),
    [
        pytest.param([(280, 190), (380, 290)], True, id="at its beginning"),
        pytest.param([(220, 110), (320, 210)], False, id="at its end"),
    ],
)
def test_a_long_step_crosses_where_the_straight_way_lies(spots: list[Spot], crosses: bool) -> None:  # noqa: FBT001
    assert len(play(rule(), walk(*spots))) == crosses


def test_who_goes_around_an_end_within_the_band_has_not_crossed() -> None:
    assert play(rule(), walk((280, 190), (305, 198), (305, 203), (280, 204), (280, 220))) == []


def test_there_and_back_within_the_band_is_nothing() -> None:
    assert play(rule(), down(150, 198, 204, 198, 203, 199, 204.9, 150)) == []


def test_trembling_on_the_line_counts_once() -> None:
    tremble = [200.0 + dy for dy in (4, -4, 3, -3, 0, 2, -2)] * 20
    assert ways(play(rule(), down(150, *tremble, 250))) == ["in"]
    assert len(play(rule(hysteresis=0), down(150, *tremble, 250))) > 20


@pytest.mark.parametrize(
    ("hysteresis", "crosses"), [(0.0, True), (0.05, True), (0.1, False), (9.5, True), (10.5, False)]
)
def test_who_crosses_must_be_farther_than_the_hysteresis(hysteresis: float, crosses: bool) -> None:  # noqa: FBT001
    assert len(play(rule(hysteresis=hysteresis), down(150, 210))) == crosses


def test_a_step_onto_the_line_is_no_crossing_and_the_next_one_says_which_way() -> None:
    assert ways(play(rule(), down(150, 200, 250))) == ["in"]
    assert ways(play(rule(), down(150, 200, 150))) == []
    assert ways(play(rule(), down(150, 200, 200, 200, 250, 200, 150))) == ["in", "out"]


def test_who_is_seen_first_on_the_line_comes_from_nowhere() -> None:
    assert play(rule(), down(200, 200, 250)) == []
    assert ways(play(rule(), down(200, 250, 150))) == ["out"]


def test_totals_run_over_everybody() -> None:
    above, below = [(150.0, 150.0), (200.0, 150.0)], [(150.0, 250.0), (200.0, 250.0)]
    events = play(rule(), [people(above), people(below), people([above[0], below[1]])])
    assert [(e.track_id, e.values["total_in"], e.values["total_out"]) for e in events] == [
        (1, 1, 0),
        (2, 2, 0),
        (1, 2, 1),
    ]


def test_who_is_hidden_while_crossing_has_crossed_and_who_was_forgotten_has_not() -> None:
    hidden = down(150, *[None] * 20, 250)
    assert ways(play(rule(), hidden)) == ["in"]
    assert ways(play(rule(forget_seconds=2.1), hidden)) == ["in"]
    assert ways(play(rule(forget_seconds=2.0), hidden)) == []


def test_two_people_who_are_one_after_the_other_do_not_cross_together() -> None:
    assert play(rule(), [people([(200, 150)], ids=[1]), people([(200, 250)], ids=[2])]) == []


def test_people_without_an_identity_are_left_alone() -> None:
    assert play(rule(), [people([(200, y)], ids=[NO_TRACK]) for y in (150.0, 250.0)]) == []


def test_a_time_that_stands_still_or_jumps_back_changes_nothing() -> None:
    assert ways(play(rule(), down(150, 250, 150), step=0.0)) == ["in", "out"]
    assert ways(play(rule(), down(150, 250, 150), step=-5.0)) == ["in", "out"]


def test_a_line_in_fractions_holds_when_the_frame_changes_its_size() -> None:
    watched = rule((0.0, 0.5), (1.0, 0.5))
    large, small = HostPixels(np.zeros((400, 400, 3), np.uint8)), HostPixels(np.zeros((200, 200, 3), np.uint8))
    events = []
    for index, (pixels, y) in enumerate([(large, 190.0), (small, 95.0), (large, 190.0), (small, 95.0), (small, 120.0)]):
        frame = replace(make_frame(index), pts_seconds=index / 10, pixels=pixels)
        events += watched.update(frame, people([(100.0, y)]))
    assert [(e.frame_index, e.values["direction"]) for e in events] == [(4, "in")]


def test_a_line_in_pixels_that_lies_elsewhere_in_a_smaller_frame_is_not_crossed_by_standing_still() -> None:
    watched = rule((0.0, 200.0), (400.0, 200.0))
    large, small = HostPixels(np.zeros((400, 400, 3), np.uint8)), HostPixels(np.zeros((200, 200, 3), np.uint8))
    events = []
    for index, (pixels, y) in enumerate([(large, 150.0), (large, 250.0), (small, 125.0), (large, 250.0)]):
        frame = replace(make_frame(index), pts_seconds=index / 10, pixels=pixels)
        events += watched.update(frame, people([(100.0, y)]))
    assert [(e.frame_index, e.values["direction"]) for e in events] == [(1, "in")]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        pytest.param({"a": A}, "b\n.*required", id="no end"),
        pytest.param({"a": A, "b": A}, "two different ends, got a = b = \\[100.0, 200.0\\]", id="no length"),
        pytest.param({"a": A, "b": [1, 2, 3]}, "at most 2 items", id="three coordinates"),
        pytest.param({"a": A, "b": [1, float("nan")]}, "finite", id="NaN"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Options.model_validate(options)


spots = st.tuples(st.integers(0, 640).map(float), st.integers(0, 480).map(float))
routes = st.lists(spots, min_size=2, max_size=15)


def crossings(route: list[Spot]) -> list[str]:
    """Count by hand over the line through the whole picture at y = 200.5: between whole pixels, nobody is on it."""
    return [
        "in" if after > before else "out"
        for (_, before), (_, after) in pairwise(route)
        if (before > 200.5) != (after > 200.5)
    ]


@given(routes)
def test_over_a_line_through_the_whole_picture_every_change_of_side_counts(route: list[Spot]) -> None:
    assert ways(play(rule((-1.0, 200.5), (641.0, 200.5), hysteresis=0), walk(*route))) == crossings(route)


@given(routes)
def test_in_and_out_take_turns_over_a_line_that_nobody_gets_around(route: list[Spot]) -> None:
    directions = ways(play(rule((-1.0, 200.0), (641.0, 200.0)), walk(*route)))
    assert all(one != other for one, other in pairwise(directions))


@given(routes)
def test_swapping_a_and_b_swaps_in_and_out(route: list[Spot]) -> None:
    there, back = ways(play(rule(A, B), walk(*route))), ways(play(rule(B, A), walk(*route)))
    assert [{"in": "out", "out": "in"}[way] for way in there] == back


def test_nobody_is_remembered_for_ever() -> None:
    watched = rule(forget_seconds=1.0)
    play(watched, [people([A], ids=[n]) for n in range(1, 200)])
    assert len(watched._attendance) <= 11
