"""The only place that starts tasks, drains and cancels.

    sources --channel--> collector --> stage --channel--> stage ... --> fan-out --channel--> sinks

Three ways to end: the sources end and everything drains; `stop()` ends the sources and drains what was read, for at
most `drain_timeout_seconds`; cancelling `run()` ends everything at once. In each case every part is closed after its
last call, in bounded time.

While it runs, sources may come and go: `Runner.sources`.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from pipeline.channel import Channel, ChannelStatistics
from pipeline.config import RunConfig
from pipeline.errors import PipelineError, SinkError, StageError
from pipeline.graph import Graph
from pipeline.inputs import Inputs
from pipeline.loops import FanOut, Inbox, Loop, Outbox, PassOn, SinkLoop, StageLoop
from pipeline.stage import Sink, Stage
from pipeline.telemetry import SinkCounts, Telemetry
from pipeline.types import Packet, SourceStatus

__all__ = ["Runner"]

_log = logging.getLogger(__name__)

_CLOSE_TIMEOUT_SECONDS = 30.0
"""For a run that ended by itself: an encoder may have seconds of pictures left."""
_CLOSE_AFTER_DRAIN_SECONDS = 1.5
"""For a run that was asked to stop: with 8 s of draining, the process is gone within 10 s."""


class Runner:
    """Runs a graph once.

    Args:
        graph: What to run. Its parts are opened and closed here.
        settings: How: the `run` section of a configuration.
        clock: Monotonic seconds, the clock of `Frame.arrived_monotonic`.
    """

    def __init__(
        self, graph: Graph, settings: RunConfig | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is opened."""
        self.graph = graph
        self.settings = settings or RunConfig()
        self.telemetry = Telemetry(clock)
        self.late: tuple[str, ...] = ()
        """Who had not finished when a stop ran out of time."""
        self.sources = Inputs(self.settings, graph.hide, self.telemetry, clock)
        self._clock = clock
        self._channels: list[Channel] = []
        self._stage_loops: list[StageLoop] = []
        self._sink_loops: list[SinkLoop] = []
        self._deadline: asyncio.Timeout | None = None
        self._stopped_at: float | None = None
        self._is_flowing = False
        self.telemetry.on_status = self._tell_sinks
        self.sources.add(*graph.sources)
        for sink in graph.sinks:
            self.telemetry.sinks[sink.name] = SinkCounts()

    async def run(self) -> None:
        """Run until the sources end or `stop` is called. Then `failures` says what went wrong on the way.

        Raises:
            PipelineError: A stage or sink cannot be opened, a stage keeps failing, or no sink works any more.
        """
        if self._stopped_at is not None:
            return  # it was asked to stop before it began
        opened: list[Stage | Sink] = []
        complete = False
        try:
            async with asyncio.timeout(None) as self._deadline:
                await self._open_parts(opened)
                self._build_loops()
                await self._flow()
            complete = True
        except TimeoutError:
            self._name_the_late()
            complete = True
        except ExceptionGroup as group:
            error = _first_error(group)
            raise error from error.__cause__
        finally:
            self._deadline = None
            await self._close_parts(opened, complete=complete)

    def stop(self) -> None:
        """End the sources; what was read is still finished. Returns at once; calling it again changes nothing.

        While models are loading nothing has been read, and loading is given up.
        """
        if self._stopped_at is not None:
            return
        self._stopped_at = self._clock()
        self.sources.stop()
        if self._deadline is not None:
            drain_seconds = self.settings.drain_timeout_seconds if self._is_flowing else 0.0
            self._deadline.reschedule(asyncio.get_running_loop().time() + drain_seconds)

    @property
    def failures(self) -> list[PipelineError]:
        """What failed without ending the run: sources, and sinks that went down."""
        failures: list[PipelineError] = [loop.failure for loop in self.sources.loops if loop.failure]
        failures += [loop.failure for loop in self._sink_loops if loop.failure]
        return failures

    def in_flight(self) -> Counter[str]:
        """Count, by source, the packets that are somewhere between their source and the sinks' channels."""
        places: list[Packet] = [*self.sources.collector.packets()]
        for channel in self._channels:
            places += channel.packets()
        loops: tuple[Loop, ...] = (*self.sources.loops, *self._stage_loops)
        for loop in loops:
            places += [item for item in loop.holding if isinstance(item, Packet)]
        for stage_loop in self._stage_loops:
            places += stage_loop.held
        return Counter(packet.source_id for packet in places)

    def channel_statistics(self) -> dict[str, ChannelStatistics]:
        """Say of each channel between parts how full it is, and was at most: what is full waits for what follows."""
        into_stages = {channel.name: channel.statistics() for channel in reversed(self._channels)}
        into_sinks = {f"sink:{loop.sink.name}": loop.inbox.statistics() for loop in self._sink_loops}
        return into_stages | into_sinks

    def waiting(self, sink_name: str) -> int:
        """Count the packets that a sink was given and has not written yet."""
        return sum(
            len(loop.inbox.packets()) + sum(isinstance(item, Packet) for item in loop.holding)
            for loop in self._sink_loops
            if loop.sink.name == sink_name
        )

    async def _open_parts(self, opened: list[Stage | Sink]) -> None:
        parts: tuple[Stage | Sink, ...] = (*self.graph.stages, *self.graph.sinks)
        for part in parts:
            opened.append(part)  # before: a part that fails to open is closed too
            try:
                await part.open()
            except PipelineError:
                raise
            except Exception as error:
                kind = SinkError if isinstance(part, Sink) else StageError
                msg = f"'{part.name}' cannot be opened: {type(error).__name__}: {error}"
                raise kind(msg) from error

    def _build_loops(self) -> None:
        """Make every loop and channel, from the sinks backwards, since each needs the channel after it."""
        sink_channels = [self._sink_channel(sink) for sink in self.graph.sinks]
        self._sink_loops = [
            SinkLoop(sink, channel, self.telemetry, self._on_sink_failure)
            for sink, channel in zip(self.graph.sinks, sink_channels, strict=True)
        ]
        outbox: Outbox = FanOut(sink_channels, self.telemetry, self.sources.note_through)
        stages = self.graph.stages or (PassOn(),)
        for position in range(len(stages) - 1, -1, -1):
            stage = stages[position]
            inbox: Inbox = self.sources.collector
            if position > 0:
                inbox = Channel(stage.name, capacity=stage.max_batch)
                self._channels.append(inbox)
            max_age_seconds = self.settings.max_age_seconds if position == 0 else None
            self._stage_loops.insert(0, StageLoop(stage, inbox, outbox, self.telemetry, max_age_seconds))
            if isinstance(inbox, Channel):
                outbox = inbox

    def _tell_sinks(self, status: SourceStatus) -> None:
        for loop in self._sink_loops:
            loop.inbox.put(status)

    def _sink_channel(self, sink: Sink) -> Channel:
        counts = self.telemetry.sinks[sink.name]

        def on_drop(_packet: Packet) -> None:
            counts.dropped["overflow"] += 1

        return Channel(sink.name, sink.max_batch, sink.overflow, on_drop)

    async def _flow(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            workers: tuple[Loop, ...] = (*self._sink_loops, *self._stage_loops)
            for worker in workers:
                tasks.create_task(worker.run(), name=worker.name)
            self.sources.start(tasks)
            self._is_flowing = True
        self.sources.stop()

    def _name_the_late(self) -> None:
        loops: tuple[Loop, ...] = (*self.sources.loops, *self._stage_loops, *self._sink_loops)
        self.late = tuple(loop.name for loop in loops if not loop.finished)
        if self.late:
            _log.warning(
                "stopped, but not everything was finished within %.1f s; late: %s",
                self.settings.drain_timeout_seconds,
                ", ".join(self.late),
            )

    def _on_sink_failure(self, error: SinkError) -> None:
        anyone_up = any(loop.is_up for loop in self._sink_loops)
        anyone_waits = self.settings.keep_running or any(loop.source.live for loop in self.sources.loops)
        if not anyone_up and not anyone_waits:
            raise error

    async def _close_parts(self, parts: list[Stage | Sink], *, complete: bool) -> None:
        down = {id(loop.sink) for loop in self._sink_loops if not loop.is_up}
        closing = [
            part.close(complete=complete) if isinstance(part, Sink) else part.close()
            for part in parts
            if id(part) not in down
        ]
        names = [part.name for part in parts if id(part) not in down]
        timeout_seconds = _CLOSE_TIMEOUT_SECONDS
        if self._stopped_at is not None:
            ends_at = self._stopped_at + self.settings.drain_timeout_seconds + _CLOSE_AFTER_DRAIN_SECONDS
            timeout_seconds = max(ends_at - self._clock(), _CLOSE_AFTER_DRAIN_SECONDS)
        results = await asyncio.gather(
            *(asyncio.wait_for(close, timeout_seconds) for close in closing), return_exceptions=True
        )
        for name, result in zip(names, results, strict=True):
            if isinstance(result, TimeoutError):
                self.late = (*self.late, name)
                _log.error("'%s' could not be closed within %.1f s", name, timeout_seconds)
            elif isinstance(result, BaseException):
                self._keep_closing_failure(name, result)

    def _keep_closing_failure(self, name: str, error: BaseException) -> None:
        fault = error if isinstance(error, SinkError) else SinkError(f"'{name}' could not be closed: {error!r}")
        if fault is not error:
            fault.__cause__ = error
        for loop in self._sink_loops:
            if loop.sink.name == name:
                loop.failure = fault
        if name in self.telemetry.sinks:
            self.telemetry.sinks[name].error = str(fault)
            self.telemetry.sinks[name].failures += 1
        _log.error("%s", fault)


def _first_error(group: ExceptionGroup[Exception]) -> Exception:
    """Give the first error of a group: the others are what cancelling its neighbours brought up."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
