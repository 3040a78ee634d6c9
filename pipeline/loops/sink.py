"""Feeds one sink; opens it again when it failed."""

import logging
from collections import deque
from collections.abc import Callable
from typing import cast

from pipeline.backoff import Backoff
from pipeline.channel import Channel, Item, SourceEnded
from pipeline.errors import ChannelClosed, SinkError
from pipeline.loops.base import FAILURES_IN_A_ROW
from pipeline.stage import Sink
from pipeline.telemetry import Telemetry
from pipeline.types import Packet

__all__ = ["SinkLoop"]

_log = logging.getLogger(__name__)


class SinkLoop:
    """Feeds one sink.

    When the sink fails, it is closed and opened again after a while; what comes meanwhile is counted, not kept.

    A packet that breaks the sink by itself (any error but SinkError) is dropped with the name of its error; three in a
    row are a failure of the sink.

    Args:
        sink: To feed; opened by the runner.
        inbox: Its own channel.
        telemetry: Where it counts.
        on_failure: Called when the sink goes down; may raise to end the run.
    """

    def __init__(
        self, sink: Sink, inbox: Channel, telemetry: Telemetry, on_failure: Callable[[SinkError], None]
    ) -> None:
        """Prepare."""
        self.name = f"sink {sink.name}"
        self.sink = sink
        self.inbox = inbox
        self.holding: deque[Item] = deque()
        self.finished = False
        self.is_up = True
        self.failure: SinkError | None = None
        self._telemetry = telemetry
        self._counts = telemetry.sinks[sink.name]
        self._latency = telemetry.histogram(f"sink:{sink.name}")
        self._total = telemetry.histogram("total")
        self._on_failure = on_failure
        self._backoff = Backoff()
        self._reopen_at = 0.0
        self._culprits_in_a_row = 0

    async def run(self) -> None:
        """Write until the channel is closed and empty."""
        try:
            while True:
                self.holding.extend(await self.inbox.receive(self.sink.max_batch))
                await self._handle()
        except ChannelClosed:
            self.finished = True

    async def _handle(self) -> None:
        if not self.is_up and self._telemetry.clock() >= self._reopen_at:
            await self._reopen()
        if not self.is_up:
            self._drop_held("unavailable")
            return
        first = self.holding[0]
        try:
            if isinstance(first, Packet):
                await self._write()
                return
            self.holding.clear()
            if isinstance(first, SourceEnded):
                await self.sink.end_source(first.source_id)
            else:
                await self.sink.source_changed(first)
        except SinkError as error:
            await self._go_down(error)

    async def _write(self) -> None:
        while self.holding:
            # A copy: the sink takes packets out as it writes them, maybe in a thread, and they are counted afterwards.
            left = cast("deque[Packet]", self.holding.copy())
            started, count = self._telemetry.clock(), len(left)
            try:
                await self.sink.write(left)
            except SinkError:
                self._count_written(len(left), started)
                self._drop_held("unavailable")
                raise
            except Exception as error:  # noqa: BLE001 - counted by name; three in a row take the sink down
                self._count_written(len(left), started)
                self._drop_culprit(error, alone=len(left) == count)
            else:
                self._culprits_in_a_row = 0
                self._backoff.reset()
                self._count_written(len(left), started)

    def _drop_culprit(self, error: Exception, *, alone: bool) -> None:
        frame = cast("Packet", self.holding.popleft()).frame
        _log.warning(
            "sink '%s': source '%s' frame %d dropped: %s: %s",
            self.sink.name, frame.source_id, frame.index, type(error).__name__, error,
        )  # fmt: skip
        self._counts.dropped[type(error).__name__] += 1
        self._culprits_in_a_row = self._culprits_in_a_row + 1 if alone else 1
        if self._culprits_in_a_row >= FAILURES_IN_A_ROW:
            self._drop_held("unavailable")
            msg = f"sink '{self.sink.name}' failed on {self._culprits_in_a_row} packets in a row: {error!r}"
            raise SinkError(msg) from error

    async def _go_down(self, error: SinkError) -> None:
        self.is_up = False
        self.failure = error
        self._counts.failures += 1
        self._counts.error = str(error)
        wait_seconds = self._backoff.next_seconds()
        self._reopen_at = self._telemetry.clock() + wait_seconds
        _log.error("sink '%s' failed: %s; it is opened again in %.1f s", self.sink.name, error, wait_seconds)
        try:
            await self.sink.close(complete=False)
        except SinkError as closing:
            _log.warning("sink '%s' could not be closed: %s", self.sink.name, closing)
        self._on_failure(error)

    async def _reopen(self) -> None:
        try:
            await self.sink.open()
        except SinkError as error:
            await self._go_down(error)
        else:
            self.is_up = True
            self._culprits_in_a_row = 0
            _log.info("sink '%s' works again", self.sink.name)
            for source_id in self._telemetry.sources:
                self.inbox.put(self._telemetry.status(source_id))

    def _count_written(self, left: int, started: float) -> None:
        """Count what is held as written, but for the last `left`."""
        now = self._telemetry.clock()
        packets = [cast("Packet", self.holding.popleft()) for _ in range(len(self.holding) - left)]
        self._counts.written += len(packets)
        if packets:
            self._latency.record(now - started, len(packets))
        for packet in packets:
            self._total.record(now - packet.frame.arrived_monotonic)

    def _drop_held(self, reason: str) -> None:
        self._counts.dropped[reason] += sum(isinstance(item, Packet) for item in self.holding)
        self.holding.clear()
