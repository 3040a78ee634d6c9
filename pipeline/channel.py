"""What joins two parts: a bounded channel from one sender to one receiver, and the collector that reads many.

The sender closes the channel when it leaves, on success, failure and cancellation alike; the receiver then gets what
was sent before and, after it, `ChannelClosed`. That is the whole end-of-stream protocol.

Items are *moved*, never copied: `send` takes them out of the sender's own deque as they go in. So at any moment each
packet is in exactly one place, and counting the places counts the packets in flight.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.errors import ChannelClosed
from pipeline.stage import Overflow
from pipeline.types import Packet, SourceStatus

__all__ = ["Channel", "ChannelStatistics", "Collector", "Item", "Mark", "SourceEnded"]


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """Follows the last packet of a source through the chain, so that everybody can forget the source."""

    source_id: str


Mark = SourceEnded | SourceStatus
"""What travels between packets. Marks always fit into a channel, and none is ever dropped."""
Item = Packet | Mark


@dataclass(frozen=True, slots=True)
class ChannelStatistics:
    """How full a channel is."""

    used: int
    capacity: int
    peak: int


class Channel:
    """A bounded queue from one sender to one receiver, on one event loop.

    Args:
        name: For error messages and statistics.
        capacity: How many packets may wait, at least 1. `SourceEnded` marks always fit.
        overflow: What a full channel does with one more packet: `block` the sender, or `drop_oldest`.
        on_drop: Called with each packet that `drop_oldest` forgets.
        source_id: The source it comes from, if it carries only one; `Collector` needs it.
    """

    def __init__(
        self,
        name: str,
        capacity: int,
        overflow: Overflow = "block",
        on_drop: Callable[[Packet], None] | None = None,
        source_id: str = "",
    ) -> None:
        """Make an empty, open channel."""
        if capacity < 1:
            msg = f"channel '{name}': capacity must be at least 1, got {capacity}"
            raise ValueError(msg)
        self.name = name
        self.source_id = source_id
        self._capacity = capacity
        self._overflow = overflow
        self._on_drop = on_drop
        self._items: deque[Item] = deque()
        self._closed = False
        self._peak = 0
        self._sender: asyncio.Future[None] | None = None
        self._receiver: asyncio.Future[None] | None = None
        self._on_ready: Callable[[Channel], None] | None = None

    async def send(self, items: deque[Item]) -> None:
        """Move `items` into the channel, from the left.

        Cancelled while it waits for room, it leaves what did not fit in `items`: nothing is lost or sent twice.
        """
        while items:
            if self._is_full() and isinstance(items[0], Packet):
                if self._overflow == "drop_oldest":
                    self._forget_oldest()
                else:
                    await self._wait_for_room()
                    continue
            item = items.popleft()
            self._items.append(item)
            if isinstance(item, Packet):
                self._peak = max(self._peak, len(self._items))
            self._wake_receiver()

    def put(self, mark: Mark) -> None:
        """Add a mark, from anybody, without waiting. Of the states of one source that wait, the last one is enough."""
        if isinstance(mark, SourceStatus):
            for position, item in enumerate(self._items):
                if isinstance(item, SourceStatus) and item.source_id == mark.source_id:
                    del self._items[position]
                    break
        self._items.append(mark)
        self._wake_receiver()

    async def receive(self, limit: int) -> list[Item]:
        """Wait for one item, then take what is there, up to `limit`: packets, or a single mark, never both.

        Cancelled, it has taken nothing.

        Raises:
            ChannelClosed: The sender closed the channel and everything was received.
        """
        while not self._items:
            if self._closed:
                raise ChannelClosed(self.name)
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None
        batch = [self.take()]
        while isinstance(batch[0], Packet) and len(batch) < limit and self._items:
            if not isinstance(self._items[0], Packet):
                break
            batch.append(self.take())
        return batch

    def take(self) -> Item:
        """Take the oldest item without waiting.

        Raises:
            IndexError: It is empty.
        """
        item = self._items.popleft()
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)
        return item

    def close(self) -> None:
        """Say that nothing more will be sent. Twice is fine."""
        self._closed = True
        self._wake_receiver()

    def listen(self, on_ready: Callable[["Channel"], None]) -> None:
        """Call `on_ready` whenever there is something to take, or the channel was closed."""
        self._on_ready = on_ready
        if self._items or self._closed:
            on_ready(self)

    @property
    def closed(self) -> bool:
        """Whether the sender has left. Items may still wait."""
        return self._closed

    def __len__(self) -> int:
        """Count the items that wait."""
        return len(self._items)

    def packets(self) -> list[Packet]:
        """List the packets that wait, oldest first."""
        return [item for item in self._items if isinstance(item, Packet)]

    def statistics(self) -> ChannelStatistics:
        """Say how full it is, and was at most."""
        return ChannelStatistics(used=len(self._items), capacity=self._capacity, peak=self._peak)

    def _is_full(self) -> bool:
        return len(self._items) >= self._capacity

    def _forget_oldest(self) -> None:
        for position, item in enumerate(self._items):
            if isinstance(item, Packet):
                del self._items[position]
                if self._on_drop is not None:
                    self._on_drop(item)
                return

    async def _wait_for_room(self) -> None:
        self._sender = asyncio.get_running_loop().create_future()
        try:
            await self._sender
        finally:
            self._sender = None

    def _wake_receiver(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
        if self._on_ready is not None:
            self._on_ready(self)


class Collector:
    """Reads the channels of all sources, fairly: one packet from each that has some, in turn.

    There is no timer: at low load a batch is one packet, under load it grows by itself. The cost of a packet does not
    depend on the number of sources. After the last packet of a source comes its `SourceEnded`.
    """

    def __init__(self) -> None:
        """Start without channels, and unsealed: channels may come and go."""
        self._ready: deque[Channel] = deque()
        self._in_ready: set[Channel] = set()
        self._open: set[Channel] = set()
        self._ended: deque[SourceEnded] = deque()
        self._sealed = False
        self._receiver: asyncio.Future[None] | None = None

    def add(self, channel: Channel) -> None:
        """Read this channel too, from now until its sender closes it."""
        self._open.add(channel)
        channel.listen(self._mark_ready)

    def seal(self) -> None:
        """Say that the end of the last channel is the end of all. Until then others may still be added."""
        self._sealed = True
        self._wake()

    def unseal(self) -> None:
        """Say that another channel will come, even if the last one ends before."""
        self._sealed = False

    async def receive(self, limit: int) -> list[Item]:
        """Wait for one packet, then take what is there, up to `limit`; or a single `SourceEnded`.

        Raises:
            ChannelClosed: It is sealed, and all channels are closed and empty.
        """
        while True:
            packets = self._take_turns(limit)
            if packets:
                return packets
            if self._ended:
                return [self._ended.popleft()]
            if self._sealed and not self._open:
                name = "sources"
                raise ChannelClosed(name)
            self._receiver = asyncio.get_running_loop().create_future()
            try:
                await self._receiver
            finally:
                self._receiver = None

    def packets(self) -> list[Packet]:
        """List the packets that wait in all channels."""
        return [packet for channel in self._open for packet in channel.packets()]

    def _take_turns(self, limit: int) -> list[Item]:
        taken: list[Item] = []
        while self._ready and len(taken) < limit:
            channel = self._ready.popleft()
            self._in_ready.discard(channel)
            if len(channel):
                taken.append(channel.take())
            if len(channel):
                self._mark_ready(channel)
            elif channel.closed:
                self._open.discard(channel)
                self._ended.append(SourceEnded(channel.source_id))
        return taken

    def _mark_ready(self, channel: Channel) -> None:
        if channel in self._open and channel not in self._in_ready:
            self._in_ready.add(channel)
            self._ready.append(channel)
            self._wake()

    def _wake(self) -> None:
        if self._receiver is not None and not self._receiver.done():
            self._receiver.set_result(None)
