"""How many people may be looked at: so many a second of video, and what fits into a deadline."""

import math
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["Deadline", "PeoplePerSecond"]

_SAVED_SECONDS: Final = 0.25
"""How much of its share a source may save for later, and all of them together in what is spare."""
_SILENT_SECONDS: Final = 10.0
"""A source that was silent that long has no share of the rate until its next frame."""
_ROUNDING: Final = 1e-6
"""Sums of 1/25 must not miss a whole person by a rounding error."""

_NEWEST: Final = 0.2
"""Weight of the newest call in the estimate of the time a person takes."""
_LONGEST_PAUSE: Final = 64
"""Calls between two tries that failed, at most."""


class PeoplePerSecond:
    """Looks at people that come with the time of the video itself, in equal shares for all active sources.

    Time is the mean of the clocks of the active sources. Sources of one batch lend each other what they do not use;
    what is more than a source may save is spare, for whoever comes next. A quarter of a second's worth may be saved
    by each source and as much may be spare, but at least one look: so over any stretch of video there are at most

        rate * seconds + max(1, rate / 4) + the sum over the sources of max(1, rate / 4 / sources)

    looks. (A pool without shares would not do: sources that come in turns can hit it when it is empty, every time.)

    Args:
        rate: People a second, above 0.
    """

    def __init__(self, rate: float) -> None:
        """Begin with as much to spare as there may be."""
        self.rate = rate
        self._most_saved = _SAVED_SECONDS * rate
        self._spare = max(1.0, self._most_saved)
        self._shares: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._seconds = 0.0
        self._active = 1

    def pass_time(self, source_id: str, seconds: float) -> None:
        """Give a source its share of the time that passed in it, 0 or more seconds."""
        self._heard[source_id] = self._seconds
        self._active = sum(self._seconds - heard <= _SILENT_SECONDS for heard in self._heard.values())
        step = seconds / self._active
        self._seconds += step
        self._heard[source_id] = self._seconds
        self._shares[source_id] = self._shares.get(source_id, 0.0) + self.rate * step

    def left(self, sources: Iterable[str]) -> int:
        """Say how many people may be looked at in a batch of frames of these sources."""
        return math.floor(self._spare + sum(self._shares[source_id] for source_id in set(sources)) + _ROUNDING)

    def spend(self, people: Mapping[str, int]) -> None:
        """Take note of how many people were looked at in each source of a batch.

        A source that took more than its share pays from what is spare, then from the others' shares.
        """
        after = {source_id: self._shares[source_id] - count for source_id, count in people.items()}
        debt = sum(max(-share, 0.0) for share in after.values())
        lent = max(debt - self._spare, 0.0)
        kept = 1.0 - lent / max(sum(max(share, 0.0) for share in after.values()), lent, _ROUNDING)
        self._spare -= debt - lent
        for source_id, share in after.items():
            self._save(source_id, max(share, 0.0) * kept)

    def forget(self, source_id: str) -> None:
        """Let the others have the share of a source that ended."""
        self._spare = min(self._spare + self._shares.pop(source_id, 0.0), max(1.0, self._most_saved))
        self._heard.pop(source_id, None)

    def _save(self, source_id: str, share: float) -> None:
        self._shares[source_id] = min(share, max(1.0, self._most_saved / self._active))
        self._spare = min(self._spare + share - self._shares[source_id], max(1.0, self._most_saved))


class Deadline:
    """How many people fit into the time that a call may take, as far as the last calls tell.

    A running mean of the seconds a person takes would be enough if ten people took ten times as long as one. On a GPU
    they take hardly longer, and from calls with one person the mean cannot tell: so a call that was full and in time
    is followed by one with one person more. When that was too many, the next such try waits, twice as long each time.

    Args:
        seconds: What a call may take, above 0.
    """

    def __init__(self, seconds: float) -> None:
        """Know nothing yet: the first call gets one person."""
        self.seconds = seconds
        self._seconds_per_person: float | None = None
        self._pause = self._waited = 0

    def left(self, _sources: Iterable[str]) -> int:
        """Say how many people the next call may look at, whatever its sources; at least 1."""
        return self._fitting + (self._waited >= self._pause and self._seconds_per_person is not None)

    @property
    def _fitting(self) -> int:
        if self._seconds_per_person is None:
            return 1
        return max(1, math.floor(self.seconds / max(self._seconds_per_person, _ROUNDING)))

    def learn(self, people: int, seconds: float) -> None:
        """Take note of how long a call with so many people took; one without people says nothing."""
        if people == 0:
            return
        if people >= self._fitting:
            self._judge(tried=people > self._fitting, in_time=seconds <= self.seconds)
        before, now = self._seconds_per_person, seconds / people
        self._seconds_per_person = now if before is None else before + _NEWEST * (now - before)

    def _judge(self, *, tried: bool, in_time: bool) -> None:
        """Decide when to try one person more again, after a call that was full."""
        if not tried:
            self._waited += 1
        elif in_time:
            self._pause = self._waited = 0
        else:
            self._pause, self._waited = min(2 * self._pause + 1, _LONGEST_PAUSE), 0
