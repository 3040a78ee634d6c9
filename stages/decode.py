"""decode: reads a source plug-in on a thread of its own."""

from pipeline.stage import Source
from pipeline.types import Frame
from pipeline.worker import Worker
from stages.sources.base import FrameSource

__all__ = ["Decode"]


class Decode(Source):
    """A source of the engine, made of a source plug-in.

    Opened again, it takes a fresh plug-in and a fresh thread: the ones before may still hang in a call.
    """

    def __init__(self, plugin: FrameSource) -> None:
        """Keep the plug-in; nothing is opened."""
        self._plugin = plugin
        self._worker = Worker(f"decode {plugin.source_id}")
        self._is_used = False
        self.live = plugin.live
        self.stall_timeout_seconds = plugin.stall_timeout_seconds
        self.host = plugin.host

    @property
    def source_id(self) -> str:
        """Name of the source."""
        return self._plugin.source_id

    @property
    def corrupt_frames(self) -> int:
        """How many frames the plug-in has left out so far because they were damaged."""
        return self._plugin.corrupt_frames

    def rename(self, source_id: str) -> None:
        """Take another name, before anything was read."""
        self._plugin.source_id = source_id

    async def open(self) -> None:
        """Open the plug-in."""
        if self._is_used:
            self._plugin = self._plugin.fresh()
            self._worker = Worker(f"decode {self.source_id}")
        self._is_used = True
        await self._worker.call(self._plugin.open)
        self.description = self._plugin.description

    async def read(self) -> Frame | None:
        """Give the next frame, or None at the end."""
        return await self._worker.call(self._plugin.read)

    async def close(self) -> None:
        """Close the plug-in, after the call in flight."""
        await self._worker.close(self._plugin.close)
