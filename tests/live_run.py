"""Runs of real cameras, of which one is treated badly; and what a sink saw of them.

    async with running([camera("bad", proxy.through(url)), *good], tmp_path) as run:
        await run.until_all_live()
        broken = time.monotonic()
        proxy.apply(Stall())
        found = await run.until_state("bad", "stalled", since=broken) - broken

When the block ends the run is stopped, and must then have ended in order, with accounts that balance.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from clips import number_of

from pipeline.config import PipelineConfig, build_config
from pipeline.graph import Graph, build, make_sources
from pipeline.runner import Runner
from pipeline.stage import Sink, Source
from pipeline.types import Packet, SourceStatus

GOOD = ("good-1", "good-2", "good-3")
"""Cameras with which nothing is wrong."""
STALL_SECONDS = 1.0
FOUND_SECONDS = STALL_SECONDS + 1.0
"""What is wrong with a camera is said within this."""
BACK_SECONDS = 20.0
"""A camera that was mended is live within this; attempts are made after random times."""
LONGEST_INTERVAL_SECONDS = 0.5
"""Between two frames of a camera with which nothing is wrong."""


def camera(name: str, url: str, **options: Any) -> dict[str, Any]:
    return {"kind": "rtsp", "id": name, "url": url, "stall_timeout_seconds": STALL_SECONDS, **options}


@dataclass(frozen=True)
class Seen:
    """One frame, as it came to a sink."""

    at: float
    """`time.monotonic()`."""
    source_id: str
    index: int
    pts: float
    age: float
    """Seconds since its arrival."""
    number: int | None
    """What is written in the picture."""
    size: tuple[int, int]


@dataclass(frozen=True)
class Told:
    """One state that a sink was told of."""

    at: float
    status: SourceStatus


@dataclass
class Witness(Sink):
    """Remembers every frame and every state."""

    name: str = "witness"
    frames: list[Seen] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    async def write(self, packets: deque[Packet]) -> None:
        now = time.monotonic()
        while packets:
            frame = packets.popleft().frame
            age, number, size = now - frame.arrived_monotonic, number_of(frame.image), (frame.width, frame.height)
            self.frames.append(Seen(now, frame.source_id, frame.index, frame.pts_seconds, age, number, size))

    async def source_changed(self, status: SourceStatus) -> None:
        self.told.append(Told(time.monotonic(), status))

    def of(self, source_id: str, since: float = 0.0) -> list[Seen]:
        return [seen for seen in self.frames if seen.source_id == source_id and seen.at >= since]

    def states(self, source_id: str) -> list[str]:
        """Give its states in their order, each once as long as it lasts."""
        states = [told.status.state for told in self.told if told.status.source_id == source_id]
        states = [state for state in states if state != "waiting"]
        return [state for state, before in zip(states, ["", *states], strict=False) if state != before]

    def errors(self, source_id: str) -> str:
        """Give all that was said to be wrong with it."""
        errors = [told.status.error for told in self.told if told.status.source_id == source_id]
        return "\n".join(dict.fromkeys(error for error in errors if error))


@dataclass
class LiveRun:
    """A run that is under way."""

    runner: Runner
    witness: Witness
    config: PipelineConfig
    task: asyncio.Task[None]

    async def until(self, condition: Callable[[], object], otherwise: str, seconds: float = BACK_SECONDS) -> float:
        """Wait, and say when it was so; the run must not end meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.task.done():
                await self.task
            assert not self.task.done(), "the run has ended by itself"
            if time.monotonic() > deadline:
                states = {name: (counts.state, counts.error) for name, counts in self.runner.telemetry.sources.items()}
                msg = f"{otherwise} within {seconds:g} s; {states}"
                raise TimeoutError(msg)
            await asyncio.sleep(0.01)
        return time.monotonic()

    async def until_state(
        self, source_id: str, state: str, *, since: float = 0.0, seconds: float = BACK_SECONDS, error: str = ""
    ) -> float:
        """Wait until sinks were told of a state, and say when that was.

        Args:
            source_id: Of what.
            state: Which one.
            since: Not before this.
            seconds: How long to wait.
            error: What its error must contain.
        """

        def moments() -> list[float]:
            return [
                told.at
                for told in list(self.witness.told)
                if told.at >= since
                and (told.status.source_id, told.status.state) == (source_id, state)
                and error in (told.status.error or "")
            ]

        await self.until(moments, f"'{source_id}' was not {state} {error}", seconds)
        return moments()[0]

    async def until_frames(self, source_id: str, count: int, *, since: float = 0.0) -> list[Seen]:
        """Wait for so many frames."""
        await self.until(lambda: len(self.witness.of(source_id, since)) >= count, f"not {count} of '{source_id}'")
        return self.witness.of(source_id, since)

    async def until_all_live(self, *, but: str = "") -> None:
        for name in self.runner.sources.ids:
            if name != but:
                await self.until_state(name, "live")

    def state(self, source_id: str) -> str:
        return self.runner.telemetry.sources[source_id].state

    def make(self, entry: Mapping[str, Any]) -> list[Source]:
        """Make sources to add to the run."""
        wanted = build_config({"sources": [dict(entry)]}).sources[0]
        return list(make_sources(self.config, wanted))

    def assert_undisturbed(self, source_ids: Sequence[str]) -> None:
        """Check that these were live all the time, on their first connection, without a gap."""
        for name in source_ids:
            assert self.witness.states(name)[:2] == ["connecting", "live"]
            assert set(self.witness.states(name)[2:]) <= {"stopped"}
            assert self.runner.telemetry.sources[name].connections == 1
            times = [seen.at for seen in self.witness.of(name)]
            assert max(later - earlier for earlier, later in pairwise(times)) < LONGEST_INTERVAL_SECONDS, name

    def assert_accounts_balance(self) -> None:
        in_flight = self.runner.in_flight()
        for name, counts in self.runner.telemetry.sources.items():
            assert counts.received == counts.delivered + in_flight[name] + counts.dropped.total(), name
        for name, sink in self.runner.telemetry.sinks.items():
            assert sink.received == sink.written + self.runner.waiting(name) + sink.dropped.total(), name


@asynccontextmanager
async def running(sources: Sequence[Mapping[str, Any]], out: Path, **sections: Any) -> AsyncIterator[LiveRun]:
    """Run a chain with a witness at its end while the block lasts.

    Args:
        sources: Entries of a configuration.
        out: Folder of the run.
        sections: Other sections of the configuration.
    """
    tree = {"sources": [dict(source) for source in sources], "sinks": ["null"], "run": {"keep_running": True}}
    config = build_config(tree | sections)
    graph = build(config, out)
    witness = Witness()
    runner = Runner(Graph(graph.sources, graph.stages, (witness, *graph.sinks), graph.hide), config.run)
    run = LiveRun(runner, witness, config, asyncio.create_task(runner.run()))
    try:
        yield run
        run.assert_accounts_balance()
    finally:
        runner.stop()
        await asyncio.wait_for(run.task, 15)
    run.assert_accounts_balance()
    assert runner.late == ()
    assert all(counts.state in {"stopped", "finished"} for counts in runner.telemetry.sources.values())
