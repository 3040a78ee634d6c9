"""Ends a call that takes too long, from a thread of its own."""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Watchdog"]


class Watchdog:
    """Calls `bite`, once, when a watched call has made no progress for `seconds`.

    Args:
        seconds: How long a call may go without progress.
        bite: Ends the call, from another thread.
        name: Of the thread.
    """

    def __init__(self, seconds: float, bite: Callable[[], object], name: str) -> None:
        """Start the thread, which sleeps most of the time."""
        self._seconds = seconds
        self._bite = bite
        self._deadline = math.inf
        self.has_bitten = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)
        self._thread.start()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the calls in this block, and nothing outside of it."""
        self._deadline = time.monotonic() + self._seconds
        try:
            yield
        finally:
            self._deadline = math.inf

    @property
    def is_overdue(self) -> bool:
        """True when the present call has had its time."""
        return time.monotonic() >= self._deadline

    def stop(self) -> None:
        """End the thread; it bites nobody any more. Twice is fine."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(min(self._seconds, max(0.0, self._deadline - time.monotonic()))):
            if self.is_overdue:
                self.has_bitten = True
                self._bite()
                return
