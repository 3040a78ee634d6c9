"""Who is here, who was here a moment ago, and who is gone: by identity, in the time of the stream."""

import math
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pipeline.types import NO_TRACK, Instances

__all__ = ["Attendance", "Visitor"]

_MOST_AWAY: Final = 1000
"""So many people are remembered who are not here. It matters only where time stands still, so that nobody is ever away
for long."""


@dataclass(slots=True)
class Visitor:
    """What is remembered of an identity; rules add what they need. Times are of `Attendance.now_seconds`."""

    track_id: int
    first_seconds: float
    """When it was seen first."""
    seen_seconds: float
    """When it was seen last."""
    row: int | None = None
    """Its row in the table of this frame; None where it is away."""


Remembered = TypeVar("Remembered", bound=Visitor)


class Attendance(Generic[Remembered]):
    """Keeps a `Visitor` for each identity until it has been away for too long.

    Its clock never runs backwards: a frame whose PTS is not later than that of the frame before comes at the same
    moment, and time goes on from there.

    Args:
        visitor: Class of what is remembered of each.
        patience_seconds: Who has not been seen for so long is gone.
    """

    def __init__(self, visitor: type[Remembered], patience_seconds: float) -> None:
        """Know nobody."""
        self.now_seconds = 0.0
        self._visitor = visitor
        self._patience_seconds = patience_seconds
        self._pts_seconds: float | None = None
        self._offset_seconds = 0.0  # from PTS to our clock: grows with every jump back
        self._known: dict[int, Remembered] = {}  # in the order in which they were seen last

    def __len__(self) -> int:
        """Count those who are known, here or away."""
        return len(self._known)

    def take(self, pts_seconds: float, people: Instances) -> tuple[list[Remembered], list[Remembered]]:
        """Take the next frame.

        Returns:
            Those who are here, in the order of the rows; and those who are gone, who were seen first of them first.
            Who is gone is forgotten.
        """
        self._advance(pts_seconds)
        for visitor in self._known.values():
            visitor.row = None
        for row, track_id in enumerate([] if people.track_id is None else people.track_id.tolist()):
            if track_id != NO_TRACK:
                self._see(track_id, row)
        here = [visitor for visitor in self._known.values() if visitor.row is not None]
        return here, self._part()

    def away(self) -> list[Remembered]:
        """Give those who are not in this frame, but not gone either."""
        return [visitor for visitor in self._known.values() if visitor.row is None]

    def seconds_since(self, moment_seconds: float) -> float:
        """Measure the time since a moment, to the microsecond: ten steps of 0.1 s are 1 s."""
        return round(self.now_seconds - moment_seconds, 6)

    def _advance(self, pts_seconds: float) -> None:
        if not math.isfinite(pts_seconds):  # no time is no step
            return
        if self._pts_seconds is None:
            self.now_seconds = pts_seconds
        else:
            self._offset_seconds += max(self._pts_seconds - pts_seconds, 0.0)
        self._pts_seconds = pts_seconds
        self.now_seconds = max(self.now_seconds, pts_seconds + self._offset_seconds)  # rounding is no step back

    def _see(self, track_id: int, row: int) -> None:
        visitor = self._known.pop(track_id, None) or self._visitor(track_id, self.now_seconds, self.now_seconds)
        visitor.seen_seconds, visitor.row = self.now_seconds, row
        self._known[track_id] = visitor

    def _part(self) -> list[Remembered]:
        """Forget who is gone, and say who that was."""
        away = self.away()
        too_many = len(away) - _MOST_AWAY
        gone = [
            visitor
            for number, visitor in enumerate(away)
            if number < too_many or self.seconds_since(visitor.seen_seconds) >= self._patience_seconds
        ]
        for visitor in gone:
            del self._known[visitor.track_id]
        return gone
