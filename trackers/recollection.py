"""What is remembered of people: how they move, how well that was foreseen, their poses and their looks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances
from trackers.camera_motion import scale_of
from trackers.kalman import BoxMotion
from trackers.looks import Looks
from trackers.pose_motion import PoseMotion

__all__ = ["Recollection"]

Floats = NDArray[np.float64]

_SWERVE: Final = 0.3
"""Of velocities, as a multiple of the papers' noise: what looks like a swerve is mostly a box that was cut off."""
_STEP_SECONDS: Final = 0.15
"""How long a box goes on becoming wide or narrow: a quarter of a step of somebody who walks."""
_ERROR_SECONDS: Final = 0.5
"""Over what time the errors of predictions are averaged."""


class Recollection:
    """Rows are the caller's to order; new ones come last. Poses and looks are kept from when they first come."""

    def __init__(self) -> None:
        """Remember nobody."""
        self.motion = BoxMotion(_SWERVE, _STEP_SECONDS)
        self.best_score = np.empty(0)
        """The score of each person's surest box, shape (n,)."""
        self.error_px = np.empty((0, 2))
        """By how much predictions have missed of late, in x and y, shape (n, 2)."""
        self._poses: PoseMotion | None = None
        self._looks: Looks | None = None

    def __len__(self) -> int:
        """Count the people."""
        return len(self.motion)

    def advance(self, step_seconds: float, warp: Floats | None, lost: NDArray[np.bool_]) -> None:
        """Move everybody on, and along with the camera; the lost keep their size."""
        if warp is not None:
            self.motion.warp(warp)
            self.error_px = self.error_px * scale_of(warp)
        self.motion.hold_size(lost)
        if self._poses is not None:
            if warp is not None:
                self._poses.warp(warp)
            self._poses.predict(step_seconds, self.motion.velocity[:, :2])
        self.motion.predict(step_seconds)

    def pose_fit(
        self, rows: NDArray[np.int64], seen: Instances, columns: NDArray[np.int64], near: NDArray[np.bool_]
    ) -> Floats | float:
        """Tell how well some poses fit to some people, where they are near: see `PoseMotion.fit`. 0 for others."""
        if self._poses is None or seen.keypoints is None or seen.keypoint_score is None:
            return 0.0
        fit, (i, j) = np.zeros(near.shape), np.nonzero(near)
        area = self.motion.area[rows[i]]
        fit[i, j] = self._poses.fit(rows[i], area, seen.keypoints[columns[j]], seen.keypoint_score[columns[j]])
        return fit

    def look_fit(self, rows: NDArray[np.int64], seen: Instances, columns: NDArray[np.int64]) -> Floats | float:
        """Tell how alike the looks of some people are to some seen: shape (rows, columns), 0..1. 0 without looks."""
        if self._looks is None or seen.embedding is None:
            return 0.0
        return self._looks.fit(rows, seen.embedding[columns])

    def prepare(self, seen: Instances) -> None:
        """Begin to keep what comes for the first time, and begin anew where it is of another kind."""
        if seen.skeleton is not None and (self._poses is None or self._poses.joints != len(seen.skeleton)):
            self._poses = PoseMotion(seen.skeleton.sigmas, len(self))
        if seen.embedding is not None and len(seen):
            length = seen.embedding.shape[1]
            if self._looks is None or self._looks.length != length:
                self._looks = Looks(length, len(self))

    def update(
        self, rows: NDArray[np.int64], seen: Instances, boxes: NDArray[np.int64], doubt: Floats, age_seconds: Floats
    ) -> None:
        """Correct people by what was seen of them.

        Args:
            rows: Of whom, shape (m,).
            seen: The frame's boxes, and what else there is.
            boxes: Which of `seen` each one's is, shape (m,).
            doubt: Of each box, shape (m,), see `BoxMotion.update`.
            age_seconds: Time since the person was seen before, shape (m,).
        """
        known, found = self.motion.xyxy[rows], seen.xyxy[boxes].astype(np.float64)
        missed_px = np.abs(known[:, :2] + known[:, 2:] - found[:, :2] - found[:, 2:]) / 2
        share = 1 - np.exp(-age_seconds / _ERROR_SECONDS)[:, None]
        self.error_px[rows] += share * (missed_px - self.error_px[rows])
        self.best_score[rows] = np.maximum(self.best_score[rows], seen.score[boxes])
        self.motion.update(rows, found, doubt)
        if self._poses is not None and seen.keypoints is not None and seen.keypoint_score is not None:
            self._poses.update(rows, seen.keypoints[boxes], seen.keypoint_score[boxes])
        if self._looks is not None and seen.embedding is not None:
            self._looks.update(rows, seen.embedding[boxes], seen.score[boxes])

    def begin(self, seen: Instances, boxes: NDArray[np.int64]) -> None:
        """Add people: some of those seen."""
        n = len(boxes)
        self.motion.initiate(seen.xyxy[boxes])
        self.best_score = np.concatenate([self.best_score, seen.score[boxes]])
        self.error_px = np.concatenate([self.error_px, np.zeros((n, 2))])
        if self._poses is not None:
            k = self._poses.joints
            joints = np.zeros((n, k, 2)) if seen.keypoints is None else seen.keypoints[boxes]
            self._poses.append(joints, np.zeros((n, k)) if seen.keypoint_score is None else seen.keypoint_score[boxes])
        if self._looks is not None:
            blank = np.zeros((n, self._looks.length))
            self._looks.append(blank if seen.embedding is None else seen.embedding[boxes])

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all people but `rows`."""
        self.motion.keep(rows)
        self.best_score, self.error_px = self.best_score[rows], self.error_px[rows]
        if self._poses is not None:
            self._poses.keep(rows)
        if self._looks is not None:
            self._looks.keep(rows)
