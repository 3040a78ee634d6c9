"""The sources of a run: they can be added, removed, paused, resumed and replaced while it runs.

    runner = Runner(build(config, out), config.run)
    running = asyncio.create_task(runner.run())
    runner.sources.add(*make_sources(config, "rtsp://camera-2/stream"))      # pipeline.graph.make_sources
    runner.sources.pause("camera-1")
    await runner.sources.remove("camera-2-stream")

All of it on the event loop that runs the run. The other sources do not notice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pipeline.channel import Channel, Collector
from pipeline.config import RunConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.loops import LiveLoop, Opening, SourceLoop
from pipeline.stage import Overflow, Source
from pipeline.telemetry import SourceCounts, Telemetry
from pipeline.types import Frame, Packet

__all__ = ["Inputs"]


@dataclass(eq=False, slots=True)
class _Input:
    """One source: who reads it into which channel, in which task, and whether all of it has reached the sinks."""

    loop: SourceLoop | LiveLoop
    channel: Channel
    task: asyncio.Task[None] | None = None
    is_through: asyncio.Event = field(default_factory=asyncio.Event)


class Inputs:
    """Every source with its loop, its channel and its task; `collector` reads them all.

    Args:
        settings: The `run` section of a configuration.
        hide: What each frame goes through as soon as it was read.
        telemetry: Where the loops count.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        settings: RunConfig,
        hide: Callable[[Frame], Frame],
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        """Have no source yet."""
        self.collector = Collector()
        self._settings = settings
        self._hide = hide
        self._telemetry = telemetry
        self._inputs: dict[str, _Input] = {}
        self._slots = asyncio.Semaphore(settings.max_open_files)
        self._opening = Opening(clock)
        self._tasks: asyncio.TaskGroup | None = None
        self._is_over = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Name the sources that there are, also those that have ended by themselves."""
        return tuple(self._inputs)

    @property
    def loops(self) -> list[SourceLoop | LiveLoop]:
        """Give the loops of all sources that there are."""
        return [entry.loop for entry in self._inputs.values()]

    def add(self, *sources: Source) -> None:
        """Read these too, from now on, or from the start of the run.

        Raises:
            ConfigError: There is a source of that name already, or the run has ended.
        """
        for source in sources:
            name = source.source_id
            if name in self._inputs and not self._inputs[name].is_through.is_set():
                msg = f"there is a source '{name}' already; remove it first, or give the new one another id"
                raise ConfigError(msg)
            if self._is_over:
                msg = f"source '{name}' cannot be added: the run has ended, or was asked to stop"
                raise ConfigError(msg)
            self._inputs[name] = self._make(source)
            if self._tasks is not None:
                self._start(self._inputs[name], self._tasks)

    async def remove(self, source_id: str) -> None:
        """End a source, and wait until what was read of it is through.

        Raises:
            ConfigError: There is no such source.
            SourceError: What was read of it is not through after `drain_timeout_seconds`: something behind it hangs.
                The source itself has ended.
        """
        entry = self._find(source_id)
        if entry.task is None:
            entry.channel.close()
            entry.is_through.set()
        else:
            entry.task.cancel()
            await asyncio.wait((entry.task,))
        try:
            async with asyncio.timeout(self._settings.drain_timeout_seconds):
                await entry.is_through.wait()
        except TimeoutError:
            msg = (
                f"source '{source_id}' has ended, but what was read of it is not through after"
                f" {self._settings.drain_timeout_seconds:g} s: something behind it hangs"
            )
            raise SourceError(msg) from None
        if self._inputs.get(source_id) is entry:
            del self._inputs[source_id]

    async def replace(self, source: Source) -> None:
        """Put a source in the place of the one of the same name; its frames and identities begin anew.

        Raises:
            ConfigError: There is no source of that name.
            SourceError: See `remove`; the new one is not read.
        """
        self.collector.unseal()  # between the two there may be no source at all
        try:
            await self.remove(source.source_id)
            self.add(source)
        finally:
            self._seal()

    def pause(self, source_id: str) -> None:
        """Read nothing more of a source until `resume`; a live one is disconnected meanwhile.

        Raises:
            ConfigError: There is no such source.
        """
        self._find(source_id).loop.pause()

    def resume(self, source_id: str) -> None:
        """Read on.

        Raises:
            ConfigError: There is no such source.
        """
        self._find(source_id).loop.resume()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to read: called once, by the runner."""
        self._tasks = tasks
        for entry in self._inputs.values():
            self._start(entry, tasks)
        self._seal()

    def stop(self) -> None:
        """End all sources, and take no others; what was read is still to drain. Returns at once."""
        self._is_over = True
        for entry in self._inputs.values():
            if entry.task is not None:
                entry.task.cancel()
        self._seal()

    def note_through(self, source_id: str) -> None:
        """Note that the last packet of a source, which has ended, has reached the sinks."""
        self._inputs[source_id].is_through.set()

    def _make(self, source: Source) -> _Input:
        telemetry, most = self._telemetry, self._settings.max_frames
        telemetry.sources.setdefault(source.source_id, SourceCounts())
        channel = self._channel(source)
        loop: SourceLoop | LiveLoop
        if source.live:
            loop = LiveLoop(source, channel, telemetry, self._opening, self._hide, most)
        else:
            loop = SourceLoop(source, channel, telemetry, self._slots, self._hide, most)
        self.collector.add(channel)
        return _Input(loop, channel)

    def _channel(self, source: Source) -> Channel:
        capacity = 1 if source.live else self._settings.file_buffer_frames
        overflow: Overflow = "drop_oldest" if source.live else "block"

        def on_drop(packet: Packet) -> None:
            self._telemetry.drop(packet, "decode", "overflow")

        return Channel(f"after {source.source_id}", capacity, overflow, on_drop, source.source_id)

    def _start(self, entry: _Input, tasks: asyncio.TaskGroup) -> None:
        entry.task = tasks.create_task(entry.loop.run(), name=entry.loop.name)
        entry.task.add_done_callback(lambda _task: entry.channel.close())  # one cancelled before it began never did
        self._telemetry.on_status(self._telemetry.status(entry.loop.source.source_id))

    def _find(self, source_id: str) -> _Input:
        if source_id not in self._inputs:
            msg = f"there is no source '{source_id}'; there are: {', '.join(self._inputs) or 'none'}"
            raise ConfigError(msg)
        return self._inputs[source_id]

    def _seal(self) -> None:
        """Let the run end with its last source, unless more may come."""
        if self._is_over or (self._tasks is not None and not self._settings.keep_running):
            self.collector.seal()
