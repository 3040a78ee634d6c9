"""The source of one item: its downloaded file, and whether it was read to its end."""

import asyncio

from pipeline.stage import Source
from pipeline.types import Frame

__all__ = ["ItemSource"]


class ItemSource(Source):
    """Reads the file of an item.

    That a source has ended does not say why. Only a file that was read to its end has all the people that are in it:
    what was found in one that is cut off, or was stopped, must not take the place of what is on the platform.

    Args:
        inner: What reads the file.
    """

    def __init__(self, inner: Source) -> None:
        """Keep the reader; nothing is opened."""
        self._inner = inner
        self.is_complete = False
        """It was read to its end."""
        self.closed = asyncio.Event()
        """The file is let go."""

    @property
    def source_id(self) -> str:
        """The item's id."""
        return self._inner.source_id

    @property
    def corrupt_frames(self) -> int:
        """How many damaged frames were left out so far."""
        return self._inner.corrupt_frames

    def rename(self, source_id: str) -> None:
        """Take another name."""
        self._inner.rename(source_id)

    async def open(self) -> None:
        """Open the file."""
        await self._inner.open()
        self.description = self._inner.description

    async def read(self) -> Frame | None:
        """Give the next frame, or None at the end."""
        frame = await self._inner.read()
        self.is_complete = frame is None
        return frame

    async def close(self) -> None:
        """Let go of the file."""
        try:
            await self._inner.close()
        finally:
            self.closed.set()
