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

import math
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline import plugin
from pipeline.types import NO_TRACK, Instances
from trackers.assignment import Solver, assign, iou
from trackers.base import Tracker
from trackers.camera_motion import CameraMotion, wants_warp
from trackers.kalman import BoxMotion

__all__ = ["ByteTrack", "Options"]

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


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


_TRACK: Final = np.dtype(
    [
        ("id", np.int64),  # NO_TRACK until confirmed
        ("class_id", np.int32),
        ("born", np.float64),  # time of the first and of the latest box, in seconds of the tracker's clock
        ("seen", np.float64),
        ("present", np.bool_),  # had a box in the latest frame
    ]
)

_STANDSTILL_SECONDS: Final = 1 / 30
"""How much a frame ages the lost when its time is not later than the one before: else they would stay for ever."""


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
        self._tracks = np.empty(0, _TRACK)
        self._motion = BoxMotion()  # row i is the motion of self._tracks[i]
        self._last_id = 0
        self._clock_seconds = 0.0
        self._pts_seconds: float | None = None

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
        first = self._pts_seconds is None
        self._advance(pts_seconds)
        if warp is not None:
            self._motion.warp(warp)
        owner = self._match(instances)
        self._correct(owner, instances)
        owner = self._begin(owner, instances)
        self._confirm(owner, at_once=first)
        known = owner >= 0
        track_id = np.full(len(instances), NO_TRACK)
        track_id[known] = self._tracks["id"][owner[known]]
        self._keep(self._tracks["present"] | (self._tracks["id"] != NO_TRACK))
        return instances.with_columns(track_id=track_id)

    def _advance(self, pts_seconds: float) -> None:
        """Move everybody on to a new time, and forget who was away too long."""
        if not math.isfinite(pts_seconds):
            msg = f"pts_seconds must be finite, got {pts_seconds}: the source gave a frame without a time"
            raise ValueError(msg)
        step_seconds = 0.0 if self._pts_seconds is None else max(pts_seconds - self._pts_seconds, 0.0)
        self._pts_seconds = pts_seconds
        self._clock_seconds += step_seconds or _STANDSTILL_SECONDS
        self._keep(self._clock_seconds - self._tracks["seen"] <= self.options.patience_seconds)
        self._motion.hold_size(~self._tracks["present"])
        self._motion.predict(step_seconds)

    def _match(self, instances: Instances) -> NDArray[np.int64]:
        """Find the track of each box in the rounds of the paper (algorithm 1): shape (n,), -1 where there is none."""
        options, tracks, score = self.options, self._tracks, instances.score
        overlap = iou(self._motion.xyxy, instances.xyxy) * (tracks["class_id"][:, None] == instances.class_id)
        fused = overlap * score if options.fuse_score else overlap
        confirmed = tracks["id"] != NO_TRACK
        sure, doubtful = score >= options.high_score, (score >= options.low_score) & (score < options.high_score)

        owner = np.full(len(instances), -1)
        for candidates, boxes, likeness, least in (
            (confirmed, sure, fused, options.match_iou),
            (confirmed & tracks["present"], doubtful, overlap, options.match_low_iou),
            (~confirmed, sure, fused, options.match_new_iou),
        ):
            rows = np.setdiff1d(np.flatnonzero(candidates), owner)
            columns = np.flatnonzero(boxes & (owner < 0))
            pairs, _, _ = assign(1 - likeness[np.ix_(rows, columns)], 1 - least, solver=options.solver)
            owner[columns[pairs[:, 1]]] = rows[pairs[:, 0]]
        return owner

    def _correct(self, owner: NDArray[np.int64], instances: Instances) -> None:
        """Tell the tracks what was seen of them."""
        boxes = np.flatnonzero(owner >= 0)
        rows = owner[boxes]
        self._motion.update(rows, instances.xyxy[boxes])
        self._tracks["present"] = False
        self._tracks["present"][rows] = True
        self._tracks["seen"][rows] = self._clock_seconds

    def _begin(self, owner: NDArray[np.int64], instances: Instances) -> NDArray[np.int64]:
        """Start a track for each box that is good enough and nobody's; give `owner` with them in it."""
        boxes = np.flatnonzero((owner < 0) & (instances.score >= self.options.new_track_score))
        new = np.empty(len(boxes), _TRACK)
        new["id"], new["class_id"], new["present"] = NO_TRACK, instances.class_id[boxes], True
        new["born"] = new["seen"] = self._clock_seconds
        owner = owner.copy()
        owner[boxes] = len(self._tracks) + np.arange(len(boxes))
        self._tracks = np.concatenate([self._tracks, new])
        self._motion.initiate(instances.xyxy[boxes])
        return owner

    def _confirm(self, owner: NDArray[np.int64], *, at_once: bool) -> None:
        """Give the next ids, in the order of the boxes, to the tracks that have lasted long enough."""
        rows = owner[owner >= 0]
        lasted = self._clock_seconds - self._tracks["born"][rows] >= self.options.confirm_seconds
        due = rows[(self._tracks["id"][rows] == NO_TRACK) & (lasted | at_once)]
        self._tracks["id"][due] = self._last_id + 1 + np.arange(len(due))
        self._last_id += len(due)

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all tracks but these."""
        self._tracks = self._tracks[rows]
        self._motion.keep(rows)
