"""Likeness of boxes and poses to where people were last seen, and nothing else: no motion, a short memory.

    likeness = pose_alpha * OKS + (1 - pose_alpha) * IoU

This is how simple-HRNet associates people, under its names and constants, mended:

- OKS weighs joints by their scores, so a joint that nobody saw says nothing; where two poses have no joint in common,
  IoU alone counts;
- a pair that is not alike enough takes no partner from another pair;
- who was missed for a moment is still known; ids have no gaps, and a false alarm of one frame spends none;
- boxes and joints that come back are the detector's. Smoothing, which makes fast people lag behind, is there for those
  who ask for it.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from trackers.assignment import Solver, assign, iou, oks
from trackers.base import Tracker
from trackers.camera_motion import CameraMotion, wants_warp, warp_boxes, warp_points
from trackers.roster import Roster, Seconds, Share

__all__ = ["Options", "Similarity"]

Floats = NDArray[np.float64]

_IN_COMMON: Final = 0.01
"""Two poses have a joint in common if the product of its scores is more: both are sure of it by 0.1 at least."""


class Options(plugin.Options):
    """Options of `Similarity`. Scores, weights and likeness are in 0..1."""

    pose_alpha: Share = 0.2
    """How much OKS counts beside IoU; without joints, IoU alone counts."""
    similarity_threshold: Share = 0.4
    """A row and a person belong together only above this likeness."""
    smoothing_alpha: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the frame before in the boxes and joints that are returned; simple-HRNet has 0.1. With 0, they are the
    detector's. What is matched is never smoothed."""
    min_score: Share = 0.0
    """Rows with less are ignored."""
    patience_seconds: Seconds = 0.5
    """A person unseen for longer is forgotten, and is somebody new afterwards. Must be more than the time between two
    frames. There is no motion here: who walks on while hidden is soon not where he was."""
    confirm_seconds: Seconds = 0.02
    """A newcomer gets an id when seen without a gap for so long; 0: at once. People of the first frame of all get
    theirs at once. The default is short of a frame, so the second sight confirms."""
    camera_motion: CameraMotion = "none"
    """How a moving camera is made up for: `none`, `flow` (found in the pictures), or a file of warps."""
    solver: Solver = "scipy"
    """Who solves the assignment: `scipy`, or the slow reference `munkres`."""


