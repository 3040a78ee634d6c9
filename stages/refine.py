"""refine: mends the tracks of files by what comes later, and gives each frame some seconds after it came."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from pipeline.stage import Stage
from pipeline.types import Instances, Packet
from pipeline.worker import Worker
from trackers.refinement import Refinement
from trackers.refinement import RefinementOptions as Options

__all__ = ["Options", "Refine"]


@dataclass(slots=True)
class _Source:
    refinement: Refinement
    waiting: deque[Packet] = field(default_factory=deque)
    """The packets of the frames that have not come out of it yet."""


@dataclass(frozen=True, slots=True)
class _GonePixels:
    """Pixels that were let go of: only their size is known."""

    width: int
    height: int

    def bgr(self) -> NoReturn:
        """Complain: nobody was to look.

        Raises:
            RuntimeError: Always.
        """
        msg = (
            "refine has let go of this picture, since nobody after it needs pixels: add 'pixels' to the sink's `needs`"
        )
        raise RuntimeError(msg)


class Refine(Stage):
    """Keeps a refinement for each source, from its first frame to its end.

    It holds `hold_seconds` of packets a source, however long that is. Their pictures are held only where somebody after
    it draws, 3 bytes a pixel: 2 s of 1920x1080 at 30 frames a second are 370 MB, for each file that is open. Without
    pictures it is next to nothing.
    """

    name = "refine"
    needs = frozenset({"track_id"})
    max_batch = 1
    """A refinement has seen a frame once it was given to it: a batch must not be repeated."""

    def __init__(self, options: Options) -> None:
        """Know no source yet."""
        self.options = options
        self._sources: dict[str, _Source] = {}
        self._worker = Worker(self.name)

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Take packets; give those of the sources' frames that are ready."""
        return await self._worker.call(self._push, packets)

    def held(self) -> Sequence[Packet]:
        """Give the packets that are still to come out."""
        return [packet for source in self._sources.values() for packet in source.waiting]

    async def end_source(self, source_id: str) -> Sequence[Packet]:
        """Give the rest of a source, and forget its people."""
        source = self._sources.pop(source_id, None)
        if source is None:
            return []
        return _joined(source.waiting, await self._worker.call(source.refinement.finish))

    async def close(self) -> None:
        """End the thread, and let go of everything."""
        self._sources.clear()
        await self._worker.close()

    def _push(self, packets: Sequence[Packet]) -> list[Packet]:
        ready: list[Packet] = []
        for packet in packets:
            source = self._sources.setdefault(packet.source_id, _Source(Refinement(self.options)))
            people = Instances.empty() if packet.instances is None else packet.instances
            tables = source.refinement.push(people, packet.frame.pts_seconds)
            source.waiting.append(packet if self.keeps_pixels else _without_pixels(packet))
            ready += _joined(source.waiting, tables)
        return ready


def _joined(waiting: deque[Packet], tables: Iterable[Instances]) -> list[Packet]:
    """Give the packets that wait longest, with the tables that have become of theirs."""
    return [waiting.popleft().with_instances(table) for table in tables]


def _without_pixels(packet: Packet) -> Packet:
    return replace(packet, frame=replace(packet.frame, pixels=_GonePixels(packet.frame.width, packet.frame.height)))
