"""Reads one live source for ever: connects, watches that frames come, and connects again."""

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from pipeline.backoff import Backoff
from pipeline.channel import Channel
from pipeline.errors import AuthenticationFailed, SourceError
from pipeline.loops.opening import Opening
from pipeline.loops.reading import Reading
from pipeline.stage import Source
from pipeline.telemetry import Telemetry
from pipeline.types import Frame, Packet, SourceState

__all__ = ["LiveLoop"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 0.5
"""How much longer than its own limit a source may take to say that it is stalled; then it is said for it."""
_CLOSE_SECONDS: Final = 1.5
"""How long a lost connection may take to close; then it is left behind, with its thread, and closes when it can."""
_GOOD_SECONDS: Final = 30.0
"""After so long of good frames a camera is taken for a reliable one again, and a loss of it for a new one."""
_REFUSED_SECONDS: Final = (60.0, 120.0)
"""Wait so long, at least and at most, after refused credentials: cameras lock an account after some wrong attempts."""


class LiveLoop(Reading):
    """Reads a live source into its own channel, connection after connection. It gives up only when it is stopped.

    A connection is lost when the source says so, and when no frame has come for the source's `stall_timeout_seconds`.
    Then it is closed and opened again after a growing, random while. The index and the time of frames go on where they
    were, in the frames after it: for everybody behind it is one stream with a gap.

    Args:
        source: To read; it is opened again after it was closed.
        outbox: Its first channel.
        telemetry: Where it counts.
        opening: Shared by all live sources of the run.
        hide: What each frame goes through first.
        max_frames: End after so many frames; None for no bound.
        backoff: Waiting times between attempts.
    """

    def __init__(
        self,
        source: Source,
        outbox: Channel,
        telemetry: Telemetry,
        opening: Opening,
        hide: Callable[[Frame], Frame],
        max_frames: int | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """Prepare; nothing is opened."""
        super().__init__(source, outbox, telemetry, hide, max_frames)
        self._opening = opening
        self._backoff = backoff or Backoff()
        self._continuity = _Continuity()
        self._going: asyncio.Timeout | None = None
        self._ended = False
        self._lost_at: float | None = telemetry.clock()
        self._live_since: float | None = None
        self._heard_at = 0.0

    async def run(self) -> None:
        """Read until the source ends for good, or cancellation, which is how a source is stopped."""
        try:
            while not self._ended:
                await self._until_resumed()
                await self._until_paused()
            self._say("finished")
        except asyncio.CancelledError:
            self._say("stopped")
            self._drop_held("stopped")
            raise
        finally:
            self.finished = True
            self._outbox.close()

    def pause(self) -> None:
        """Close the connection, and open no other one until `resume`. Twice is fine."""
        super().pause()
        if self._going is not None and not self._going.expired():
            self._going.reschedule(asyncio.get_running_loop().time())

    async def _until_resumed(self) -> None:
        while not self._unpaused.is_set():  # again, if it was paused before it noticed that it was resumed
            self._say("paused")
            await self._unpaused.wait()
            self._backoff.reset()
        self._say(self._state_while_away())

    async def _until_paused(self) -> None:
        try:
            async with asyncio.timeout(None) as self._going:
                while not await self._one_connection():
                    await self._rest()
                self._ended = True
        except TimeoutError:
            self._drop_held("paused")
        finally:
            self._going = None

    async def _one_connection(self) -> bool:
        """Connect and read until the connection is lost; tell whether the source has ended for good."""
        self._live_since = None
        self._continuity.begin()
        try:
            async with self._opening.turn(self.source.host):
                await self._watched(self.source.open())
            await self._read_all()
        except SourceError as error:
            self._lose(error)
        except Exception as error:  # noqa: BLE001 - a fault of the source; the next connection may do
            fault = SourceError(f"{type(error).__name__}: {error}")
            fault.__cause__ = error
            self._lose(fault)
        else:
            return True
        finally:
            await self._close()
        return False

    async def _read_all(self) -> None:
        clock = self._telemetry.clock
        while self._wants_more():
            started = clock()
            frame = await self._watched(self.source.read())
            if frame is None:
                return
            self._heard_at = clock()
            self._latency.record(self._heard_at - started)
            await self._pass_on(self._receive(self._continuity.join(frame)))

    async def _watched(self, call: Awaitable[T]) -> T:
        """Wait for a call, but not much longer than the source may be silent."""
        limit_seconds = self.source.stall_timeout_seconds
        try:
            async with asyncio.timeout(limit_seconds + _GRACE_SECONDS if math.isfinite(limit_seconds) else None):
                return await call
        except TimeoutError as error:
            msg = (
                f"no sign for {limit_seconds:g} s, and the connection hangs; check the camera and the network, or"
                " raise stall_timeout_seconds"
            )
            raise SourceError(msg) from error

    async def _pass_on(self, packet: Packet) -> None:
        if packet.frame.is_corrupt:
            self._telemetry.drop(packet, "decode", "corrupt")
            return
        if self._live_since is None:
            self._go_live()
        elif self._heard_at - self._live_since >= _GOOD_SECONDS:
            self._backoff.reset()
        self.holding.append(packet)
        await self._outbox.send(self.holding)

    def _go_live(self) -> None:
        self._live_since = self._heard_at
        self._counts.connections += 1
        lost_at, self._lost_at = self._lost_at, None
        self._say("live")
        if lost_at is not None:
            _log.info("source '%s' is live, after %.1f s", self.source.source_id, self._heard_at - lost_at)
            self._opening.recovered(lost_at)

    def _lose(self, error: SourceError) -> None:
        """Note that there is no connection, and why."""
        now = self._telemetry.clock()
        if self._lost_at is None:
            self._lost_at = now
        is_stalled = self._live_since is not None and now - self._heard_at >= 0.9 * self.source.stall_timeout_seconds
        state: SourceState = "stalled" if is_stalled else self._state_while_away()
        if isinstance(error, AuthenticationFailed):
            state = "auth_error"
        is_news = self._counts.error != str(error)
        self._say(state, str(error))
        level = logging.WARNING if is_news else logging.DEBUG
        _log.log(level, "source '%s': %s; it is tried again", self.source.source_id, error)

    async def _rest(self) -> None:
        """Wait until the next attempt is due."""
        if self._counts.state == "auth_error":
            await asyncio.sleep(random.uniform(*_REFUSED_SECONDS))
            return
        assert self._lost_at is not None  # `_lose` was called
        await self._opening.wait(self._backoff.next_seconds(), lost_at=self._lost_at)
        self._say(self._state_while_away(), self._counts.error)

    async def _close(self) -> None:
        """Close the connection; who does not come back is left behind."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self.source.close()
        except TimeoutError:
            _log.warning("source '%s' did not close in time; it was left behind", self.source.source_id)
        except SourceError as error:
            _log.warning("source '%s' could not be closed: %s", self.source.source_id, error)

    def _state_while_away(self) -> SourceState:
        return "reconnecting" if self._counts.connections else "connecting"

    def _say(self, state: SourceState, error: str | None = None) -> None:
        self._telemetry.say(self.source.source_id, state, error)


class _Continuity:
    """Lets index and time of frames go on from one connection to the next."""

    def __init__(self) -> None:
        self._index_offset = 0
        self._seconds_offset = 0.0
        self._last: tuple[int, float, float] | None = None  # index, PTS, arrival
        self._is_new = True

    def begin(self) -> None:
        """Expect the first frame of another connection."""
        self._is_new = True

    def join(self, frame: Frame) -> Frame:
        """Give the frame its place in the whole stream: between two connections passed what passed on our clock."""
        if self._is_new and self._last is not None:
            index, pts_seconds, arrived = self._last
            away_seconds = max(frame.arrived_monotonic - arrived, float(frame.stream.time_base))
            self._index_offset = index + 1 - frame.index
            self._seconds_offset = pts_seconds + away_seconds - frame.pts_seconds
        self._is_new = False
        if self._index_offset or self._seconds_offset:
            frame = replace(
                frame, index=frame.index + self._index_offset, pts_seconds=frame.pts_seconds + self._seconds_offset
            )
        self._last = frame.index, frame.pts_seconds, frame.arrived_monotonic
        return frame
