"""Who comes and who goes, in made-up scenes."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from fakes import make_frame
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Event, Instances
from stages.rules.presence import Options, PresenceRule

STEP = 0.25
Scene = Iterable[tuple[float, Instances]]


def people(*ids: int) -> Instances:
    return Instances.of(np.tile([10, 20, 50, 120], (len(ids), 1)), np.ones(len(ids))).with_columns(
        track_id=np.array(ids, np.int64)
    )


NOBODY = people()


def play(rule: PresenceRule, scene: Scene) -> list[Event]:
    """All events of a scene of (pts, table)."""
    events = []
    for index, (pts_seconds, table) in enumerate(scene):
        events += rule.update(replace(make_frame(index), pts_seconds=pts_seconds), table)
    return events


def span(table: Instances, start: float, end: float) -> list[tuple[float, Instances]]:
    """The same people in every frame of [start, end)."""
    return [(t, table) for t in np.arange(start, end, STEP).tolist()]


def rule(**options: float) -> PresenceRule:
    return PresenceRule(Options(**options), "hall")


def short(events: list[Event]) -> list[tuple[str, float]]:
    return [(event.kind, event.pts_seconds) for event in events if not event.is_state]


def test_an_empty_scene_says_only_once_that_nobody_is_there() -> None:
    (event,) = play(rule(), span(NOBODY, 0, 9))
    assert (event.kind, event.is_state, event.values, event.pts_seconds) == ("count", True, {"count": 0}, 0.0)


def test_somebody_comes_after_half_a_second_and_goes_after_two() -> None:
    events = play(rule(), [*span(people(7), 1, 3), *span(NOBODY, 3, 9)])
    assert [(e.kind, e.pts_seconds, e.track_id, dict(e.values)) for e in events] == [
        ("count", 1.0, None, {"count": 0}),
        ("enter", 1.5, 7, {"seconds": 0.5, "count": 1}),
        ("count", 1.5, None, {"count": 1}),
        ("leave", 4.75, 7, {"seconds": 1.75, "count": 0}),
        ("count", 4.75, None, {"count": 0}),
    ]
    assert [event.xyxy for event in events if event.track_id == 7] == [(10, 20, 50, 120), None]
    assert events[1].reason == "there for 0.50 s, at least 0.5 s"
    assert events[3].reason == "not seen for 2.00 s, at least 2 s; was there for 1.75 s"
    assert {event.rule for event in events} == {"hall"}


def test_who_is_there_too_briefly_never_came_and_never_goes() -> None:
    assert short(play(rule(), [*span(people(7), 0, 0.5), *span(NOBODY, 0.5, 9)])) == []


def test_a_gap_shorter_than_the_patience_is_no_leaving() -> None:
    scene = [*span(people(7), 0, 2), *span(NOBODY, 2, 3.5), *span(people(7), 3.5, 5), *span(NOBODY, 5, 9)]
    events = play(rule(), scene)
    assert short(events) == [("enter", 0.5), ("leave", 6.75)]
    assert events[-2].values["seconds"] == 4.75


def test_who_comes_back_after_leaving_comes_anew() -> None:
    scene = [*span(people(7), 0, 1), *span(NOBODY, 1, 4), *span(people(7), 4, 5)]
    assert short(play(rule(), scene)) == [("enter", 0.5), ("leave", 2.75), ("enter", 4.5)]


def test_people_without_an_identity_are_left_alone() -> None:
    assert short(play(rule(), span(people(NO_TRACK, NO_TRACK), 0, 5))) == []


def test_states_come_once_a_frame_after_what_happened() -> None:
    events = play(rule(min_seconds=0), [(0.0, people(1, 2, 3))])
    assert [(e.kind, e.values["count"]) for e in events] == [("enter", 1), ("enter", 2), ("enter", 3), ("count", 3)]


def test_one_for_one_leaves_the_count_as_it_is() -> None:
    events = play(rule(min_seconds=0, patience_seconds=0), [(0.0, people(1)), (1.0, people(2))])
    assert [e.kind for e in events] == ["enter", "count", "leave", "enter"]


def test_time_that_jumps_back_or_stands_still_is_no_time() -> None:
    scene = [(t, people(7)) for t in (10.0, 3.0, 3.0, 2.0, 2.4)]
    assert short(play(rule(), scene)) == []
    assert short(play(rule(), [*scene, (2.5, people(7))])) == [("enter", 2.5)]


def test_joints_of_the_person_come_with_the_event() -> None:
    table = Instances.of([[0, 0, 9, 9]], [0.9], skeleton=COCO_17).with_columns(track_id=np.array([3]))
    enter, _ = play(rule(min_seconds=0), [(0.0, table)])
    assert enter.keypoints is not None
    assert enter.keypoints.shape == (17, 3)


@pytest.mark.parametrize("options", [{"min_seconds": -1}, {"patience_seconds": float("inf")}])
def test_times_that_mean_nothing_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Options(**options)


scenes = st.lists(st.tuples(st.floats(0, 3), st.sets(st.integers(1, 4))), max_size=40)


@given(scenes)
def test_everybody_enters_before_leaving_and_the_count_is_right(frames: list[tuple[float, set[int]]]) -> None:
    there: set[int | None] = set()
    times = np.cumsum([step for step, _ in frames]).tolist()
    watched = rule()
    for event in play(watched, [(t, people(*sorted(ids))) for t, (_, ids) in zip(times, frames, strict=True)]):
        if event.kind == "enter":
            assert event.track_id not in there
            there.add(event.track_id)
        elif event.kind == "leave":
            there.remove(event.track_id)
        assert event.values["count"] == len(there)


@given(scenes)
def test_the_same_scene_gives_the_same_events(frames: list[tuple[float, set[int]]]) -> None:
    scene = [(t, people(*sorted(ids))) for t, ids in frames]
    first, second = play(rule(), scene), play(rule(), scene)
    assert [(e.kind, e.track_id, e.reason) for e in first] == [(e.kind, e.track_id, e.reason) for e in second]
