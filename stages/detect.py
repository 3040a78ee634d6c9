"""detect: finds people in batches of frames from all sources."""

from collections.abc import Callable, Sequence

from pipeline.stage import Stage
from pipeline.types import Packet
from pipeline.worker import Worker
from stages.detectors.base import Detector

__all__ = ["Detect"]


class Detect(Stage):
    """Runs a detector on a thread of its own."""

    name = "detect"
    provides = frozenset({"xyxy"})

    def __init__(self, make: Callable[[], Detector]) -> None:
        """Make the detector; its model is loaded in `open`."""
        self._detector = make()
        self._worker = Worker(self.name)
        self.max_batch = self._detector.max_batch

    async def open(self) -> None:
        """Load the model."""
        await self._worker.call(self._detector.open)
        self.description = self._detector.description

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Add a table of people to each packet."""
        found = await self._worker.call(self._detector.detect, [packet.frame for packet in packets])
        return [packet.with_instances(people) for packet, people in zip(packets, found, strict=True)]

    async def end_source(self, source_id: str) -> None:
        """Let the detector forget the source."""
        await self._worker.call(self._detector.end_source, source_id)

    async def close(self) -> None:
        """Give back the model."""
        await self._worker.close(self._detector.close)
