"""Shows a pose model the pictures of a data set."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from pipeline.errors import OutOfMemory
from pipeline.types import Frame, Instances
from stages.evaluation.pictures import Picture, frames_ahead

__all__ = ["PoseFinder", "look"]


class PoseFinder(Protocol):
    """What is needed of a pose plug-in, once it is open: see `PoseModel`."""

    max_batch: int

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Find joints."""

    def end_source(self, source_id: str) -> None:
        """Forget a source."""


def look(model: PoseFinder, pictures: Sequence[Picture]) -> Iterator[tuple[Picture, Instances]]:
    """Find the joints in each picture, as many pictures at once as the model takes; only a few more are in memory.

    Args:
        model: An open one.
        pictures: With their boxes, in any order.

    Yields:
        Each picture and the poses in it, in order. Where boxes were given, the rows are theirs.

    Raises:
        SourceError: A picture cannot be read.
        OutOfMemory: Even one picture is too much for the device.
    """
    for chunk, frames in frames_ahead(pictures, model.max_batch):
        yield from zip(chunk, _estimate(model, frames, [picture.people for picture in chunk]), strict=True)
        for frame in frames:
            model.end_source(frame.source_id)


def _estimate(model: PoseFinder, frames: Sequence[Frame], people: Sequence[Instances | None]) -> list[Instances]:
    """Estimate; in halves if the device has not enough memory for all."""
    try:
        return model.estimate(frames, people)
    except OutOfMemory:
        if len(frames) == 1:
            raise
    middle = len(frames) // 2
    return _estimate(model, frames[:middle], people[:middle]) + _estimate(model, frames[middle:], people[middle:])
