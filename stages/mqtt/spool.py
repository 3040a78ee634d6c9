"""Events that wait for the broker, on disk: in order, bounded by bytes and age, and kept when the process dies."""

import logging
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import SinkError
from stages.state import StateFile

__all__ = ["Spool", "SpoolState", "Waiting"]

_log = logging.getLogger(__name__)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, made_at REAL NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL,
    size INTEGER NOT NULL);
"""
_TAKEN: Final = (
    "it publishes under the same prefix to the same broker; give one of them another `prefix`, or another `spool`"
)
_ROW_BYTES: Final = 64
"""What an event takes up on disk beside its text, about."""
_TOLD_SECONDS: Final = 60.0
"""How often a loss is logged, at most."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the spool."""

    sequence: int
    """Counts the events of this spool, from 1, for ever; never used twice."""
    topic: str
    body: str
    """A JSON object."""
    made_at: float
    """When it was put in: seconds since 1970."""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How full a spool is."""

    waiting: int
    waiting_bytes: int
    lost: int
    """How many events were dropped since the spool was made, because they were too many or too old."""


class Spool:
    """Keeps events in an SQLite file until they are delivered. Safe to use from any thread.

    One process at a time has the file (a lock file beside it): two that publish under the same prefix would take
    events from each other.

    Args:
        path: The file; its folder is made.
        max_bytes: Of waiting events. Beyond it the oldest are dropped, and counted.
        max_age_seconds: Older ones are dropped, and counted.
        clock: Seconds since 1970: ages must outlive the process.
    """

    def __init__(
        self, path: Path, max_bytes: int, max_age_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep what to do; nothing is opened."""
        self.path = path
        self.identity = ""
        """What tells this spool from all others, once it is open: eight hex digits."""
        self.in_flight = 0
        """The last event that was handed to the broker: up to there, nothing is dropped."""
        self._max_bytes = max_bytes
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._mutex = threading.Lock()
        self._file = StateFile(path, _TABLES, _TAKEN, "choose another file with `spool`")
        self._acknowledged: set[int] = set()
        self._count = self._bytes = self._lost = self._untold = 0
        self._told_at = float("-inf")

    def open(self) -> None:
        """Take the file, and see what an earlier process left in it.

        Raises:
            SinkError: It cannot be written, is damaged, or another process has it.
        """
        self._file.open()
        try:
            self._take_stock()
        except SinkError:
            self.close()
            raise

    def _take_stock(self) -> None:
        self.identity = self._file.fact("identity") or secrets.token_hex(4)
        self._lost = int(self._file.fact("lost") or 0)
        self.in_flight = 0
        self._acknowledged.clear()
        with self._file.change() as change:  # also finds out whether the disk takes anything
            self._file.set_fact(change, "identity", self.identity)
        self._count, self._bytes = self._file.rows("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM event")[0]

    def close(self) -> None:
        """Let go of the file. What waits stays in it."""
        self._file.close()

    @property
    def state(self) -> SpoolState:
        """How full it is."""
        with self._mutex:
            return SpoolState(self._count, self._bytes, self._lost)

    @property
    def last_sequence(self) -> int:
        """The number of the newest event there ever was; 0 before the first."""
        rows = self._file.rows("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        return int(rows[0][0]) if rows else 0

    def add(self, events: Sequence[tuple[str, str]]) -> None:
        """Keep events, (topic, JSON object) each: all or none, and on the disk itself when this returns.

        Raises:
            SinkError: The disk does not take them; none of them is kept.
        """
        now = self._clock()
        rows = [(now, topic, body, len(body.encode()) + _ROW_BYTES) for topic, body in events]
        added_bytes = sum(size for *_, size in rows)
        with self._mutex:
            with self._file.change(durable=True) as change:
                change.executemany("INSERT INTO event (made_at, topic, body, size) VALUES (?, ?, ?, ?)", rows)
                lost, lost_bytes = self._drop(change, now, self._bytes + added_bytes)
            self._count += len(rows) - lost
            self._bytes += added_bytes - lost_bytes
            self._lose(lost)

    def after(self, sequence: int, limit: int) -> list[Waiting]:
        """Give the oldest events with a number above `sequence`, in order, `limit` at most; none twice.

        Raises:
            SinkError: They cannot be read.
        """
        query = "SELECT sequence, topic, body, made_at FROM event WHERE sequence > ? ORDER BY sequence LIMIT ?"
        with self._mutex:
            rows = self._file.rows(query, sequence, limit + len(self._acknowledged))
            return [Waiting(*row) for row in rows if row[0] not in self._acknowledged][:limit]

    def acknowledge(self, sequence: int) -> None:
        """Take note that the broker has an event; `tidy` then takes it off the disk."""
        with self._mutex:
            self._acknowledged.add(sequence)

    def lose(self, sequence: int) -> None:
        """Count an event as lost that no broker will ever take; it must be acknowledged as well.

        Raises:
            SinkError: The disk does not take that.
        """
        with self._mutex:
            if sequence not in self._acknowledged:
                with self._file.change() as change:
                    self._file.set_fact(change, "lost", str(self._lost + 1))
                self._lost += 1

    def tidy(self) -> None:
        """Take off the disk what the broker has.

        Raises:
            SinkError: The disk does not take that now. This process delivers nothing twice, but the next one would.
        """
        with self._mutex:
            if not self._acknowledged:
                return
            with self._file.change() as change:  # forgotten by a power cut, it is delivered once more
                removed = [_delete(change, sequence) for sequence in self._acknowledged]
            self._acknowledged.clear()
            self._count -= sum(size is not None for size in removed)
            self._bytes -= sum(size for size in removed if size is not None)

    def expire(self) -> int:
        """Drop what is too old or too much, and tell how many that were.

        Raises:
            SinkError: The disk does not take that now.
        """
        with self._mutex:
            with self._file.change() as change:
                lost, lost_bytes = self._drop(change, self._clock(), self._bytes)
            self._count -= lost
            self._bytes -= lost_bytes
            self._lose(lost)
        return lost

    def _drop(self, change: sqlite3.Connection, now: float, total_bytes: int) -> tuple[int, int]:
        """Delete the oldest that are beyond a bound; give how many, and how many bytes."""
        lost = lost_bytes = 0
        query = "SELECT sequence, made_at, size FROM event WHERE sequence > ? ORDER BY sequence"
        last = None
        for sequence, made_at, size in change.execute(query, (self.in_flight,)):
            if total_bytes - lost_bytes <= self._max_bytes and now - made_at <= self._max_age_seconds:
                break
            last, lost, lost_bytes = sequence, lost + 1, lost_bytes + size
        if last is not None:
            change.execute("DELETE FROM event WHERE sequence > ? AND sequence <= ?", (self.in_flight, last))
            self._file.set_fact(change, "lost", str(self._lost + lost))
        return lost, lost_bytes

    def _lose(self, lost: int) -> None:
        self._lost += lost
        self._untold += lost
        if self._untold and time.monotonic() - self._told_at >= _TOLD_SECONDS:
            _log.warning(
                "%d event(s) dropped undelivered: more than %d bytes or %.3g hours waited in %s; %d lost so far",
                self._untold, self._max_bytes, self._max_age_seconds / 3600, self.path, self._lost,
            )  # fmt: skip
            self._told_at, self._untold = time.monotonic(), 0


def _delete(change: sqlite3.Connection, sequence: int) -> int | None:
    row = change.execute("DELETE FROM event WHERE sequence = ? RETURNING size", (sequence,)).fetchone()
    return None if row is None else int(row[0])
