"""Gives every packet to every sink."""

from collections import deque
from collections.abc import Callable, Sequence

from pipeline.channel import Channel, Item, SourceEnded
from pipeline.telemetry import Telemetry
from pipeline.types import Packet

__all__ = ["FanOut"]


class FanOut:
    """Gives every packet to the channel of every sink; then it is delivered."""

    def __init__(
        self, channels: Sequence[Channel], telemetry: Telemetry, on_source_ended: Callable[[str], None]
    ) -> None:
        """Keep the channels, one a sink, each named after its sink; and whom to tell that a source is through."""
        self._channels = channels
        self._on_source_ended = on_source_ended
        self._telemetry = telemetry

    async def send(self, items: deque[Item]) -> None:
        """Hand out items; a sink that blocks makes the sender wait."""
        while items:
            item = items[0]
            for channel in self._channels:
                copy: deque[Item] = deque((item,))
                await channel.send(copy)
                if isinstance(item, Packet):
                    self._telemetry.sinks[channel.name].received += 1
            items.popleft()
            if isinstance(item, Packet):
                self._telemetry.deliver(item)
            elif isinstance(item, SourceEnded):
                self._on_source_ended(item.source_id)

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels:
            channel.close()
