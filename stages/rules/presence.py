"""Who comes and who goes, anywhere in the picture."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline import plugin
from pipeline.types import Event, Frame, Instances
from stages.judging.attendance import Attendance, Visitor
from stages.rules.base import Rule

__all__ = ["Options", "PresenceRule"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Options(plugin.Options):
    """Options of `presence`. Times are of the stream."""

    min_seconds: Seconds = 0.5
    """Somebody has come when it has been there for so long; gaps shorter than `patience_seconds` count as there."""
    patience_seconds: Seconds = 2.0
    """Somebody has gone when it has not been seen for so long. Who comes back later, comes anew."""


@dataclass(slots=True)
class _Guest(Visitor):
    has_come: bool = False


class PresenceRule(Rule):
    """Says who comes and who goes.

        enter   somebody has been there for `min_seconds`      values: seconds so far, count
        leave   somebody has been gone for `patience_seconds`  values: seconds it was there, count
        count   state: how many are there, at the first frame and whenever it changes    values: count

    `count` is how many are there after the event. Who left is not in the frame, so `leave` has no box.
    """

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        super().__init__(options, name)
        self._attendance = Attendance(_Guest, options.patience_seconds)
        self._count = 0
        self._said: int | None = None

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        here, gone = self._attendance.take(frame.pts_seconds, people)
        events = [self._leave(frame, guest) for guest in gone if guest.has_come]
        events += [self._enter(frame, people, guest) for guest in here if self._comes(guest)]
        if self._count != self._said:
            self._said = self._count
            reason = f"people in the picture: {self._count}"
            events.append(self.event("count", frame, reason, is_state=True, count=self._count))
        return events

    def _comes(self, guest: _Guest) -> bool:
        been = self._attendance.seconds_since(guest.first_seconds)
        return not guest.has_come and been >= self.options.min_seconds

    def _enter(self, frame: Frame, people: Instances, guest: _Guest) -> Event:
        guest.has_come = True
        self._count += 1
        seconds = self._attendance.seconds_since(guest.first_seconds)
        reason = f"there for {seconds:.2f} s, at least {self.options.min_seconds:g} s"
        return self.event("enter", frame, reason, people, guest.row, seconds=seconds, count=self._count)

    def _leave(self, frame: Frame, guest: _Guest) -> Event:
        self._count -= 1
        away = self._attendance.seconds_since(guest.seen_seconds)
        seconds = round(guest.seen_seconds - guest.first_seconds, 6)
        reason = (
            f"not seen for {away:.2f} s, at least {self.options.patience_seconds:g} s; was there for {seconds:.2f} s"
        )
        return self.event("leave", frame, reason, track_id=guest.track_id, seconds=seconds, count=self._count)
