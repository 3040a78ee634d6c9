"""Person detectors of the YOLO family, in any format that ultralytics can load."""

from collections.abc import Sequence
from typing import ClassVar

from pipeline.types import Frame, Instances
from stages.detectors.base import Detector
from stages.yolo.model import NetworkPlugin
from stages.yolo.options import ModelOptions
from stages.yolo.weights import Task

__all__ = ["Options", "UltralyticsDetector"]


class Options(ModelOptions):
    """Which detection network, what counts as found, and where it runs."""


class UltralyticsDetector(NetworkPlugin, Detector):
    """Finds people with a detection network."""

    task: ClassVar[Task] = "detect"

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people; see `Detector.detect`."""
        return self.find(frames)
