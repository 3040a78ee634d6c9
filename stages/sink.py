"""sink: writes packets with a sink plug-in, on a thread of its own."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import PipelineError, SinkError
from pipeline.stage import Sink
from pipeline.types import Packet, SourceStatus
from pipeline.worker import Worker
from stages.sinks.base import FrameSink

__all__ = ["Write"]


class Write(Sink):
    """A sink of the engine, made of a sink plug-in."""

    def __init__(self, plugin: FrameSink, name: str) -> None:
        """Keep the plug-in; nothing is created."""
        self.name = name
        self.needs = plugin.needs
        self.overflow = plugin.overflow
        self._plugin = plugin
        self._worker = Worker(f"sink {name}")

    async def open(self) -> None:
        """Open the plug-in."""
        with self._as_sink_error("cannot be opened"):
            await self._worker.call(self._plugin.open)

    async def write(self, packets: deque[Packet]) -> None:
        """Write the packets, oldest first."""
        await self._worker.call(self._write, packets)

    async def source_changed(self, status: SourceStatus) -> None:
        """Tell the plug-in how a source is."""
        with self._as_sink_error(f"cannot take note of the state of '{status.source_id}'"):
            await self._worker.call(self._plugin.source_changed, status)

    async def end_source(self, source_id: str) -> None:
        """Finish what belongs to one source."""
        with self._as_sink_error(f"cannot finish what belongs to '{source_id}'"):
            await self._worker.call(self._plugin.end_source, source_id)

    async def close(self, *, complete: bool) -> None:
        """Finish the output if the run did not fail, then close the plug-in, after the call in flight."""
        with self._as_sink_error("cannot be closed"):
            await self._worker.close(self._finish_and_close if complete else self._plugin.close)

    @contextmanager
    def _as_sink_error(self, what: str) -> Iterator[None]:
        """Make any error of the plug-in a failure of this sink, which stops no other part."""
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            msg = f"sink '{self.name}' {what}: {type(error).__name__}: {error}"
            raise SinkError(msg) from error

    def _write(self, packets: deque[Packet]) -> None:
        while packets:
            self._plugin.write(packets[0])
            packets.popleft()

    def _finish_and_close(self) -> None:
        try:
            self._plugin.finish()
        finally:
            self._plugin.close()
