"""OC-SORT (Cao et al., CVPR 2023): what was observed counts for more than what was believed.

A Kalman filter that sees nothing drifts: its errors grow with the square of the time. Three things mend that:

    direction      a box lies where its person was heading, as told by two observed boxes, not by the filter (OCM)
    recovery       a box that is nobody's may lie on the last observed box of somebody lost, who has stopped (OCR)
    re-update      who is seen again has moved straight meanwhile: the filter runs once more over the gap, along
                   the line between both boxes (ORU)

What differs from the paper: times are in seconds, not frames; motion is that of `trackers.kalman`; people of different
classes are never the same.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances
from trackers.assignment import assign, iou
from trackers.boxes_alone import BoxTracker, BoxTrackerOptions
from trackers.camera_motion import warp_boxes
from trackers.kalman import BoxMotion
from trackers.roster import Seconds, Share

__all__ = ["OcSort", "Options"]

Floats = NDArray[np.float64]

_REMEMBERED: Final = 8
"""Latest boxes kept of each person: a direction is of the oldest that is still of `direction_seconds`."""
_MAY_BE_LATE: Final = 1.25
"""Frames come irregularly: what is a quarter older than `direction_seconds` is still of them."""


class Options(BoxTrackerOptions):
    """Options of `OcSort`. Scores and IoU are in 0..1."""

    direction_weight: Share = 0.2
    """How much heading the right way counts beside IoU (the paper's lambda, or inertia)."""
    direction_seconds: Seconds = 0.1
    """Over what time a heading is measured: 3 frames at 30 frames a second in the paper."""
    recover: bool = True
    """Look for the lost at their last observed boxes as well."""
    update_again: bool = True
    """Correct the filter along the gap when somebody is seen again."""


class OcSort(BoxTracker):
    """For people who dance, turn and stop: motion that is anything but uniform.

    Args:
        options: Thresholds and times.
    """

    options: Options

    def __init__(self, options: Options | None = None) -> None:
        """Know nobody yet."""
        super().__init__(options or Options())

    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
        super().reset()
        # Row i is what was observed of person i: the filter as it was after the latest box, and the latest boxes,
        # newest first, with their age in seconds.
        self._observed = BoxMotion()
        self._boxes = np.empty((0, _REMEMBERED, 4))
        self._age_seconds = np.empty((0, _REMEMBERED))

    def _predict(self, step_seconds: float, warp: Floats | None) -> None:
        super()._predict(step_seconds, warp)
        self._age_seconds = self._age_seconds + step_seconds
        if warp is not None:
            self._observed.warp(warp)
            self._boxes = warp_boxes(self._boxes, warp)

    def _match(self, sure: Instances) -> NDArray[np.int64]:
        options = self.options
        same_class = self._people.class_id[:, None] == sure.class_id
        overlap = iou(self._motion.xyxy, sure.xyxy) * same_class
        likeness = overlap + options.direction_weight * self._heading(sure) * sure.score
        owner = np.full(len(sure), -1)
        pairs, rows, columns = assign(
            np.where(overlap >= options.match_iou, -likeness, np.inf), 0.0, solver=options.solver
        )
        owner[pairs[:, 1]] = pairs[:, 0]
        if options.recover and len(rows) and len(columns):
            overlap = iou(self._boxes[rows, 0], sure.xyxy[columns]) * same_class[np.ix_(rows, columns)]
            pairs, _, _ = assign(1 - overlap, 1 - options.match_iou, solver=options.solver)
            owner[columns[pairs[:, 1]]] = rows[pairs[:, 0]]
        return owner

    def _heading(self, sure: Instances) -> Floats:
        """Tell how well each box lies ahead of each person, shape (people, boxes): 0.5 straight ahead, -0.5 behind."""
        before = self._earlier_boxes()
        heading = _direction(_centre(before), _centre(self._boxes[:, 0]))
        wanted = _direction(_centre(before)[:, None], _centre(sure.xyxy.astype(np.float64))[None])
        cosine = (heading[:, None] * wanted).sum(axis=2)
        # Somebody who does not move heads nowhere: cosine 0, a right angle, which counts as 0.
        return np.asarray(0.5 - np.arccos(np.clip(cosine, -1, 1)) / np.pi)

    def _earlier_boxes(self) -> Floats:
        """Give the oldest box that is not too old to tell a direction, else the latest; shape (n, 4)."""
        recent = self._age_seconds <= self.options.direction_seconds * _MAY_BE_LATE
        oldest = np.maximum(recent.sum(axis=1) - 1, 0)  # newest first, so the recent ones come first
        return np.asarray(self._boxes[np.arange(len(oldest)), oldest])

    def _correct(self, rows: NDArray[np.int64], xyxy: NDArray[np.float32]) -> None:
        missed = self._people.missed[rows] - 1
        back = np.flatnonzero(missed > 0)
        if self.options.update_again and len(back):
            self._update_again(rows[back], xyxy[back].astype(np.float64), missed[back])
        super()._correct(rows, xyxy)
        self._observed.put(rows, self._motion.copy(rows))
        self._boxes[rows, 1:], self._boxes[rows, 0] = self._boxes[rows, :-1], xyxy
        self._age_seconds[rows, 1:], self._age_seconds[rows, 0] = self._age_seconds[rows, :-1], 0.0

    def _update_again(self, rows: NDArray[np.int64], xyxy: Floats, missed: NDArray[np.int64]) -> None:
        """Run the filter over the gap once more, up to this frame, as if people had been seen moving straight."""
        motion, last = self._observed.copy(rows), self._boxes[rows, 0]
        steps = missed + 1
        step_seconds = self._age_seconds[rows, 0] / steps
        for step in range(1, int(missed.max()) + 1):
            here = np.flatnonzero(step <= missed)
            motion.predict(np.where(step <= missed, step_seconds, 0.0))
            share = (step / steps[here])[:, None]
            motion.update(here, last[here] + share * (xyxy - last)[here])
        motion.predict(step_seconds)
        self._motion.put(rows, motion)

    def _begin(self, xyxy: NDArray[np.float32]) -> None:
        super()._begin(xyxy)
        self._observed.initiate(xyxy)
        unknown_seconds = np.full((len(xyxy), _REMEMBERED - 1), np.inf)
        self._boxes = np.concatenate([self._boxes, np.repeat(xyxy[:, None].astype(np.float64), _REMEMBERED, axis=1)])
        self._age_seconds = np.concatenate([self._age_seconds, np.hstack([np.zeros((len(xyxy), 1)), unknown_seconds])])

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        super()._keep(rows)
        self._observed.keep(rows)
        self._boxes, self._age_seconds = self._boxes[rows], self._age_seconds[rows]


def _centre(xyxy: Floats) -> Floats:
    """Give the centres of boxes, shape (..., 2)."""
    return np.asarray((xyxy[..., :2] + xyxy[..., 2:]) / 2)


def _direction(start: Floats, end: Floats) -> Floats:
    """Give the unit vectors from one point to another, shape (..., 2); (0, 0) where both are one."""
    path = end - start
    length = np.sqrt((path**2).sum(axis=-1, keepdims=True))
    return np.asarray(path / np.where(length > 0, length, 1.0))
