"""The three loops of the engine, one a part: read a source, work a stage, feed a sink.

Each loop owns its part's failure domain (what is dropped, retried, reopened or raised) and closes the channel after it
when it leaves, however it leaves. `Runner` starts them, all in one task group.

`holding` is what a loop has taken in and not yet passed on: with the channels, all the places a packet can be.
"""

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from pipeline.channel import Channel, Item, SourceEnded
from pipeline.errors import ChannelClosed, OutOfMemory, SinkError, SourceError, StageError
from pipeline.stage import Sink, Source, Stage
from pipeline.telemetry import Telemetry
from pipeline.types import Packet

__all__ = ["FanOut", "Inbox", "Loop", "Outbox", "PassOn", "SinkLoop", "SourceLoop", "StageLoop"]

_log = logging.getLogger(__name__)

FAILURES_IN_A_ROW = 3
"""After so many batches in a row without a survivor it is the model that is broken, not a frame."""


class Inbox(Protocol):
    """Where a loop takes items from: a `Channel` or the `Collector`."""

    async def receive(self, limit: int) -> list[Item]:
        """Take packets, or one mark; raise ChannelClosed at the end."""


class Outbox(Protocol):
    """Where a loop moves items to: a `Channel` or the `FanOut`."""

    async def send(self, items: deque[Item]) -> None:
        """Move items."""

    def close(self) -> None:
        """Say that nothing more will come."""


class Loop(Protocol):
    """What the runner knows of each loop."""

    name: str
    holding: deque[Item]
    finished: bool

    async def run(self) -> None:
        """Do the work until there is no more."""


class SourceLoop:
    """Reads one source into its own channel. A failure here is this source's alone.

    Args:
        source: To read.
        outbox: Its first channel.
        telemetry: Where it counts.
        slots: Bounds how many files are open at once; a live source does not wait for one.
        max_frames: End after so many frames; None for no bound.
    """

    def __init__(
        self,
        source: Source,
        outbox: Channel,
        telemetry: Telemetry,
        slots: asyncio.Semaphore,
        max_frames: int | None = None,
    ) -> None:
        """Prepare; nothing is opened."""
        self.name = f"decode {source.source_id}"
        self.source = source
        self.holding: deque[Item] = deque()
        self.finished = False
        self.failure: SourceError | None = None
        self._outbox = outbox
        self._telemetry = telemetry
        self._slots = contextlib.nullcontext() if source.live else slots
        self._max_frames = max_frames
        self._counts = telemetry.sources[source.source_id]

    async def run(self) -> None:
        """Read until the end, a failure, or cancellation, which is how a source is stopped."""
        try:
            async with self._slots:
                await self._open_and_read()
            self._counts.state = "failed" if self.failure else "finished"
        except asyncio.CancelledError:
            self._counts.state = "stopped"
            self._drop_held("stopped")
            raise
        finally:
            self.finished = True
            self._outbox.close()

    async def _open_and_read(self) -> None:
        try:
            await self.source.open()
            self._counts.state = "reading"
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

    async def _read_all(self) -> None:
        telemetry, clock = self._telemetry, self._telemetry.clock
        latency = telemetry.histogram("decode")
        while self._max_frames is None or self._counts.received < self._max_frames:
            started = clock()
            frame = await self.source.read()
            if frame is None:
                return
            latency.record(clock() - started)
            packet = Packet(frame)
            if self._counts.expected_frames is None:
                self._counts.expected_frames = frame.stream.expected_frames
            telemetry.receive(packet)
            self.holding.append(packet)
            await self._outbox.send(self.holding)

    def _fail(self, error: SourceError) -> None:
        self.failure = error
        self._counts.error = str(error)
        _log.error("%s", error, exc_info=error.__cause__ if _log.isEnabledFor(logging.DEBUG) else None)

    def _drop_held(self, reason: str) -> None:
        for item in self.holding:
            if isinstance(item, Packet):
                self._telemetry.drop(item, "decode", reason)
        self.holding.clear()


