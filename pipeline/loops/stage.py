"""Feeds one stage with batches; finds the frame that breaks it."""

import logging
from collections import deque
from collections.abc import Sequence

from pipeline.channel import Item, SourceEnded
from pipeline.errors import ChannelClosed, OutOfMemory, StageError
from pipeline.loops.base import FAILURES_IN_A_ROW, Inbox, Outbox
from pipeline.stage import Stage
from pipeline.telemetry import Telemetry
from pipeline.types import Packet

__all__ = ["PassOn", "StageLoop"]

_log = logging.getLogger(__name__)


class StageLoop:
    """Feeds one stage with batches and passes on what comes out.

    One frame that breaks the model is found by repeating the batch one by one, and dropped with the name of its
    error; a stage that fails on `FAILURES_IN_A_ROW` batches in a row ends the run with a StageError. A batch that does
    not fit into memory is halved, and later batches are no larger. What a stage holds back is accounted for here.

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
        self.held: list[Packet] = []
        """What the stage keeps for later: taken in and not passed on, too."""
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
            self.holding.extendleft(reversed(await self._end(first.source_id)))
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
            return await self._call(packets)
        except OutOfMemory as error:
            return await self._halve(packets, error)
        except Exception as error:  # noqa: BLE001 - counted by name here, raised as StageError when it goes on
            return await self._one_by_one(packets) if len(packets) > 1 else self._drop_culprit(packets[0], error)

    async def _call(self, packets: list[Packet]) -> list[Packet]:
        started = self._telemetry.clock()
        done = list(await self.stage.process(packets))
        self._latency.record(self._telemetry.clock() - started, len(packets))
        self._settle(packets, done)
        self._failures_in_a_row = 0
        return done

    async def _end(self, source_id: str) -> list[Packet]:
        """Let the stage forget a source; give what it held of it."""
        try:
            done = list(await self.stage.end_source(source_id) or ())
        except Exception as error:
            msg = f"stage '{self.name}' could not finish source '{source_id}': {type(error).__name__}: {error}"
            raise StageError(msg) from error
        self._settle((), done)
        return done

    def _settle(self, packets: Sequence[Packet], done: Sequence[Packet]) -> None:
        """Note what the stage holds now. What it had or was given, and has neither given back nor kept, is dropped."""
        held_before, self.held = self.held, list(self.stage.held())
        if len(done) + len(self.held) == len(held_before) + len(packets):
            return
        there = {_identity(packet) for packet in (*done, *self.held)}
        for packet in packets:
            if _identity(packet) not in there:
                self._drop(packet, "filtered")
        for packet in held_before:
            if _identity(packet) not in there:
                self._telemetry.drop(packet, self.name, "filtered")

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


def _identity(packet: Packet) -> tuple[str, int]:
    return packet.source_id, packet.frame.index


class PassOn(Stage):
    """Stands in for a chain without stages, where sources are joined to sinks directly."""

    name = "pass"
    max_batch = 8

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Give back the packets as they are."""
        return packets
