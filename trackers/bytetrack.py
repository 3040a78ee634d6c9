"""ByteTrack (Zhang et al., ECCV 2022): every box counts, also the doubtful ones.

A person who is half hidden still gives a box, only with a low score. So each frame is matched in rounds: first the
sure boxes with everybody known, then the doubtful boxes with those who were there a moment ago and are still alone,
then the sure boxes that are left with newcomers. Only a sure box starts a track.

        sure box alone             seen again                  not seen
    ----------------------> new ----------------> confirmed <------------> lost
                             |     gets its id                 seen again    |
                             | not seen                                      | patience is over
                             v                                               v
                         forgotten                                       forgotten

What differs from the paper: patience and confirmation are in seconds, not frames; motion is that of `trackers.kalman`,
whose noise grows with time; new tracks are moved on like all others.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline import plugin
from pipeline.types import Instances
from trackers.assignment import Solver, assign, iou
from trackers.base import Tracker
from trackers.camera_motion import CameraMotion, wants_warp
from trackers.kalman import BoxMotion
from trackers.roster import Roster, Seconds, Share

__all__ = ["ByteTrack", "Options"]


class Options(plugin.Options):
    """Options of `ByteTrack`. Scores and IoU are in 0..1.

    The paper has 0.6, 0.1 and 0.7 for the three scores, which suits large detectors; small ones (YOLO nano) give many
    people less than 0.6 all the time. The detector's own threshold should be at `low_score`, not above.
    """

    high_score: Share = 0.4
    """A box with this score or more is sure: it is matched with everybody, and can bring back the lost."""
    low_score: Share = 0.1
    """A box with this score or more that is not sure can only follow somebody who was there in the frame before. Boxes
    below are ignored."""
    new_track_score: Share = 0.5
    """A sure box that is nobody known starts a track if it has this score or more."""
    match_iou: Share = 0.1
    """A sure box and a person belong together only above this IoU (times score, see `fuse_score`)."""
    match_low_iou: Share = 0.5
    """The same for a doubtful box: IoU alone."""
    match_new_iou: Share = 0.3
    """The same for a sure box and a track that is not confirmed yet (times score, see `fuse_score`)."""
    fuse_score: bool = True
    """Multiply the IoU of sure boxes by their score, so that of two boxes at one place the surer one wins."""
    patience_seconds: Seconds = 2.0
    """A person unseen for longer is forgotten, and is somebody new afterwards. Must be more than the time between two
    frames. The paper has 1 second; 2 bridge the usual gap of a camera's network."""
    confirm_seconds: Seconds = 0.02
    """A new track gets its id when it is seen again this long after its first box or later, in every frame between; 0:
    at its first box. People in the first frame of all get theirs at once. The default is short of a frame, so the
    second box confirms, as in the paper, up to 50 frames a second."""
    camera_motion: CameraMotion = "none"
    """How a moving camera is made up for: `none`, `flow` (found in the pictures), or a file of warps."""
    solver: Solver = "scipy"
    """Who solves the assignment: `scipy`, or the slow reference `munkres`."""

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        if not self.low_score <= self.high_score <= self.new_track_score:
            msg = (
                f"scores must rise from low_score to high_score to new_track_score, "
                f"got {self.low_score}, {self.high_score}, {self.new_track_score}"
            )
            raise ValueError(msg)
        return self


class ByteTrack(Tracker):
    """Tracks by box and score alone. People of different classes are never the same.

    Args:
        options: Thresholds and times.
    """

    def __init__(self, options: Options | None = None) -> None:
        """Know nobody yet."""
        self.options = options or Options()
        self.wants = wants_warp(self.options.camera_motion)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
        self._people = Roster()
        self._motion = BoxMotion()  # row i is the motion of row i of self._people

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002 - boxes are enough for this algorithm
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        """Take the people of the next frame and say who is who: see `Tracker.update`.

        Raises:
            ValueError: The time is not finite.
        """
        people = self._people
        step_seconds = people.advance(pts_seconds)
        self._keep(people.unseen_seconds <= self.options.patience_seconds)
        self._motion.hold_size(people.missed > 1)
        self._motion.predict(step_seconds)
        if warp is not None:
            self._motion.warp(warp)
        owner = self._match(instances)
        known = np.flatnonzero(owner >= 0)
        self._motion.update(owner[known], instances.xyxy[known])
        people.see(owner[known])
        new = np.flatnonzero((owner < 0) & (instances.score >= self.options.new_track_score))
        owner[new] = people.begin(instances.class_id[new])
        self._motion.initiate(instances.xyxy[new])
        people.confirm(owner[owner >= 0], self.options.confirm_seconds)
        track_id = people.ids(owner)
        self._keep((people.missed == 0) | people.confirmed)
        return instances.with_columns(track_id=track_id)

    def _match(self, instances: Instances) -> NDArray[np.int64]:
        """Find the row of each box's person in the rounds of the paper (algorithm 1): shape (n,), -1 for nobody's."""
        options, people, score = self.options, self._people, instances.score
        overlap = iou(self._motion.xyxy, instances.xyxy) * (people.class_id[:, None] == instances.class_id)
        fused = overlap * score if options.fuse_score else overlap
        sure, doubtful = score >= options.high_score, (score >= options.low_score) & (score < options.high_score)

        owner = np.full(len(instances), -1)
        for candidates, boxes, likeness, least in (
            (people.confirmed, sure, fused, options.match_iou),
            (people.confirmed & (people.missed <= 1), doubtful, overlap, options.match_low_iou),
            (~people.confirmed, sure, fused, options.match_new_iou),
        ):
            rows = np.setdiff1d(np.flatnonzero(candidates), owner)
            columns = np.flatnonzero(boxes & (owner < 0))
            pairs, _, _ = assign(1 - likeness[np.ix_(rows, columns)], 1 - least, solver=options.solver)
            owner[columns[pairs[:, 1]]] = rows[pairs[:, 0]]
        return owner

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all tracks but these."""
        self._people.keep(rows)
        self._motion.keep(rows)
