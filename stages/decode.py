"""decode: reads a source plug-in on a thread of its own."""

from pipeline.stage import Source
from pipeline.types import Frame
from pipeline.worker import Worker
from stages.sources.base import FrameSource

__all__ = ["Decode"]


class Decode(Source):
    """A source of the engine, made of a source plug-in."""

    def __init__(self, plugin: FrameSource) -> None:
        """Keep the plug-in; nothing is opened."""
        self._plugin = plugin
        self._worker = Worker(f"decode {plugin.source_id}")
        self.live = plugin.live

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
        await self._worker.call(self._plugin.open)

    async def read(self) -> Frame | None:
        """Give the next frame, or None at the end."""
        return await self._worker.call(self._plugin.read)

    async def close(self) -> None:
        """Close the plug-in, after the call in flight."""
        await self._worker.close(self._plugin.close)
