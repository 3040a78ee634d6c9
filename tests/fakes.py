"""Parts that behave as a test tells them to: no camera, no model, no disk."""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.stage import Overflow, Sink, Source, Stage
from pipeline.types import Frame, HostPixels, Instances, Packet, Stream

PIXELS = HostPixels(np.zeros((4, 6, 3), np.uint8))
NOW = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test for want of something, visibly; where everything must be there (in CI), that is a failure."""
    if os.environ.get("KINESTREAM_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


class ManualClock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_stream(source_id: str = "cam", *, live: bool = False, expected_frames: int | None = None) -> Stream:
    return Stream(source_id, live=live, time_base=Fraction(1, 1000), expected_frames=expected_frames)


def make_frame(index: int = 0, source_id: str = "cam", *, live: bool = False, arrived: float = 0.0) -> Frame:
    return Frame(make_stream(source_id, live=live), index, index / 25, NOW, arrived, PIXELS)


def make_packet(index: int = 0, source_id: str = "cam", instances: Instances | None = None) -> Packet:
    return Packet(make_frame(index, source_id), instances)


class FakeSource(Source):
    """Gives `count` frames, as fast as they are taken; then ends, fails, or waits for ever."""

    def __init__(
        self,
        source_id: str = "cam",
        count: int = 10,
        *,
        live: bool = False,
        then: Exception | None = None,
        hang: bool = False,
        clock: Callable[[], float] = lambda: 0.0,
        open_error: Exception | None = None,
    ) -> None:
        self._source_id = source_id
        self.live = live
        self.count = count
        self.then = then
        self.hang = hang
        self.clock = clock
        self.open_error = open_error
        self.index = 0
        self.log: list[str] = []

    @property
    def source_id(self) -> str:
        return self._source_id

    def rename(self, source_id: str) -> None:
        self._source_id = source_id

    async def open(self) -> None:
        self.log.append("open")
        if self.open_error:
            raise self.open_error

    async def read(self) -> Frame | None:
        if self.index < self.count:
            frame = make_frame(self.index, self.source_id, live=self.live, arrived=self.clock())
            self.index += 1
            await asyncio.sleep(0)
            return frame
        if self.hang:
            await asyncio.Event().wait()
        if self.then:
            raise self.then
        return None

    async def close(self) -> None:
        self.log.append("close")


class FakeStage(Stage):
    """Passes packets on; fails, filters or waits as told."""

    def __init__(
        self,
        name: str = "work",
        *,
        max_batch: int = 1,
        fail_on: Callable[[Packet], bool] = lambda _: False,
        error: type[Exception] = RuntimeError,
        keep: Callable[[Packet], bool] = lambda _: True,
        gate: asyncio.Event | None = None,
        open_error: Exception | None = None,
        largest_batch: int = 10**6,
    ) -> None:
        self.name = name
        self.max_batch = max_batch
        self.fail_on = fail_on
        self.error = error
        self.keep = keep
        self.gate = gate
        self.open_error = open_error
        self.largest_batch = largest_batch
        self.batches: list[list[int]] = []
        self.ended: list[str] = []
        self.log: list[str] = []

    async def open(self) -> None:
        self.log.append("open")
        if self.open_error:
            raise self.open_error

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        if self.gate is not None:
            await self.gate.wait()
        self.batches.append([packet.frame.index for packet in packets])
        if len(packets) > self.largest_batch or any(self.fail_on(packet) for packet in packets):
            msg = f"cannot do {[packet.frame.index for packet in packets]}"
            raise self.error(msg)
        return [packet for packet in packets if self.keep(packet)]

    async def end_source(self, source_id: str) -> Sequence[Packet] | None:
        self.ended.append(source_id)
        return None

    async def close(self) -> None:
        self.log.append("close")


class HoldingStage(FakeStage):
    """Gives each packet of a source when `behind` more have come, and the rest when the source ends, as told."""

    def __init__(
        self,
        name: str = "hold",
        *,
        behind: int = 3,
        keep_at_end: Callable[[Packet], bool] = lambda _: True,
        end_error: Exception | None = None,
        **told: Any,
    ) -> None:
        super().__init__(name, **told)
        self.behind = behind
        self.keep_at_end = keep_at_end
        self.end_error = end_error
        self.waiting: dict[str, deque[Packet]] = {}

    def held(self) -> list[Packet]:
        return [packet for waiting in self.waiting.values() for packet in waiting]

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        ready: list[Packet] = []
        for packet in await super().process(packets):
            waiting = self.waiting.setdefault(packet.source_id, deque())
            waiting.append(packet)
            if len(waiting) > self.behind:
                ready.append(waiting.popleft())
        return ready

    async def end_source(self, source_id: str) -> Sequence[Packet]:
        await super().end_source(source_id)
        await asyncio.sleep(0)
        if self.end_error is not None:
            raise self.end_error
        return [packet for packet in self.waiting.pop(source_id, ()) if self.keep_at_end(packet)]


class FakeSink(Sink):
    """Remembers what it was given; refuses, fails or waits as told."""

    def __init__(
        self,
        name: str = "memory",
        *,
        overflow: Overflow = "block",
        fail_on: Callable[[Packet], Exception | None] = lambda _: None,
        gate: asyncio.Event | None = None,
        open_errors: Sequence[Exception | None] = (),
        max_batch: int = 16,
    ) -> None:
        self.name = name
        self.overflow = overflow
        self.max_batch = max_batch
        self.fail_on = fail_on
        self.gate = gate
        self.open_errors = deque(open_errors)
        self.written: list[tuple[str, int]] = []
        self.log: list[str] = []

    async def open(self) -> None:
        self.log.append("open")
        if self.open_errors and (error := self.open_errors.popleft()) is not None:
            raise error

    async def write(self, packets: deque[Packet]) -> None:
        if self.gate is not None:
            await self.gate.wait()
        while packets:
            error = self.fail_on(packets[0])
            if error is not None:
                raise error
            packet = packets.popleft()
            self.written.append((packet.source_id, packet.frame.index))

    async def end_source(self, source_id: str) -> None:
        self.log.append(f"end {source_id}")

    async def close(self, *, complete: bool) -> None:
        self.log.append("close complete" if complete else "close")


def refuse(index: int, message: str = "disk full") -> Callable[[Packet], Exception | None]:
    """Fail once, on the frame with that index, as a sink that cannot be written."""
    left = [index]

    def fail_on(packet: Packet) -> Exception | None:
        if left and packet.frame.index == left[0]:
            left.clear()
            return SinkError(message)
        return None

    return fail_on
