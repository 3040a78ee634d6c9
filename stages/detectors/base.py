"""What a detector plug-in is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from pipeline.plugin import Plugin
from pipeline.types import Frame, Instances

__all__ = ["Detector"]


class Detector(Plugin, ABC):
    """Finds the people in frames."""

    max_batch: int = 1
    """How many frames it takes at once, at most."""

    @abstractmethod
    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people.

        Args:
            frames: 1 to `max_batch` frames, of any sources and sizes.

        Returns:
            One table a frame, in the same order; boxes in pixels of the frame, clipped to it, best score first.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """

    def end_source(self, source_id: str) -> None:
        """Forget what is kept about a source."""
