"""A real pose model that looks at each frame of a film once, however often a test runs the film.

monkeypatch.setitem(PLUGINS["pose"], "remembered", "remembered_pose:RememberedPose")
kinestream run people.mp4 --pose remembered -o pose.weights=yolov8n-pose.pt
"""

from collections.abc import Sequence
from typing import ClassVar

from pipeline.types import Frame, Instances
from stages.poses.ultralytics import Options, UltralyticsPose

__all__ = ["Options", "RememberedPose"]


class RememberedPose(UltralyticsPose):
    """Finds in a frame what it has found there before."""

    found: ClassVar[dict[int, Instances]] = {}
    """By the number of the frame: for one film in a process."""

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Look at the frames that are new."""
        new = [frame for frame in frames if frame.index not in self.found]
        if new:
            tables = super().estimate(new, [None] * len(new))
            self.found.update(zip((frame.index for frame in new), tables, strict=True))
        assert len(instances) == len(frames)
        return [self.found[frame.index] for frame in frames]
