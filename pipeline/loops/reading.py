"""What reading a file and reading a live source have in common."""

import asyncio
from collections import deque
from collections.abc import Callable

from pipeline.channel import Channel, Item
from pipeline.errors import SourceError  # noqa: TC001 - imports stand in one block
from pipeline.stage import Source
from pipeline.telemetry import Telemetry
from pipeline.types import Frame, Packet

__all__ = ["Reading"]


class Reading:
    """One source, the channel after it, and its accounts.

    Args:
        source: To read.
        outbox: Its first channel.
        telemetry: Where it counts.
        hide: What each frame goes through first.
        max_frames: End after so many frames; None for no bound.
    """

    def __init__(
        self,
        source: Source,
        outbox: Channel,
        telemetry: Telemetry,
        hide: Callable[[Frame], Frame],
        max_frames: int | None = None,
    ) -> None:
        """Prepare; nothing is opened."""
        self.name = f"decode {source.source_id}"
        self.source = source
        self.holding: deque[Item] = deque()
        self.finished = False
        self.failure: SourceError | None = None
        self._outbox = outbox
        self._telemetry = telemetry
        self._hide = hide
        self._max_frames = max_frames
        self._counts = telemetry.sources[source.source_id]
        self._latency = telemetry.histogram("decode")
        self._unpaused = asyncio.Event()
        self._unpaused.set()

    def pause(self) -> None:
        """Read nothing more until `resume`. What was read goes on. Twice is fine."""
        self._unpaused.clear()

    def resume(self) -> None:
        """Read on."""
        self._unpaused.set()

    def _wants_more(self) -> bool:
        return self._max_frames is None or self._counts.received < self._max_frames

    def _receive(self, frame: Frame) -> Packet:
        """Hide what nobody may see of a frame, and count it."""
        packet = Packet(self._hide(frame))
        self._telemetry.receive(packet)
        return packet

    def _drop_held(self, reason: str) -> None:
        for item in self.holding:
            if isinstance(item, Packet):
                self._telemetry.drop(item, "decode", reason)
        self.holding.clear()
