"""What a pose plug-in is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from pipeline.plugin import Plugin
from pipeline.types import Frame, Instances

__all__ = ["PoseModel"]


class PoseModel(Plugin, ABC):
    """Finds the joints of people."""

    boxes: ClassVar[str]
    """What it does with boxes of a detector: `"needed"` (top-down), `"optional"` (uses them, finds people by
    itself where there is no detector), `"unused"` (one-stage: a detector before it is an error)."""

    max_batch: int = 1
    """How many frames it takes at once, at most."""

    @abstractmethod
    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Find joints.

        Args:
            frames: 1 to `max_batch` frames, of any sources and sizes; those of one source in order.
            instances: The detector's table of each frame; None where there is no detector.

        Returns:
            One table a frame, in the same order, with `keypoints`, `keypoint_score` and `skeleton`. Where boxes
            were given, the rows are theirs, in the same order.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """

    def end_source(self, source_id: str) -> None:
        """Forget what is kept about a source."""
