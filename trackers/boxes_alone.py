"""What SORT and its descendants share: sure boxes only, one motion model, one life of a track.

        sure box of nobody            seen without a gap for a while              not seen
    ------------------------> new --------------------------------> confirmed <------------> lost
                               |            gets its id                         seen again      |
                               | patience is over                                               | patience is over
                               v                                                                v
                           forgotten                                                        forgotten

An algorithm adds how boxes find their people: `_match`, and what else it knows about them.
"""

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from pipeline import plugin
from pipeline.types import Instances
from trackers.assignment import Solver
from trackers.base import Tracker
from trackers.camera_motion import CameraMotion, wants_warp
from trackers.kalman import BoxMotion
from trackers.roster import Roster, Seconds, Share

__all__ = ["BoxTracker", "BoxTrackerOptions"]


class BoxTrackerOptions(plugin.Options):
    """Options that all of them have. Scores and IoU are in 0..1."""

    min_score: Share = 0.4
    """Boxes with less are ignored. The papers have 0.6, which suits large detectors."""
    match_iou: Share = 0.3
    """A box and a person belong together only above this IoU."""
    patience_seconds: Seconds = 1.0
    """A person unseen for longer is forgotten, and is somebody new afterwards. Must be more than the time between two
    frames."""
    confirm_seconds: Seconds = 0.09
    """A new track gets its id when it has been seen for so long without a gap; 0: at its first box. People of the
    first frame of all get theirs at once. The default is three frames at 30 frames a second, as in the papers."""
    confirm_again: bool = False
    """Who was lost is named again only when he has been seen for `confirm_seconds` again, as the authors' programs do
    it. It leaves out many boxes, and a few wrong ones."""
    camera_motion: CameraMotion = "none"
    """How a moving camera is made up for: `none`, `flow` (found in the pictures), or a file of warps."""
    solver: Solver = "scipy"
    """Who solves the assignment: `scipy`, or the slow reference `munkres`."""


class BoxTracker(Tracker):
    """Tracks by box alone. People of different classes are never the same.

    Args:
        options: Thresholds and times.
    """

    def __init__(self, options: BoxTrackerOptions) -> None:
        """Know nobody yet."""
        self.options = options
        self.wants = wants_warp(options.camera_motion)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
        self._people = Roster()
        self._motion = BoxMotion()  # row i is the motion of row i of self._people

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002 - boxes are enough for these algorithms
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        """Take the people of the next frame and say who is who: see `Tracker.update`.

        Raises:
            ValueError: The time is not finite.
        """
        options, people = self.options, self._people
        step_seconds = people.advance(pts_seconds)
        self._keep(people.unseen_seconds <= options.patience_seconds)
        self._predict(step_seconds, warp)
        owner = np.full(len(instances), -1)
        sure = np.flatnonzero(instances.score >= options.min_score)
        owner[sure] = self._match(instances[sure])
        seen = np.flatnonzero(owner >= 0)
        self._correct(owner[seen], instances.xyxy[seen])
        new = sure[owner[sure] < 0]
        owner[new] = people.begin(instances.class_id[new])
        self._begin(instances.xyxy[new])
        people.confirm(owner[owner >= 0], options.confirm_seconds)
        again_seconds = options.confirm_seconds if options.confirm_again else 0.0
        return instances.with_columns(track_id=people.ids(owner, again_seconds))

    @abstractmethod
    def _match(self, sure: Instances) -> NDArray[np.int64]:
        """Find the row of each sure box's person, shape (n,); -1 where there is none."""

    def _predict(self, step_seconds: float, warp: NDArray[np.float64] | None) -> None:
        """Move everybody to where he is believed to be in this frame."""
        self._motion.hold_size(self._people.missed > 1)
        self._motion.predict(step_seconds)
        if warp is not None:
            self._motion.warp(warp)

    def _correct(self, rows: NDArray[np.int64], xyxy: NDArray[np.float32]) -> None:
        """Note where people were seen."""
        self._motion.update(rows, xyxy)
        self._people.see(rows)

    def _begin(self, xyxy: NDArray[np.float32]) -> None:
        """Add what is known about new people; their rows come last."""
        self._motion.initiate(xyxy)

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all but these."""
        self._people.keep(rows)
        self._motion.keep(rows)
