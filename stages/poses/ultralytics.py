"""One-stage pose networks of the YOLO family, in any format that ultralytics can load."""

from collections.abc import Sequence
from typing import ClassVar

from pipeline.types import Frame, Instances
from stages.poses.base import PoseModel
from stages.yolo.model import NetworkPlugin
from stages.yolo.options import ModelOptions
from stages.yolo.weights import Task

__all__ = ["Options", "UltralyticsPose"]


class Options(ModelOptions):
    """Which pose network, what counts as found, and where it runs."""


class UltralyticsPose(NetworkPlugin, PoseModel):
    """Finds people and their 17 COCO joints in one step."""

    task: ClassVar[Task] = "pose"
    boxes: ClassVar[str] = "unused"

    def estimate(
        self,
        frames: Sequence[Frame],
        instances: Sequence[Instances | None],  # noqa: ARG002 - this model finds the people by itself
    ) -> list[Instances]:
        """Find people and their joints; see `PoseModel.estimate`."""
        return self.find(frames)
