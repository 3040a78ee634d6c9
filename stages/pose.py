"""pose: finds joints, of people that were detected or, with a one-stage model, of everybody."""

from collections.abc import Callable, Sequence

from pipeline.stage import Stage
from pipeline.types import Packet
from pipeline.worker import Worker
from stages.poses.base import PoseModel

__all__ = ["EstimatePose"]


class EstimatePose(Stage):
    """Runs a pose model on a thread of its own."""

    name = "pose"
    provides = frozenset({"xyxy", "keypoints"})

    def __init__(self, make: Callable[[], PoseModel]) -> None:
        """Make the model; its weights are loaded in `open`."""
        self._model = make()
        self._worker = Worker(self.name)
        self.max_batch = self._model.max_batch
        self.needs = frozenset({"xyxy"}) if self._model.boxes == "needed" else frozenset()

    async def open(self) -> None:
        """Load the weights."""
        await self._worker.call(self._model.open)
        self.description = self._model.description

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Add joints to each packet's table of people."""
        frames, tables = [packet.frame for packet in packets], [packet.instances for packet in packets]
        found = await self._worker.call(self._model.estimate, frames, tables)
        return [packet.with_instances(people) for packet, people in zip(packets, found, strict=True)]

    async def end_source(self, source_id: str) -> None:
        """Let the model forget the source."""
        await self._worker.call(self._model.end_source, source_id)

    async def close(self) -> None:
        """Give back the model."""
        await self._worker.close(self._model.close)
