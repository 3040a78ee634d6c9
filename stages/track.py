"""track: gives people identities that last, one tracker a source."""

from collections.abc import Callable, Sequence

from pipeline.stage import Stage
from pipeline.types import Instances, Packet
from pipeline.worker import Worker
from trackers.base import Tracker

__all__ = ["Track"]


class Track(Stage):
    """Keeps a tracker for each source, from its first frame to its end."""

    name = "track"
    needs = frozenset({"xyxy"})
    provides = frozenset({"track_id"})
    max_batch = 1
    """A tracker has seen a frame once it was asked: a batch must not be repeated."""

    def __init__(self, make: Callable[[], Tracker]) -> None:
        """Keep how to make a tracker; each source gets its own."""
        self._make = make
        self._trackers: dict[str, Tracker] = {}
        self._worker = Worker(self.name)

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Add `track_id` to the packet's table of people."""
        return await self._worker.call(self._update, packets)

    async def end_source(self, source_id: str) -> None:
        """Forget the source's tracker."""
        self._trackers.pop(source_id, None)

    async def close(self) -> None:
        """End the thread."""
        await self._worker.close()

    def _update(self, packets: Sequence[Packet]) -> list[Packet]:
        tracked = []
        for packet in packets:
            tracker = self._trackers.get(packet.source_id)
            if tracker is None:
                tracker = self._trackers[packet.source_id] = self._make()
            people = Instances.empty() if packet.instances is None else packet.instances
            tracked.append(packet.with_instances(tracker.update(people, packet.frame.pts_seconds)))
        return tracked
