"""Finds people with BlazePose, on the CPU."""

from collections.abc import Sequence

from pipeline.types import Frame, Instances
from stages.blazepose.search import PeopleFinder, SearchOptions
from stages.detectors.base import Detector

__all__ = ["BlazePoseDetector", "Options"]


class Options(SearchOptions):
    """How people are looked for."""


class BlazePoseDetector(Detector):
    """Searches every frame from corner to corner and remembers nothing.

    It is thorough and slow: for video, the pose model of the same name finds the same people in a fifth of the time,
    because it follows them.
    """

    description = "BlazePose, litert on cpu"

    def __init__(self, options: Options) -> None:
        """Keep the options."""
        self.options = options
        self._finder = PeopleFinder(options)

    def open(self) -> None:
        """Load the networks.

        Raises:
            WeightsError: They cannot be had, are damaged, or are other ones.
        """
        self._finder.open()

    def close(self) -> None:
        """Give back the networks and their threads."""
        self._finder.close()

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people; boxes are those around their joints, scores those of the landmark network."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> Instances:
        found = self._finder.search(frame.image)
        return Instances.of(found.boxes(frame.width, frame.height), found.score)