@dataclass(frozen=True, eq=False)
class _Figures:
    """Boxes and joints of n people."""

    xyxy: Floats
    joints: Floats
    """Shape (n, k, 2); k is 0 without a skeleton."""
    weight: Floats
    """Shape (n, k)."""

    @classmethod
    def of(cls, instances: Instances) -> Self:
        """Take what is compared out of a table."""
        joints, weight = instances.keypoints, instances.keypoint_score
        if joints is None or weight is None:
            joints, weight = np.empty((len(instances), 0, 2), np.float32), np.empty((len(instances), 0), np.float32)
        return cls(instances.xyxy.astype(np.float64), joints.astype(np.float64), weight.astype(np.float64))

    def __getitem__(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Self:
        return type(self)(self.xyxy[rows], self.joints[rows], self.weight[rows])

    def joined(self, others: Self) -> Self:
        """Append others."""
        return type(self)(
            np.concatenate([self.xyxy, others.xyxy]),
            np.concatenate([self.joints, others.joints]),
            np.concatenate([self.weight, others.weight]),
        )

    def put(self, rows: NDArray[np.integer], others: Self) -> None:
        """Overwrite some people by others."""
        self.xyxy[rows], self.joints[rows], self.weight[rows] = others.xyxy, others.joints, others.weight

    def with_joints(self, k: int) -> Self:
        """Forget the joints if they are of another skeleton than the one that comes."""
        n, known = self.weight.shape
        return self if known == k else replace(self, joints=np.zeros((n, k, 2)), weight=np.zeros((n, k)))

    def warped(self, warp: Floats) -> Self:
        """Move along with the picture."""
        return replace(self, xyxy=warp_boxes(self.xyxy, warp), joints=warp_points(self.joints, warp))

    def mixed(self, others: Self, share: Floats) -> Self:
        """Move some way towards others, shape (n,), who have their joints wherever they have any weight."""
        sure = share[:, None] * (others.weight > 0)
        return replace(
            self,
            xyxy=self.xyxy + share[:, None] * (others.xyxy - self.xyxy),
            joints=self.joints + sure[..., None] * (others.joints - self.joints),
        )


class Similarity(Tracker):
    """For people who move little from frame to frame and are seldom hidden; uses joints where there are any.

    People of different classes are never the same.

    Args:
        options: Weights, thresholds and times.
    """

    def __init__(self, options: Options | None = None) -> None:
        """Know nobody yet."""
        self.options = options or Options()
        self.wants = wants_warp(self.options.camera_motion)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
        self._people = Roster()
        # Row i is person i: as last seen, and as last returned.
        self._seen = self._shown = _Figures.of(Instances.empty())

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002 - boxes and joints are enough for this algorithm
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        """Take the people of the next frame and say who is who: see `Tracker.update`.

        Raises:
            ValueError: The time is not finite.
        """
        people, now = self._people, _Figures.of(instances)
        people.advance(pts_seconds)
        self._keep(people.unseen_seconds <= self.options.patience_seconds)
        self._prepare(now.joints.shape[1], warp)
        owner = np.full(len(instances), -1)
        wanted = np.flatnonzero(instances.score >= self.options.min_score)
        owner[wanted] = self._match(now[wanted], instances.class_id[wanted], instances.skeleton)
        shown = self._correct(owner, now)
        new = wanted[owner[wanted] < 0]
        owner[new] = people.begin(instances.class_id[new])
        self._seen, self._shown = self._seen.joined(now[new]), self._shown.joined(now[new])
        people.confirm(owner[owner >= 0], self.options.confirm_seconds)
        return _smoothed(instances, shown if self.options.smoothing_alpha else None, people.ids(owner))

    def _prepare(self, k: int, warp: Floats | None) -> None:
        """Bring what is remembered into this frame."""
        self._seen, self._shown = self._seen.with_joints(k), self._shown.with_joints(k)
        if warp is not None:
            self._seen, self._shown = self._seen.warped(warp), self._shown.warped(warp)

    def _match(self, now: _Figures, class_id: NDArray[np.int32], skeleton: Skeleton | None) -> NDArray[np.int64]:
        """Find the row of each person who is seen, shape (n,); -1 where there is none."""
        likeness = iou(self._seen.xyxy, now.xyxy)
        if skeleton is not None and self.options.pose_alpha:
            likeness = self._with_poses(likeness, now, skeleton)
        likeness *= self._people.class_id[:, None] == class_id
        pairs, _, _ = assign(1 - likeness, 1 - self.options.similarity_threshold, solver=self.options.solver)
        owner = np.full(len(now.xyxy), -1)
        owner[pairs[:, 1]] = pairs[:, 0]
        return owner

    def _with_poses(self, overlap: Floats, now: _Figures, skeleton: Skeleton) -> Floats:
        """Add how alike the poses are, where two have a joint in common; shape (people, rows)."""
        area = (_area(self._seen.xyxy)[:, None] + _area(now.xyxy)) / 2
        alike = oks(
            self._seen.joints,
            now.joints,
            weight_a=self._seen.weight,
            weight_b=now.weight,
            area=area,
            sigmas=np.asarray(skeleton.sigmas),
        )
        common = (self._seen.weight[:, None] * now.weight).max(axis=2, initial=0.0) > _IN_COMMON
        alpha = self.options.pose_alpha * common
        return np.asarray(alpha * alike + (1 - alpha) * overlap)

    def _correct(self, owner: NDArray[np.int64], now: _Figures) -> _Figures:
        """Note where people were seen; give what is to be returned, smoothed for those of the frame before."""
        seen = np.flatnonzero(owner >= 0)
        rows = owner[seen]
        alpha = np.where(self._people.missed[rows] == 1, self.options.smoothing_alpha, 0.0)
        shown = now[np.arange(len(owner))]
        shown.put(seen, now[seen].mixed(self._shown[rows], alpha))
        self._seen.put(rows, now[seen])
        self._shown.put(rows, shown[seen])
        self._people.see(rows)
        return shown

    def _keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all but these."""
        self._people.keep(rows)
        self._seen, self._shown = self._seen[rows], self._shown[rows]


def _smoothed(instances: Instances, shown: _Figures | None, track_id: NDArray[np.int64]) -> Instances:
    """Set the ids, and what was smoothed."""
    columns: dict[str, NDArray[np.generic]] = {"track_id": track_id}
    if shown is not None:
        columns["xyxy"] = shown.xyxy
        if instances.keypoints is not None:
            columns["keypoints"] = shown.joints
    return instances.with_columns(**columns)


def _area(xyxy: Floats) -> Floats:
    """Area of boxes, shape (n,), px^2."""
    return np.asarray(np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0.0).prod(axis=1))
