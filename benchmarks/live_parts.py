"""What `live.py` puts into a chain: sinks and rules that look at the clock, and a detector that is slowed down."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline import plugin
from pipeline.stage import Sink, Stage
from pipeline.types import Event, Frame, Instances, Packet, SourceStatus
from stages.rules.base import Rule

__all__ = ["Options", "Slowed", "Tick", "Witness"]


class Witness(Sink):
    """Notes when packets arrive, how old they are, and every state of every source. Keeps numbers, no pictures."""

    name = "witness"

    def __init__(self) -> None:
        self.arrivals: defaultdict[str, list[float]] = defaultdict(list)
        self.ages: list[float] = []
        self.states: list[tuple[float, str, str]] = []

    async def write(self, packets: deque[Packet]) -> None:
        now = time.monotonic()
        while packets:
            packet = packets.popleft()
            self.arrivals[packet.source_id].append(packet.frame.arrived_monotonic)
            self.ages.append(now - packet.frame.arrived_monotonic)

    async def source_changed(self, status: SourceStatus) -> None:
        self.states.append((time.monotonic(), status.source_id, status.state))

    def intervals(self, source_id: str, since: float, until: float) -> NDArray[np.float64]:
        """Give the seconds between the frames that arrived in a span of time."""
        times = np.array([moment for moment in self.arrivals[source_id] if since <= moment < until])
        return np.diff(times)

    def first(self, source_id: str, state: str, after: float) -> float | None:
        """Say when a source came into a state, after some moment; None if it did not."""
        return next((at for at, name, now in self.states if name == source_id and now == state and at >= after), None)

    def clear(self) -> None:
        """Forget all but the states."""
        self.arrivals.clear()
        self.ages.clear()


class Slowed(Stage):
    """Takes so many times as long as the stage in it."""

    def __init__(self, inner: Stage, factor: float) -> None:
        self._inner = inner
        self._factor = factor
        self.name = inner.name
        self.needs, self.provides, self.max_batch = inner.needs, inner.provides, inner.max_batch

    async def open(self) -> None:
        await self._inner.open()

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        started = time.monotonic()
        done = await self._inner.process(packets)
        await asyncio.sleep((self._factor - 1) * (time.monotonic() - started))
        return done

    async def end_source(self, source_id: str) -> None:
        await self._inner.end_source(source_id)

    async def close(self) -> None:
        await self._inner.close()


class Options(plugin.Options):
    """Of `Tick`."""

    every: int = 1
    """An event each so many frames."""


class Tick(Rule):
    """Says that a frame was there, when it arrived, and when the models were done with it."""

    needs = frozenset[str]()

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Make an event of every n-th frame: see `Rule.update`."""
        if frame.index % self.options.every:
            return []
        moments = {"arrived": frame.arrived_monotonic, "judged": time.monotonic()}
        return [self.event("tick", frame, "a frame came", people, number=frame.index, **moments)]