class StageLoop:
    """Feeds one stage with batches and passes on what comes out.

    One frame that breaks the model is found by repeating the batch one by one, and dropped with the name of its
    error; a stage that fails on `FAILURES_IN_A_ROW` batches in a row ends the run with a StageError. A batch that does
    not fit into memory is halved, and later batches are no larger.

    Args:
        stage: To feed.
        inbox: Where packets come from.
        outbox: Where they go.
        telemetry: Where it counts.
        max_age_seconds: Drop packets of live sources that are older; None for no bound.
    """

    def __init__(
        self,
        stage: Stage,
        inbox: Inbox,
        outbox: Outbox,
        telemetry: Telemetry,
        max_age_seconds: float | None = None,
    ) -> None:
        """Prepare; the stage is opened by the runner."""
        self.name = stage.name
        self.stage = stage
        self.holding: deque[Item] = deque()
        self.finished = False
        self._inbox = inbox
        self._outbox = outbox
        self._telemetry = telemetry
        self._latency = telemetry.histogram(stage.name)
        self._max_age_seconds = max_age_seconds
        self._limit = stage.max_batch
        self._failures_in_a_row = 0

    async def run(self) -> None:
        """Work until the inbox is closed and empty."""
        try:
            while True:
                self.holding.extend(await self._inbox.receive(self._limit))
                await self._work()
                await self._outbox.send(self.holding)
        except ChannelClosed:
            self.finished = True
        finally:
            self._outbox.close()

    async def _work(self) -> None:
        first = self.holding[0]
        if isinstance(first, SourceEnded):
            await self.stage.end_source(first.source_id)
            return
        packets = [item for item in self.holding if isinstance(item, Packet)]
        if self._max_age_seconds is not None:
            packets = self._without_stale(packets, self._max_age_seconds)
        done = await self._process(packets) if packets else []
        self.holding.clear()
        self.holding.extend(done)

    def _without_stale(self, packets: list[Packet], max_age_seconds: float) -> list[Packet]:
        oldest = self._telemetry.clock() - max_age_seconds
        fresh = []
        for packet in packets:
            if packet.frame.stream.live and packet.frame.arrived_monotonic < oldest:
                self._drop(packet, "stale")
            else:
                fresh.append(packet)
        return fresh

    async def _process(self, packets: list[Packet]) -> list[Packet]:
        try:
            done = await self._call(packets)
        except OutOfMemory as error:
            done = await self._halve(packets, error)
        except Exception as error:  # noqa: BLE001 - counted by name here, raised as StageError when it goes on
            done = await self._one_by_one(packets) if len(packets) > 1 else self._drop_culprit(packets[0], error)
        if done:
            self._failures_in_a_row = 0
        return done

    async def _call(self, packets: list[Packet]) -> list[Packet]:
        started = self._telemetry.clock()
        done = list(await self.stage.process(packets))
        self._latency.record(self._telemetry.clock() - started, len(packets))
        if len(done) < len(packets):
            kept = {(packet.source_id, packet.frame.index) for packet in done}
            for packet in packets:
                if (packet.source_id, packet.frame.index) not in kept:
                    self._drop(packet, "filtered")
            self._failures_in_a_row = 0
        return done

    async def _halve(self, packets: list[Packet], error: OutOfMemory) -> list[Packet]:
        if len(packets) == 1:
            return self._drop_culprit(packets[0], error)
        self._telemetry.batches_halved += 1
        self._limit = middle = len(packets) // 2
        _log.warning(
            "stage '%s': a batch of %d did not fit: %s; now %d at most", self.name, len(packets), error, middle
        )
        return [*await self._process(packets[:middle]), *await self._process(packets[middle:])]

    async def _one_by_one(self, packets: list[Packet]) -> list[Packet]:
        done: list[Packet] = []
        last_error: Exception | None = None
        for packet in packets:
            try:
                done.extend(await self._call([packet]))
            except Exception as error:  # noqa: BLE001 - the culprit, counted by the name of its error
                last_error = error
                self._drop_with_warning(packet, error)
        if not done and last_error is not None:
            self._count_failure(packets[-1], last_error)
        return done

    def _drop_culprit(self, packet: Packet, error: Exception) -> list[Packet]:
        self._drop_with_warning(packet, error)
        self._count_failure(packet, error)
        return []

    def _count_failure(self, packet: Packet, error: Exception) -> None:
        self._failures_in_a_row += 1
        if self._failures_in_a_row >= FAILURES_IN_A_ROW:
            frame = packet.frame
            msg = (
                f"stage '{self.name}' failed on {self._failures_in_a_row} batches in a row, last on source "
                f"'{frame.source_id}' frame {frame.index} at {frame.pts_seconds:.3f} s: {type(error).__name__}: {error}"
            )
            raise StageError(msg) from error

    def _drop_with_warning(self, packet: Packet, error: Exception) -> None:
        frame = packet.frame
        _log.warning(
            "stage '%s': source '%s' frame %d dropped: %s: %s",
            self.name, frame.source_id, frame.index, type(error).__name__, error,
        )  # fmt: skip
        self._drop(packet, type(error).__name__)

    def _drop(self, packet: Packet, reason: str) -> None:
        self._telemetry.drop(packet, self.name, reason)
        self.holding.remove(packet)


