"""What rules said in the last seconds, in the few words that fit on a picture."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.types import Event
from stages.media.pace import clock
from stages.rows import writable_text

__all__ = ["Happenings", "Saying"]

_ALARMS: Final = frozenset({"fall", "down"})
"""Kinds that nobody must overlook."""
_RELIEF: Final = frozenset({"recover"})
"""Kinds that end an alarm about the same person."""
_PLACED: Final = frozenset({"enter", "exit", "dwell", "cross"})
"""Kinds that mean little without the name of the place: the rule's."""
_EVERYWHERE: Final = "presence"
"""The rule that is about no place; its name says nothing at a person's box."""
_AT_BOX_SECONDS: Final = 2.0
_ALARM_SECONDS: Final = 10.0
_LISTED_SECONDS: Final = 8.0
_MOST: Final = 64
"""How many are remembered; a rule that says more than this within seconds says nothing."""
_MOST_LINES: Final = 5
_PLAIN_VALUES: Final = ("direction", "phase")
"""Values that belong to what happened: `cross in`, `crowd begin`."""


@dataclass(frozen=True, slots=True)
class Saying:
    """Something that happened, in words."""

    text: str
    is_alarm: bool
    track_id: int | None = None
    xyxy: tuple[float, ...] | None = None
    """Where it happened: for who is not seen any more. Pixels of the frame."""


class Happenings:
    """Remembers the events of one source, for some seconds of its own time, and the last state of each kind."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._now_seconds = -math.inf
        self._events: list[Event] = []
        self._states: dict[tuple[str, str], str] = {}

    def add(self, events: Iterable[Event], pts_seconds: float) -> None:
        """Take what rules said about the next frame. A clock that steps back starts all over."""
        if pts_seconds < self._now_seconds:
            self._events.clear()
        self._now_seconds = pts_seconds
        for event in events:
            if event.is_state:
                self._states[event.rule, event.kind] = _state(event)
            else:
                self._events.append(event)
        del self._events[:-_MOST]

    def at_boxes(self, pts_seconds: float) -> list[Saying]:
        """Give what is written at people's boxes: the last thing about each one; an alarm until the person is up."""
        latest: dict[int | None, Event] = {}
        for event in self._within(pts_seconds, _ALARM_SECONDS):
            has_alarm = event.track_id in latest and latest[event.track_id].kind in _ALARMS
            fresh = pts_seconds - event.pts_seconds <= _AT_BOX_SECONDS
            if event.kind in _ALARMS or (fresh and (not has_alarm or event.kind in _RELIEF)):
                latest[event.track_id] = event
            elif has_alarm and event.kind in _RELIEF:
                del latest[event.track_id]
        return [
            Saying(_words(event), event.kind in _ALARMS, event.track_id, event.xyxy)
            for event in latest.values()
            if event.track_id is not None or event.xyxy is not None
        ]

    def listed(self, pts_seconds: float, *, live: bool) -> list[Saying]:
        """Give the lines of the list, oldest first: when (`live`, by the wall clock), which rule, what, to whom."""
        recent = self._within(pts_seconds, _LISTED_SECONDS)[-_MOST_LINES:]
        return [Saying(_line(event, live=live), event.kind in _ALARMS) for event in recent]

    def states(self) -> tuple[str, ...]:
        """Say how things stand: `door: 3`."""
        return tuple(self._states.values())

    def _within(self, pts_seconds: float, seconds: float) -> list[Event]:
        """Give the events of the last seconds."""
        return [event for event in self._events if pts_seconds - event.pts_seconds <= seconds]


def _kind(event: Event) -> str:
    values = (str(event.values[name]) for name in _PLAIN_VALUES if name in event.values)
    return " ".join((event.kind.replace("_", " "), *values))


def _words(event: Event) -> str:
    place = event.rule if event.kind in _PLACED and event.rule != _EVERYWHERE else ""
    return writable_text(f"{_kind(event)} {place}".rstrip())


def _state(event: Event) -> str:
    said = event.values.get("count", ", ".join(f"{name} {value}" for name, value in event.values.items()))
    return writable_text(f"{event.rule}: {said}")


def _line(event: Event, *, live: bool) -> str:
    when = f"{event.captured_at:%H:%M:%S} UTC" if live else clock(event.pts_seconds)
    who = "" if event.track_id is None else f"  #{event.track_id}"
    what = event.rule if event.rule == event.kind else f"{event.rule}: {_kind(event)}"
    return writable_text(f"{when}  {what}{who}")
