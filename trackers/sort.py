"""SORT (Bewley et al., ICIP 2016): a Kalman filter, IoU, and the best assignment of all.

What differs from the paper: patience and confirmation are in seconds, not frames; motion is that of `trackers.kalman`
instead of a filter of area and aspect ratio; the box returned is the detector's, not the filter's.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances
from trackers.assignment import assign, iou
from trackers.boxes_alone import BoxTracker, BoxTrackerOptions

__all__ = ["Options", "Sort"]


class Options(BoxTrackerOptions):
    """Options of `Sort`. Scores and IoU are in 0..1."""


class Sort(BoxTracker):
    """The simplest tracker with a memory: for sure boxes, few occlusions, a fixed camera.

    Args:
        options: Thresholds and times.
    """

    def __init__(self, options: Options | None = None) -> None:
        """Know nobody yet."""
        super().__init__(options or Options())

    def _match(self, sure: Instances) -> NDArray[np.int64]:
        owner = np.full(len(sure), -1)
        overlap = iou(self._motion.xyxy, sure.xyxy) * (self._people.class_id[:, None] == sure.class_id)
        pairs, _, _ = assign(1 - overlap, 1 - self.options.match_iou, solver=self.options.solver)
        owner[pairs[:, 1]] = pairs[:, 0]
        return owner
