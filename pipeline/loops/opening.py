"""When live sources may be opened: few at once, and together again after a common outage."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["Opening"]

_AT_ONCE_PER_HOST: Final = 4
"""A recorder with 32 channels answers that many connections well."""
_AT_ONCE: Final = 16
"""FFmpeg opens codecs under one lock for the whole process: more at once only wait for each other."""
_LONGEST_TURN_SECONDS: Final = 1.0
"""Who is still opening after that holds nobody else up: it is probably a host that does not answer."""
_SAME_OUTAGE_SECONDS: Final = 10.0
"""Connections lost within so long of each other were lost to the same cause: a switch, a power cut."""
_CALLED_AGAIN_SECONDS: Final = 5.0
"""Who was tried that recently is not called early."""
_SPREAD_SECONDS: Final = 2.0
"""Over how long those who are called early come back."""


@dataclass(eq=False, slots=True)
class _Waiter:
    lost_at: float
    since: float
    called: asyncio.Future[None]


class Opening:
    """Shared by all live sources of a run.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Nobody waits."""
        self._clock = clock
        self._all = asyncio.Semaphore(_AT_ONCE)
        self._hosts: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE_PER_HOST))
        self._waiters: set[_Waiter] = set()

    @contextlib.asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for a turn to connect to `host`, and have it for as long as the block takes, but not too long.

        Args:
            host: Empty for something on this machine, which has a turn at once.
        """
        if not host:
            yield
            return
        held = contextlib.ExitStack()
        try:
            for gate in (self._hosts[host], self._all):
                await gate.acquire()
                held.callback(gate.release)
            held.callback(asyncio.get_running_loop().call_later(_LONGEST_TURN_SECONDS, held.close).cancel)
            yield
        finally:
            held.close()  # nothing is left to release if the turn was over before

    async def wait(self, seconds: float, *, lost_at: float) -> None:
        """Wait before the next attempt: `seconds`, or less when somebody who was lost at the same time is back.

        Args:
            seconds: At most.
            lost_at: When the connection was lost, on the clock.
        """
        waiter = _Waiter(lost_at, self._clock(), asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter.called
                await asyncio.sleep(random.uniform(0, _SPREAD_SECONDS))
        except TimeoutError:
            pass  # nobody called: its own time has come
        finally:
            self._waiters.discard(waiter)

    def recovered(self, lost_at: float) -> None:
        """Say that what was lost at this time is back; others may be, too."""
        tried_before = self._clock() - _CALLED_AGAIN_SECONDS
        for waiter in self._waiters:
            same_outage = abs(waiter.lost_at - lost_at) <= _SAME_OUTAGE_SECONDS
            if same_outage and waiter.since <= tried_before and not waiter.called.done():
                waiter.called.set_result(None)
