"""KineSort: the best of what is known about boxes, and the pose in the cost.

    sure boxes       with everybody who has an id: IoU and heights, times the score; pose and looks
    doubtful boxes   with those seen a moment ago: boxes grown as far as predictions have missed of late
    newcomers        sure boxes that are left, with those who have no id yet
    births           sure boxes that are left, and are not the second box of somebody who is there

What each one is from: two rounds, ByteTrack; heights, Hybrid-SORT; grown boxes, C-BIoU (there by a fixed share);
measurements trusted by their score, StrongSORT; births beside the living, TrackTrack; warps of the camera, BoT-SORT.
What is its own: scores of small detectors and large ones come to one scale (`trackers.score_scale`); the less sure a
newcomer's boxes are, the longer he is watched before he gets his id; likenesses are raised to a power before the best
sum is sought, so that a good pair is not broken up for two poor ones; velocities change less than in the papers, and
those of sizes fade, since they are mostly of arms and legs that swing; boxes grow by what each person's motion calls
for; and joints are predicted one by one (`trackers.pose_motion`).

All of it counts in seconds, so 5 and 30 frames a second, and frames that come irregularly, behave alike.
"""

from pathlib import Path
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline.types import Instances
from trackers.assignment import iou
from trackers.base import Tracker
from trackers.camera_motion import CameraMotion, wants_warp
from trackers.recollection import Recollection
from trackers.roster import Roster, Seconds, Share
from trackers.rounds import RoundOptions, Rounds
from trackers.score_scale import ScoreScale

__all__ = ["KineSort", "Options"]

_TRUST: Final = 0.8
"""How much the score of a box tells about how exact it is: what is half hidden is cut off (StrongSORT's NSA filter)."""
_EVIDENT: Final = 0.8
"""Who scores this or more is somebody when he is seen a second time."""
_DOUBT_SECONDS: Final = 0.5
"""Others are watched for so long, times what their best score lacks of that: a best of 0.66, for 0.07 s."""


class Options(RoundOptions):
    """Options of `KineSort`. Scores and likenesses are in 0..1.

    Scores are those of a detector that gives 0.9 or more to people in plain sight; those of others are scaled up, see
    `trackers.score_scale`.
    """

    duplicate_iou: Share = 0.7
    """A box that overlaps more than this with a box of somebody who is there starts no track."""
    confirm_seconds: Seconds = 0.02
    """A new track gets its id when it is seen again this long after its first box or later, in every frame between: up
    to 50 frames a second, by its second box. Longer if no box of it scores 0.8. People in the first frame of all get
    theirs at once."""
    camera_motion: CameraMotion = "none"
    """How a moving camera is made up for: `none`, `flow` (found in the pictures), or a file of warps."""
    appearance: Literal["none", "osnet"] | Path = "none"
    """What tells people's looks: `none`, `osnet` (of the model zoo), or a re-identification network in an ONNX file."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$")
    """Where the network of `appearance` runs: `auto` (a GPU if there is one), `cpu`, `cuda` or `cuda:1`."""

    @model_validator(mode="after")
    def _scores_in_order(self) -> Self:
        if not self.low_score <= self.high_score:
            msg = f"low_score must not be above high_score, got {self.low_score} and {self.high_score}"
            raise ValueError(msg)
        return self


class KineSort(Tracker):
    """Tracks by boxes, scores, poses where there are any, and looks where there are any.

    People of different classes are never the same.

    Args:
        options: Thresholds and times.
    """

    def __init__(self, options: Options | None = None) -> None:
        """Know nobody yet."""
        self.options = options or Options()
        looks = frozenset[str]() if self.options.appearance == "none" else frozenset({"embedding"})
        self.wants = wants_warp(self.options.camera_motion) | looks
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
        self._people = Roster()
        self._scale = ScoreScale()
        self._known = Recollection()  # row i is what is known of person i of the roster

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002 - what it needs of the picture comes as columns
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        """Take the people of the next frame and say who is who: see `Tracker.update`.

        Raises:
            ValueError: The time is not finite.
        """
        step_seconds = self._people.advance(pts_seconds)
        self._keep(self._people.unseen_seconds <= self.options.patience_seconds)
        self._known.advance(step_seconds, warp, self._people.missed > 1)
        seen = self._scale.scaled(instances, step_seconds)
        self._known.prepare(seen)
        owner = Rounds(self.options, self._people, self._known, seen).run()
        self._correct(owner, seen)
        owner = self._begin(owner, seen)
        self._confirm(owner[owner >= 0])
        track_id = self._people.ids(owner)
        self._keep((self._people.missed == 0) | self._people.confirmed)
        return instances.with_columns(track_id=track_id)

    def _correct(self, owner: NDArray[np.int64], instances: Instances) -> None:
        """Tell the tracks what was seen of them."""
        boxes = np.flatnonzero(owner >= 0)
        rows = owner[boxes]
        doubt = 2 * (1 - _TRUST * instances.score[boxes].astype(np.float64)) ** 2
        self._known.update(rows, instances, boxes, doubt, self._people.unseen_seconds[rows])
        self._people.see(rows)

    def _begin(self, owner: NDArray[np.int64], instances: Instances) -> NDArray[np.int64]:
        """Start a track for each sure box that is nobody's; give `owner` with them in it."""
        boxes = np.flatnonzero((owner < 0) & (instances.score >= self.options.high_score))
        if not len(boxes):
            return owner
        same_class = instances.class_id[owner >= 0][:, None] == instances.class_id[boxes]
        overlap = iou(instances.xyxy[owner >= 0], instances.xyxy[boxes]) * same_class
        boxes = boxes[~(overlap > self.options.duplicate_iou).any(axis=0)]
        owner = owner.copy()
        owner[boxes] = self._people.begin(instances.class_id[boxes])
        self._known.begin(instances, boxes)
        return owner

    def _confirm(self, rows: NDArray[np.int64]) -> None:
        """Give ids to those of whom enough was seen."""
        doubt = _DOUBT_SECONDS * (_EVIDENT - self._known.best_score[rows])
        self._people.confirm(rows, np.maximum(doubt, self.options.confirm_seconds))

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all tracks but these."""
        if not rows.all():
            self._people.keep(rows)
            self._known.keep(rows)