class PassOn(Stage):
    """Stands in for a chain without stages, where sources are joined to sinks directly."""

    name = "pass"
    max_batch = 8

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Give back the packets as they are."""
        return packets


class FanOut:
    """Gives every packet to the channel of every sink; then it is delivered."""

    def __init__(self, channels: Sequence[Channel], telemetry: Telemetry) -> None:
        """Keep the channels, one a sink, each named after its sink."""
        self._channels = channels
        self._telemetry = telemetry

    async def send(self, items: deque[Item]) -> None:
        """Hand out items; a sink that blocks makes the sender wait."""
        while items:
            item = items[0]
            for channel in self._channels:
                copy: deque[Item] = deque((item,))
                await channel.send(copy)
                if isinstance(item, Packet):
                    self._telemetry.sinks[channel.name].received += 1
            items.popleft()
            if isinstance(item, Packet):
                self._telemetry.deliver(item)

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels:
            channel.close()


class Backoff:
    """Waiting times that grow from 1 s to 60 s, each drawn from 0 to its bound (full jitter).

    Full jitter: M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, first_seconds: float = 1.0, longest_seconds: float = 60.0) -> None:
        """Start at `first_seconds`."""
        self._first_seconds = first_seconds
        self._longest_seconds = longest_seconds
        self._attempts = 0

    def next_seconds(self) -> float:
        """Draw the next waiting time."""
        bound = min(self._first_seconds * 2**self._attempts, self._longest_seconds)
        self._attempts = min(self._attempts + 1, 16)
        return random.uniform(0, bound)

    def reset(self) -> None:
        """Start over: it works again."""
        self._attempts = 0


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
        try:
            if isinstance(self.holding[0], SourceEnded):
                await self.sink.end_source(self.holding[0].source_id)
                self.holding.clear()
            else:
                await self._write()
        except SinkError as error:
            await self._go_down(error)

    async def _write(self) -> None:
        packets = cast("deque[Packet]", self.holding)
        started = self._telemetry.clock()
        while packets:
            batch = list(packets)
            try:
                await self.sink.write(packets)
            except SinkError:
                self._count_written(batch[: len(batch) - len(packets)], started)
                self._drop_held("unavailable")
                raise
            except Exception as error:  # noqa: BLE001 - counted by name; three in a row take the sink down
                self._count_written(batch[: len(batch) - len(packets)], started)
                self._drop_culprit(packets, error, alone=len(batch) == len(packets))
            else:
                self._culprits_in_a_row = 0
                self._backoff.reset()
                self._count_written(batch, started)

    def _drop_culprit(self, packets: deque[Packet], error: Exception, *, alone: bool) -> None:
        frame = packets.popleft().frame
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

    def _count_written(self, packets: Sequence[Packet], started: float) -> None:
        now = self._telemetry.clock()
        self._counts.written += len(packets)
        if packets:
            self._latency.record(now - started, len(packets))
        for packet in packets:
            self._total.record(now - packet.frame.arrived_monotonic)

    def _drop_held(self, reason: str) -> None:
        self._counts.dropped[reason] += sum(isinstance(item, Packet) for item in self.holding)
        self.holding.clear()
