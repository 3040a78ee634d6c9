"""Shares pictures among engines, in pieces no larger than each of them takes."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from threading import Lock
from typing import Generic, TypeVar

from pipeline.errors import OutOfMemory
from stages.engines.base import Engine

__all__ = ["Lane", "share"]

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)
T = TypeVar("T")


class Lane(Generic[E]):
    """An engine, and how many pictures it takes at once: fewer after it once ran out of memory."""

    def __init__(self, engine: E) -> None:
        """Begin with what the engine was opened for."""
        self.engine = engine
        self.limit = engine.max_batch

    def work(self, rows: slice, look: Callable[[E, slice], T]) -> Iterator[tuple[int, T]]:
        """Look at rows; where they do not fit into memory, at one half after the other.

        Yields:
            The first row of each piece, and what was seen in it.

        Raises:
            OutOfMemory: Not even one picture fits.
        """
        middle = (rows.stop - rows.start) // 2
        try:
            seen = look(self.engine, rows)
        except OutOfMemory as error:
            if not middle:
                raise
            self.limit = min(self.limit, middle)
            _log.warning("%s: %s; now %d at once at most", self.engine, error, self.limit)
        else:
            yield rows.start, seen
            return
        # Outside of the clause: within, the error still holds the memory of what failed.
        for half in (slice(rows.start, rows.start + middle), slice(rows.start + middle, rows.stop)):
            yield from self.work(half, look)


class Rows:
    """Hands out rows 0 to count, each once, to whoever asks first."""

    def __init__(self, count: int) -> None:
        """Begin at row 0."""
        self._lock = Lock()
        self._next, self._count = 0, count

    def take(self, at_most: int) -> slice | None:
        """Give the next rows; None when all are given."""
        with self._lock:
            start, self._next = self._next, min(self._next + at_most, self._count)
            return slice(start, self._next) if start < self._count else None

    def stop(self) -> None:
        """Give no more."""
        with self._lock:
            self._next = self._count


def share(
    lanes: Sequence[Lane[E]], count: int, look: Callable[[E, slice], T], threads: Executor | None = None
) -> list[T]:
    """Look at `count` rows, each lane at a piece at a time.

    Args:
        lanes: The engines, at least one. Several work side by side; a fast one takes more pieces.
        count: How many rows there are; with none, no engine is called.
        look: Looks at rows with an engine; called by several threads where there are several lanes.
        threads: Where there are several lanes: at least one thread for each.

    Returns:
        What was seen, piece by piece in the order of the rows.

    Raises:
        OutOfMemory: Not even one picture fits. All lanes have come to rest by then.
    """
    rows, fair = Rows(count), -(-count // len(lanes))

    def drive(lane: Lane[E]) -> list[tuple[int, T]]:
        seen: list[tuple[int, T]] = []
        try:
            while (piece := rows.take(min(lane.limit, fair))) is not None:
                seen += lane.work(piece, look)
        except BaseException:
            rows.stop()
            raise
        return seen

    if threads is None or len(lanes) == 1:
        parts = [drive(lane) for lane in lanes]
    else:
        futures = [threads.submit(drive, lane) for lane in lanes]
        wait(futures)  # before any error is raised: an engine must be at rest when its caller tries again
        parts = [future.result() for future in futures]
    return [seen for _, seen in sorted((pair for part in parts for pair in part), key=lambda pair: pair[0])]
