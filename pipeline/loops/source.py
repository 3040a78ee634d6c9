"""Reads one file into its channel; what is live has a loop of its own."""

import asyncio
import logging
from collections.abc import Callable

from pipeline.channel import Channel
from pipeline.errors import SourceError
from pipeline.loops.reading import Reading
from pipeline.stage import Source
from pipeline.telemetry import Telemetry
from pipeline.types import Frame, SourceState

__all__ = ["SourceLoop"]

_log = logging.getLogger(__name__)


class SourceLoop(Reading):
    """Reads one source that ends, a file, into its own channel. A failure here is this source's alone.

    Args:
        source: To read.
        outbox: Its first channel.
        telemetry: Where it counts.
        slots: Bounds how many files are open at once.
        hide: What each frame goes through first.
        max_frames: End after so many frames; None for no bound.
    """

    def __init__(
        self,
        source: Source,
        outbox: Channel,
        telemetry: Telemetry,
        slots: asyncio.Semaphore,
        hide: Callable[[Frame], Frame],
        max_frames: int | None = None,
    ) -> None:
        """Prepare; nothing is opened."""
        super().__init__(source, outbox, telemetry, hide, max_frames)
        self._slots = slots

    async def run(self) -> None:
        """Read until the end, a failure, or cancellation, which is how a source is stopped."""
        try:
            async with self._slots:
                await self._open_and_read()
            self._say("failed" if self.failure else "finished")
        except asyncio.CancelledError:
            self._say("stopped")
            self._drop_held("stopped")
            raise
        finally:
            self.finished = True
            self._outbox.close()

    async def _until_resumed(self) -> None:
        while not self._unpaused.is_set():  # again, if it was paused before it noticed that it was resumed
            self._say("paused")
            await self._unpaused.wait()
        self._say("reading")

    async def _open_and_read(self) -> None:
        try:
            await self.source.open()
            self._say("reading")
            await self._read_all()
        except SourceError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - kept as the cause; the run ends with exit code 1
            message = f"source '{self.source.source_id}' failed after {self._counts.received} frames: {error!r}"
            fault = SourceError(message)
            fault.__cause__ = error
            self._fail(fault)
        finally:
            self._outbox.close()  # before the slow part: what was read drains while the source closes
            await self.source.close()
            self._counts.corrupt_frames = self.source.corrupt_frames

    async def _read_all(self) -> None:
        clock = self._telemetry.clock
        while self._wants_more():
            if not self._unpaused.is_set():
                await self._until_resumed()
            started = clock()
            frame = await self.source.read()
            if frame is None:
                return
            self._latency.record(clock() - started)
            if self._counts.expected_frames is None:
                self._counts.expected_frames = frame.stream.expected_frames
            self.holding.append(self._receive(frame))
            await self._outbox.send(self.holding)

    def _fail(self, error: SourceError) -> None:
        self.failure = error
        _log.error("%s", error, exc_info=error.__cause__ if _log.isEnabledFor(logging.DEBUG) else None)

    def _say(self, state: SourceState) -> None:
        self._telemetry.say(self.source.source_id, state, None if self.failure is None else str(self.failure))
