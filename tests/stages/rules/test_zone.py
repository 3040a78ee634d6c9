"""Who is in a zone, in made-up scenes."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fakes import make_frame
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Event, HostPixels, Instances
from stages.rules.zone import Options, ZoneRule

ZONE = [[100, 100], [300, 100], [300, 300], [100, 300]]
IN, OUT = (200.0, 200.0), (500.0, 200.0)
STEP = 0.1


def people(feet: Iterable[tuple[float, float]], ids: Iterable[int] = (1, 2, 3)) -> Instances:
    """People of 40 x 100 px whose feet are at (x, y)."""
    xy = np.array(list(feet), np.float64).reshape(-1, 2)
    boxes = np.column_stack([xy - (20, 100), xy - (-20, 0)])
    return Instances.of(boxes, np.ones(len(xy))).with_columns(track_id=np.array(list(ids)[: len(xy)], np.int64))


def way(*points: tuple[float, float] | None, start: float = 0.0, step: float = STEP) -> list[tuple[float, Instances]]:
    """One person, point after point; None where it is not seen."""
    return [
        (round(start + i * step, 6), people([point] if point is not None else [])) for i, point in enumerate(points)
    ]


def play(rule: ZoneRule, scene: Iterable[tuple[float, Instances]], size: tuple[int, int] = (640, 480)) -> list[Event]:
    pixels = HostPixels(np.zeros((size[1], size[0], 3), np.uint8))
    events = []
    for index, (pts_seconds, table) in enumerate(scene):
        events += rule.update(replace(make_frame(index), pts_seconds=pts_seconds, pixels=pixels), table)
    return events


def rule(polygon: Any = ZONE, **options: Any) -> ZoneRule:
    return ZoneRule(Options(polygon=polygon, **options), "door")


def short(events: list[Event]) -> list[tuple[str, float]]:
    return [(event.kind, event.pts_seconds) for event in events if not event.is_state]


def test_an_empty_scene_says_only_once_that_the_zone_is_empty() -> None:
    (event,) = play(rule(), way(*[None] * 30))
    assert (event.kind, event.is_state, event.values) == ("occupancy", True, {"count": 0})


def test_somebody_goes_in_and_out() -> None:
    events = play(rule(), way(*[OUT] * 5, *[IN] * 10, *[OUT] * 10))
    assert [(e.kind, e.pts_seconds, e.track_id, dict(e.values)) for e in events] == [
        ("occupancy", 0.0, None, {"count": 0}),
        ("enter", 0.8, 1, {"seconds": 0.3, "count": 1}),
        ("occupancy", 0.8, None, {"count": 1}),
        ("exit", 1.8, 1, {"seconds": 1.0, "count": 0}),
        ("occupancy", 1.8, None, {"count": 0}),
    ]
    assert events[1].reason == "in the zone for 0.30 s, at least 0.3 s"
    assert events[3].reason == "out of the zone for 0.30 s, at least 0.3 s; was in it for 1.00 s"
    assert events[3].xyxy == (480, 100, 520, 200)


def test_a_short_step_in_or_out_is_nothing() -> None:
    assert short(play(rule(), way(*[OUT] * 5, *[IN] * 3, *[OUT] * 9))) == []
    assert short(play(rule(), way(*[IN] * 5, *[OUT] * 3, *[IN] * 9))) == [("enter", 0.3)]


def test_trembling_on_the_border_gives_no_flood() -> None:
    slow, fast = [*[4.0] * 5, *[-4.0] * 5] * 10, [4.0, -4.0] * 20
    tremble = [(300.0 + dx, 200.0) for dx in (*[-4.0] * 5, *fast, *slow)]
    assert short(play(rule(), way(*tremble))) == [("enter", 0.3)]
    assert len(short(play(rule(hysteresis=0), way(*tremble)))) > 10
    assert short(play(rule(hysteresis=6), way(*tremble))) == [("enter", 0.3)]


def test_a_zone_narrower_than_the_hysteresis_can_be_entered() -> None:
    strip = [[100, 198], [300, 198], [300, 202], [100, 202]]
    assert short(play(rule(strip, hysteresis=0.2), way(*[IN] * 9))) == [("enter", 0.3)]


def test_who_vanishes_inside_is_out_after_the_patience() -> None:
    events = play(rule(), way(*[IN] * 11, *[None] * 30))
    assert short(events) == [("enter", 0.3), ("exit", 3.0)]
    leave = events[-2]
    assert (leave.track_id, leave.xyxy, leave.values["seconds"], leave.values["count"]) == (1, None, 1.0, 0)
    assert leave.reason == "not seen for 2.00 s, at least 2 s; was in it for 1.00 s"


def test_who_is_hidden_for_a_moment_stays_in() -> None:
    assert short(play(rule(), way(*[IN] * 11, *[None] * 19, *[IN] * 5))) == [("enter", 0.3)]


def test_who_vanishes_on_the_way_out_was_in_until_the_border() -> None:
    events = play(rule(), way(*[IN] * 11, OUT, *[None] * 30))
    assert [(e.kind, e.values["seconds"]) for e in events if e.kind == "exit"] == [("exit", 1.1)]


def test_who_comes_back_enters_again_and_dwells_again() -> None:
    stay = [*[IN] * 8, *[OUT] * 5]
    events = play(rule(dwell_seconds=0.5), way(*stay, *stay))
    assert [e.kind for e in events if not e.is_state] == ["enter", "dwell", "exit"] * 2


def test_dwell_comes_once_when_the_stay_is_longer_than_asked() -> None:
    events = play(rule(dwell_seconds=1.0), way(*[IN] * 50))
    assert short(events) == [("enter", 0.3), ("dwell", 1.1)]
    dwell = events[-1]
    assert (dwell.values["seconds"], dwell.reason) == (1.1, "in the zone for 1.10 s, more than 1 s")
    assert short(play(rule(), way(*[IN] * 50))) == [("enter", 0.3)]


def test_a_stay_that_is_long_at_once_says_enter_first() -> None:
    assert [kind for kind, _ in short(play(rule(dwell_seconds=0.1), way(*[IN] * 9)))] == ["enter", "dwell"]


def test_a_time_that_stands_still_or_jumps_back_is_no_stay() -> None:
    assert short(play(rule(dwell_seconds=1), [(t, people([IN])) for t in (9.0, 9.0, 5.0, 4.0, 0.0, 0.0)])) == []


def test_a_skipped_stretch_is_one_large_step() -> None:
    assert short(play(rule(dwell_seconds=5), way(IN, IN, step=60))) == [("enter", 60.0), ("dwell", 60.0)]


def test_several_people_are_counted() -> None:
    scene = [(0.0, people([IN, OUT, IN])), (1.0, people([IN, IN, IN])), (2.0, people([OUT, OUT, IN]))]
    events = play(rule(min_seconds=0), scene)
    assert [(e.kind, e.track_id, e.values["count"]) for e in events] == [
        ("enter", 1, 1),
        ("enter", 3, 2),
        ("occupancy", None, 2),
        ("enter", 2, 3),
        ("occupancy", None, 3),
        ("exit", 1, 2),
        ("exit", 2, 1),
        ("occupancy", None, 1),
    ]


def test_people_without_an_identity_are_left_alone() -> None:
    scene = [(t, people([IN, IN], ids=[NO_TRACK, NO_TRACK])) for t in range(9)]
    assert short(play(rule(), scene)) == []


def test_fractions_follow_the_size_of_the_frame() -> None:
    half = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
    assert short(play(rule(half), way(*[IN] * 9), size=(640, 480))) == [("enter", 0.3)]
    assert short(play(rule(half), way(*[IN] * 9), size=(320, 240))) == []


def test_feet_on_the_lower_edge_of_the_picture_are_in_a_zone_that_ends_there() -> None:
    floor = [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
    assert short(play(rule(floor), way(*[(320.0, 480.0)] * 9))) == [("enter", 0.3)]


@pytest.mark.parametrize(("anchor", "is_in"), [("feet", False), ("hip", True), ("box", True)])
def test_the_anchor_decides(anchor: str, is_in: bool) -> None:  # noqa: FBT001 - a row of the table
    below = way(*[(200.0, 340.0)] * 9)
    assert bool(short(play(rule(anchor=anchor), below))) is is_in


@pytest.mark.parametrize(("score", "is_in"), [(0.0, False), (0.3, True), (1.0, True)])
def test_ankles_count_if_they_are_seen(score: float, is_in: bool) -> None:  # noqa: FBT001 - a row of the table
    joints = np.zeros((1, 17, 2))
    joints[0, 15:17] = IN
    table = Instances.of(
        [[180, 240, 220, 340]],
        [0.9],
        keypoints=joints,
        keypoint_score=np.full((1, 17), score),
        skeleton=COCO_17,
    ).with_columns(track_id=np.array([1]))
    assert bool(short(play(rule(), [(t / 10, table) for t in range(9)]))) is is_in


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="no polygon"),
        pytest.param({"polygon": [[0, 0], [1, 1]]}, id="a line"),
        pytest.param({"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}, id="bow tie"),
        pytest.param({"polygon": ZONE, "anchor": "head"}, id="unknown anchor"),
        pytest.param({"polygon": ZONE, "hysteresis": -1}, id="negative hysteresis"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(options)


places = st.tuples(st.floats(0, 640), st.floats(0, 480))
scenes = st.lists(st.tuples(st.floats(-1, 2), st.lists(places, max_size=3)), max_size=40)


@given(scenes)
def test_everybody_enters_before_leaving_and_the_count_is_right(
    frames: list[tuple[float, list[tuple[float, float]]]],
) -> None:
    inside: set[int | None] = set()
    times = np.cumsum([step for step, _ in frames]).tolist()
    scene = [(t, people(feet)) for t, (_, feet) in zip(times, frames, strict=True)]
    for event in play(rule(dwell_seconds=1.0), scene):
        if event.kind == "enter":
            assert event.track_id not in inside
            inside.add(event.track_id)
        elif event.kind == "exit":
            inside.remove(event.track_id)
            assert float(event.values["seconds"]) >= 0
        assert event.values["count"] == len(inside)


def test_nobody_is_remembered_for_ever() -> None:
    watched = rule()
    play(watched, [(t, people([IN], ids=[t])) for t in range(1, 200)])
    assert len(watched._attendance) <= 3
