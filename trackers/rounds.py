"""The rounds in which `trackers.kinesort` finds out whose each box is."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from pipeline.types import Instances
from trackers.assignment import Solver, assign
from trackers.likeness import box_likeness
from trackers.recollection import Recollection
from trackers.roster import Roster, Seconds, Share

__all__ = ["RoundOptions", "Rounds"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Likeness = Callable[[Rows, Rows], Floats]
"""Of some people with some boxes, by their rows: shape (people, boxes)."""

_CONTRAST: Final = 2.0
"""Power of likenesses whose sum is made greatest: above 1, a good pair is not broken up for two poor ones."""


class RoundOptions(plugin.Options):
    """What decides whose a box is. Scores and likenesses are in 0..1."""

    high_score: Share = 0.65
    """A box with this score or more is sure: it is matched with everybody, and can bring back the lost."""
    low_score: Share = 0.1
    """A box with this score or more that is not sure can only follow somebody who was there a moment ago. Boxes below
    are ignored: the detector's own threshold should be here, not above."""
    match_likeness: Share = 0.1
    """A sure box and a person belong together only above this: IoU times agreement of heights times score."""
    match_low_likeness: Share = 0.35
    """The same for a doubtful box, whose score counts half."""
    match_new_likeness: Share = 0.3
    """The same for a sure box and somebody without an id."""
    low_seconds: Seconds = 0.3
    """A doubtful box follows only who was seen within this time, or in the frame before; with its pose, anybody."""
    growth: float = Field(default=1.0, ge=0, le=10)
    """In the round of doubtful boxes, both boxes grow by so many times the mean error of late of the predictions."""
    pose_weight: float = Field(default=3.0, ge=0, le=10)
    """How much it counts beside the box that the pose is where it was expected, if there are poses: OKS less 0.4."""
    appearance_weight: float = Field(default=0.5, ge=0, le=10)
    """How much it counts beside the box that looks agree, if there are embeddings."""
    patience_seconds: Seconds = 1.5
    """A person unseen for longer is forgotten, and is somebody new afterwards. Must be more than the time between two
    frames."""
    solver: Solver = "scipy"
    """Who solves the assignment: `scipy`, or the slow reference `munkres`."""


class Rounds:
    """One frame's matching.

    Args:
        options: Those of the tracker.
        people: Who is known, n rows.
        known: What is remembered of them, the same rows, moved on to this frame.
        seen: The frame's boxes, m rows.
    """

    def __init__(self, options: RoundOptions, people: Roster, known: Recollection, seen: Instances) -> None:
        """Nobody is matched yet."""
        self._options, self._people, self._known, self._seen = options, people, known, seen
        self._expected, self._boxes = known.motion.xyxy, seen.xyxy.astype(np.float64)
        self._score = seen.score.astype(np.float64)
        self._owner = np.full(len(seen), -1)

    def run(self) -> Rows:
        """Give the row of the person of each box, shape (m,); -1 where it is nobody's."""
        options, unseen_seconds = self._options, self._people.unseen_seconds
        sure = self._score >= options.high_score
        doubtful = ~sure & (self._score >= options.low_score)
        confirmed = self._people.confirmed
        # A box alone says little about who it is when it is doubtful; its pose tells him from those around him.
        low_seconds = options.low_seconds if self._seen.keypoints is None else options.patience_seconds
        recent = (unseen_seconds <= low_seconds) | (self._people.missed <= 1)
        self._pair(confirmed, sure, self._of_sure, options.match_likeness)
        self._pair(confirmed & recent, doubtful, self._of_doubtful, options.match_low_likeness)
        self._pair(~confirmed, sure, self._of_sure, options.match_new_likeness)
        return self._owner

    def _pair(self, candidates: Mask, allowed: Mask, likeness: Likeness, least: float) -> None:
        """Find the best pairs among the candidates and boxes that are still alone."""
        alone = candidates.copy()
        alone[self._owner[self._owner >= 0]] = False
        rows, columns = np.flatnonzero(alone), np.flatnonzero(allowed & (self._owner < 0))
        if not len(rows) or not len(columns):
            return
        same_class = self._people.class_id[rows, None] == self._seen.class_id[columns]
        gain = (np.maximum(likeness(rows, columns), 0.0) * same_class) ** _CONTRAST
        pairs, _, _ = assign(-gain, -(least**_CONTRAST), solver=self._options.solver)
        self._owner[columns[pairs[:, 1]]] = rows[pairs[:, 0]]

    def _of_sure(self, rows: Rows, columns: Rows) -> Floats:
        box = box_likeness(self._expected[rows], self._boxes[columns], height_weight=1.0) * self._score[columns]
        return self._with_pose_and_looks(box, rows, columns)

    def _of_doubtful(self, rows: Rows, columns: Rows) -> Floats:
        margin = self._options.growth * self._known.error_px[rows]
        box = box_likeness(self._expected[rows], self._boxes[columns], margin=margin, height_weight=0.5)
        return self._with_pose_and_looks(box * (0.5 + 0.5 * self._score[columns]), rows, columns)

    def _with_pose_and_looks(self, box: Floats, rows: Rows, columns: Rows) -> Floats:
        """Add what else speaks for a pair, or against it, where the boxes touch at all."""
        near = box > 0
        pose = self._known.pose_fit(rows, self._seen, columns, near)
        looks = self._known.look_fit(rows, self._seen, columns)
        return np.asarray(box + near * (self._options.pose_weight * pose + self._options.appearance_weight * looks))
