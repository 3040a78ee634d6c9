"""track: gives people identities that last, one tracker a source."""

from collections.abc import Callable, Sequence
from typing import Any

from pipeline.stage import Stage
from pipeline.types import Instances, Packet
from pipeline.worker import Worker
from stages.appearance import Appearance, appearance_for
from stages.camera_motion import warps_for
from trackers.base import Tracker

__all__ = ["Track"]


class Track(Stage):
    """Keeps a tracker for each source, from its first frame to its end.

    A tracker that wants to know how the camera moved, what people look like, or to see the picture, is told; no other
    one costs that time. The network that tells looks is loaded once, for all sources.
    """

    name = "track"
    needs = frozenset({"xyxy"})
    max_batch = 1
    """A tracker has seen a frame once it was asked: a batch must not be repeated."""

    def __init__(self, make: Callable[[], Tracker]) -> None:
        """Keep how to make a tracker; each source gets its own."""
        self._make = make
        self._first: Tracker | None = make()  # tells what its kind wants, until the first source takes it
        self._appearance = appearance_for(self._first)
        self._trackers: dict[str, _Watched] = {}
        self._worker = Worker(self.name)
        self.provides = frozenset({"track_id"}) if self._appearance is None else frozenset({"track_id", "embedding"})

    async def open(self) -> None:
        """Load the network that tells what people look like, if it is wanted."""
        if self._appearance is not None:
            await self._worker.call(self._appearance.open)
            self.description = self._appearance.description

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Add `track_id` to the packet's table of people, and `embedding` where the tracker wants it."""
        return await self._worker.call(self._update, packets)

    async def end_source(self, source_id: str) -> None:
        """Forget the source's tracker."""
        self._trackers.pop(source_id, None)

    async def close(self) -> None:
        """Give back the network, and end the thread."""
        await self._worker.close(None if self._appearance is None else self._appearance.close)

    def _update(self, packets: Sequence[Packet]) -> list[Packet]:
        tracked = []
        for packet in packets:
            tracker = self._trackers.get(packet.source_id)
            if tracker is None:
                tracker = self._trackers[packet.source_id] = _Watched(self._begun(), self._appearance)
            tracked.append(packet.with_instances(tracker.update(packet)))
        return tracked

    def _begun(self) -> Tracker:
        """Give a tracker that knows nobody."""
        first, self._first = self._first, None
        return self._make() if first is None else first


class _Watched:
    """A tracker of one source, and what it wants to be told."""

    def __init__(self, tracker: Tracker, appearance: Appearance | None) -> None:
        self._tracker = tracker
        self._appearance = appearance
        self._warps = warps_for(tracker)

    def update(self, packet: Packet) -> Instances:
        frame = packet.frame
        people = Instances.empty() if packet.instances is None else packet.instances
        if self._appearance is not None:
            looks = self._appearance.describe(frame.pixels, people.xyxy)
            people = people.with_columns(embedding=looks)
        told: dict[str, Any] = {}
        if self._warps is not None:
            told["warp"] = self._warps.of(frame, people.xyxy)
        if "image" in self._tracker.wants:
            told["image"] = frame.image
        return self._tracker.update(people, frame.pts_seconds, **told)
