"""Frames that are looked at together, and the tracks that go through them."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.types import NO_TRACK, Instances

__all__ = ["HeldFrame", "Reel", "Sighting", "Track"]

_STANDSTILL_SECONDS: Final = 1 / 30
"""How long a frame lasts whose time is not later than that of the one before: else frames would be held for ever."""


class Sighting(NamedTuple):
    """Where somebody was seen."""

    frame: "HeldFrame"
    row: int


@dataclass(eq=False, slots=True)
class Track:
    """One person, as far as is known by now. Times are those of the reel."""

    tracker_id: int
    """Under which the tracker goes on with it."""
    sightings: deque[Sighting] = field(default_factory=deque)
    """Those on the reel, oldest first; none that was made up."""
    born: float = math.inf
    """When it was seen first, in a frame that may have left the reel; likewise for the others."""
    seen: float = -math.inf
    rows: int = 0
    score_sum: float = 0.0
    given_id: int | None = None
    """The id under which it is given out; NO_TRACK if it is not worth one; None until that is decided."""

    def see(self, sighting: Sighting) -> None:
        """Note that it was seen, later than ever before, or earlier."""
        frame, row = sighting
        if frame.seconds > self.seen:
            self.sightings.append(sighting)
        else:
            self.sightings.appendleft(sighting)
        self.born, self.seen = min(self.born, frame.seconds), max(self.seen, frame.seconds)
        self.rows += 1
        self.score_sum += float(frame.people.score[row])
        frame.row_of[self] = row

    def absorb(self, later: "Track") -> None:
        """Go on as a track that begins after this one was seen last."""
        self.tracker_id = later.tracker_id
        self.sightings += later.sightings
        self.seen = later.seen
        self.rows += later.rows
        self.score_sum += later.score_sum


@dataclass(eq=False, slots=True)
class HeldFrame:
    """One frame."""

    number: int
    seconds: float
    """On the clock of the reel, which never goes back."""
    people: Instances
    """As they came, with `track_id` and `predicted`; then rows that were made up."""
    seen: int
    """How many rows came: those behind them were made up."""
    row_of: dict[Track, int] = field(default_factory=dict)

    @property
    def tracks(self) -> list[Track]:
        """Everybody who is in it and worth an id."""
        return [track for track in self.row_of if track.given_id != NO_TRACK]


class Reel:
    """A queue of frames: first those that have been given out and are still remembered, then those that wait.

    Args:
        tail_seconds: How long a frame is remembered after it was given out.
    """

    def __init__(self, tail_seconds: float) -> None:
        """Hold nothing."""
        self.frames: deque[HeldFrame] = deque()
        self.seconds = 0.0
        """Time of the newest frame; that of the first one of all is 0."""
        self._tail_seconds = tail_seconds
        self._given = 0
        self._count = 0
        self._pts_seconds: float | None = None

    def __len__(self) -> int:
        """Count the frames that wait."""
        return len(self.frames) - self._given

    def append(self, people: Instances, pts_seconds: float) -> HeldFrame:
        """Add the next frame."""
        if self._pts_seconds is not None:
            self.seconds += max(pts_seconds - self._pts_seconds, 0.0) or _STANDSTILL_SECONDS
        self._pts_seconds = pts_seconds
        self.frames.append(HeldFrame(self._count, self.seconds, people, len(people)))
        self._count += 1
        return self.frames[-1]

    def between(self, first: HeldFrame, last: HeldFrame) -> list[HeldFrame]:
        """Give the frames after one and before another one."""
        start = self.frames[0].number
        return [self.frames[number - start] for number in range(first.number + 1, last.number)]

    def waiting_before(self, frame: HeldFrame) -> Iterator[HeldFrame]:
        """Yield the frames before one that are not given out yet, the latest first."""
        start = self.frames[0].number
        for number in range(frame.number - 1, start + self._given - 1, -1):
            yield self.frames[number - start]

    def around(self, frame: HeldFrame, reach_seconds: float) -> list[HeldFrame]:
        """Give the frames not farther than that from one, itself included."""
        return [one for one in self.frames if abs(one.seconds - frame.seconds) <= reach_seconds]

    def ready(self, until_seconds: float) -> Iterator[HeldFrame]:
        """Yield the frames that wait, up to a time; each has been given out when the next one is asked for."""
        while len(self) and (frame := self.frames[self._given]).seconds <= until_seconds:
            yield frame
            self._given += 1
            while self.frames[0].seconds < frame.seconds - self._tail_seconds:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        """Let go of the oldest frame, and of what was seen in it."""
        frame = self.frames.popleft()
        self._given -= 1
        for track in frame.row_of:
            if track.sightings and track.sightings[0].frame is frame:
                track.sightings.popleft()
