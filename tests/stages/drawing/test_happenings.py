"""What rules said, as it is written on pictures."""

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.types import Event
from stages.drawing.happenings import Happenings


def event(kind: str, pts: float = 0.0, who: int | None = 1, rule: str = "door", **more: Any) -> Event:
    captured = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Event("cam", rule, kind, 0, pts, captured, "because", track_id=who, **more)


def after(*events: Event, now: float = 0.0) -> Happenings:
    happenings = Happenings()
    for one in events:
        happenings.add([one], one.pts_seconds)
    happenings.add([], now)
    return happenings


def at_boxes(*events: Event, now: float) -> dict[int | None, str]:
    return {saying.track_id: saying.text for saying in after(*events, now=now).at_boxes(now)}


@pytest.mark.parametrize(
    ("happened", "text"),
    [
        pytest.param(event("enter"), "enter door", id="place"),
        pytest.param(event("enter", rule="presence"), "enter", id="everywhere"),
        pytest.param(event("cross", values={"direction": "in", "total_in": 3}), "cross in door", id="direction"),
        pytest.param(event("hands_up", rule="pose"), "hands up", id="pose"),
        pytest.param(event("fall", rule="fall"), "fall", id="fall"),
        pytest.param(event("enter", rule="\udc80"), "enter \\udc80", id="no-utf-8"),
    ],
)
def test_a_tag_is_as_short_as_can_be_understood(happened: Event, text: str) -> None:
    assert at_boxes(happened, now=1.0) == {1: text}


def test_a_tag_goes_after_two_seconds_and_a_fall_after_ten() -> None:
    events = event("enter", who=1), event("fall", who=2)
    assert set(at_boxes(*events, now=2.0)) == {1, 2}
    assert set(at_boxes(*events, now=2.1)) == {2}
    assert set(at_boxes(*events, now=10.1)) == set()


def test_nothing_takes_the_place_of_a_fall_until_the_person_is_up() -> None:
    events = event("fall", 0.0), event("enter", 1.0)
    assert at_boxes(*events, now=1.0) == {1: "fall"}
    assert at_boxes(*events, event("recover", 3.0), now=3.5) == {1: "recover"}
    assert at_boxes(*events, event("recover", 3.0), now=5.5) == {}


def test_only_falls_are_alarms() -> None:
    happenings = after(event("fall", who=1), event("down", who=2), event("enter", who=3), event("recover", who=4))
    assert [saying.is_alarm for saying in happenings.at_boxes(0.0)] == [True, True, False, False]


def test_what_concerns_nobody_and_no_place_is_in_the_list_only() -> None:
    crowd = event("crowd", who=None, rule="hall", values={"phase": "begin"})
    assert at_boxes(crowd, now=0.0) == {}
    assert [saying.text for saying in after(crowd).listed(0.0, live=False)] == ["0:00.0  hall: crowd begin"]


def test_the_list_says_when_who_and_what() -> None:
    happenings = after(event("fall", 61.5, 7, "fall"), event("enter", 62.0, 8), now=62.0)
    assert [line.text for line in happenings.listed(62.0, live=False)] == [
        "1:01.5  fall  #7",
        "1:02.0  door: enter  #8",
    ]
    assert happenings.listed(62.0, live=True)[0].text == "03:04:05 UTC  fall  #7"


def test_the_list_holds_the_last_five_of_eight_seconds() -> None:
    happenings = after(*(event("enter", index, index) for index in range(20)), now=19.0)
    assert [line.text.rpartition("#")[2] for line in happenings.listed(19.0, live=False)] == [
        "15",
        "16",
        "17",
        "18",
        "19",
    ]
    assert happenings.listed(27.1, live=False) == []


def test_a_state_is_said_until_the_next_one() -> None:
    states = [event("occupancy", index, None, is_state=True, values={"count": index}) for index in range(3)]
    other = event("count", 0.0, None, "presence", is_state=True, values={"count": 9})
    happenings = after(*states, other, now=1000.0)
    assert happenings.states() == ("door: 2", "presence: 9")
    assert happenings.listed(0.0, live=False) == []


def test_a_state_without_a_count_says_what_it_has() -> None:
    assert after(event("light", is_state=True, values={"lux": 3.5, "on": True})).states() == ("door: lux 3.5, on True",)


def test_a_clock_that_steps_back_starts_all_over() -> None:
    happenings = after(event("enter", 100.0), now=0.0)
    assert happenings.listed(100.0, live=False) == []


def test_what_is_remembered_is_bounded() -> None:
    happenings = Happenings()
    happenings.add([event("enter", who=who) for who in range(100_000)], 0.0)
    assert len(happenings.at_boxes(0.0)) <= 64
