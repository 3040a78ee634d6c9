"""Reads the output of the landmark network: joints, how sure they are, and where to look next."""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.blazepose.candidates import body_region
from stages.blazepose.network import Interface
from stages.geometry import Affine, Region, areas, clip_boxes, intersections, transform_points

__all__ = ["INTERFACE", "Poses", "decode", "distinct"]

INTERFACE: Final = Interface(side=256, value_range=(0.0, 1.0), outputs=((1, 195), (1, 1), (1, 64, 64, 39)))
"""39 points of (x, y, z, visibility, presence); whether there is a person at all; a heatmap a point. The segmentation
and the points in metres are not asked for."""

_POINTS: Final = 39
_BODY: Final = 33
"""The first 33 points are on the body; 33 is the middle of the hips and 34 lies on the circle about the body."""
_HEAD: Final = 11
"""The first 11 points are on the head."""
_HEAD_RADIUS: Final = 0.15
"""Of a head, in radii of the circle about the body. On photographs and street scenes, heads of two people were never
closer than 0.25 of the larger radius; heads of one body seen twice were at 0.08 and 0.13."""
_COCO: Final = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
"""Which point is which joint of COCO."""
_CROWN: Final = 0.6
"""Top of the head beyond the ears, in distances from shoulders to ears."""
_MARGIN: Final = 0.08
"""Flesh and clothes around the points, in radii of the circle about the body. With it and the crown, boxes agree best
with those of annotators and detectors: mean IoU 0.82 on COCO, 0.68 without."""
_WINDOW: Final = np.arange(-3, 4)
"""Cells of a heatmap about the regressed point that count."""
_INSIDE: Final = 0.8
"""Share of the smaller of two boxes that lies in the other when both are of one person."""


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """What the landmark network says of n regions, one a row."""

    points: NDArray[np.float64]
    """(x, y) in pixels of the picture, shape (n, 39, 2)."""
    point_score: NDArray[np.float32]
    """That the point is in the region and can be seen, 0..1, shape (n, 39)."""
    score: NDArray[np.float32]
    """That there is a person, 0..1, shape (n,)."""

    @classmethod
    def concatenate(cls, poses: "list[Poses]") -> Self:
        """Put tables one below the other; none gives an empty one."""
        none = np.zeros((0, _POINTS, 2)), np.zeros((0, _POINTS), np.float32), np.zeros(0, np.float32)
        columns = zip(none, *((table.points, table.point_score, table.score) for table in poses), strict=True)
        return cls(*(np.concatenate(column) for column in columns))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.score)

    def __getitem__(self, rows: slice | NDArray[Any]) -> "Poses":
        """Select rows by mask, indices or slice."""
        return Poses(self.points[rows], self.point_score[rows], self.score[rows])

    def regions(self) -> list[Region]:
        """Say where each of them is to be looked for next."""
        return [body_region(points[_BODY], points[_BODY + 1]) for points in self.points]

    def boxes(self, width: float, height: float) -> NDArray[np.float64]:
        """Make boxes around the bodies, clipped to the picture: shape (n, 4), xyxy, pixels."""
        body = self.points[:, :_BODY]
        ears, shoulders = body[:, 7:9].mean(axis=1, keepdims=True), body[:, 11:13].mean(axis=1, keepdims=True)
        crown = ears + _CROWN * (ears - shoulders)  # the points end at the eyes; a head does not
        margin = _MARGIN * self._radius()
        outline = np.concatenate([body, crown], axis=1)
        low, high = outline.min(axis=1) - margin, outline.max(axis=1) + margin
        return clip_boxes(np.concatenate([low, high], axis=1), width, height)

    def likeness(self, other: "Poses") -> NDArray[np.float64]:
        """Compare the joints with those of other poses, row by row: shape (n,), 1 where equal, 0 where far apart.

        It is the object keypoint similarity of COCO, with the square of the body's radius for its area.
        """
        tolerance = 2 * np.array(COCO_17.sigmas) * self._radius()
        squared = np.square(self.keypoints() - other.keypoints()).sum(axis=2)
        return np.asarray(np.exp(-squared / (2 * tolerance**2)).mean(axis=1))

    def one_head(self) -> NDArray[np.bool_]:
        """Say which of them have their heads at one place: shape (n, n)."""
        heads, radius = self.points[:, :_HEAD].mean(axis=1), self._radius()
        distance = np.linalg.norm(heads[:, None] - heads, axis=2)
        return np.asarray(distance < _HEAD_RADIUS * np.maximum(radius, radius.T))

    def _radius(self) -> NDArray[np.float64]:
        """Radius of the circle about each body, shape (n, 1), pixels; at least 1."""
        rim = self.points[:, _BODY + 1] - self.points[:, _BODY]
        return np.asarray(np.linalg.norm(rim, axis=1, keepdims=True)).clip(1.0)

    def keypoints(self) -> NDArray[np.float64]:
        """Give the joints of COCO: shape (n, 17, 2), (x, y), pixels."""
        return self.points[:, _COCO]

    def keypoint_score(self) -> NDArray[np.float32]:
        """Give the joints' confidence in 0..1, shape (n, 17): person there, joint in the region, and to be seen."""
        return self.point_score[:, _COCO] * self.score[:, None]

    def to_instances(self, width: float, height: float) -> Instances:
        """Make the table of a frame; the score of a row is that of the person."""
        return Instances.of(
            self.boxes(width, height),
            self.score,
            keypoints=self.keypoints(),
            keypoint_score=self.keypoint_score(),
            skeleton=COCO_17,
        )


def decode(
    landmarks: NDArray[np.float32], flag: NDArray[np.float32], heatmaps: NDArray[np.float32], to_picture: Affine
) -> Poses:
    """Make one row.

    Args:
        landmarks: Shape (195,).
        flag: Shape (1,): that there is a person, 0..1.
        heatmaps: Shape (64, 64, 39), logits.
        to_picture: From the input of the network to the picture.
    """
    table = landmarks.reshape(_POINTS, 5)
    visible, present = expit(table[:, 3:].T)
    points = transform_points(_refined(table[:, :2], heatmaps), to_picture)
    return Poses(points[None], (visible * present)[None], flag)


def _refined(points: NDArray[np.float32], heatmaps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move each point to the centre of mass of its heatmap around it, if the heatmap is sure.

    The regressed points are robust, the heatmaps are exact: OKS on COCO rises by 0.03.
    """
    rows, columns, count = heatmaps.shape
    x, y = (points.T * (columns / INTERFACE.side)).astype(np.int64)
    x, y = x[:, None, None] + _WINDOW, y[:, None, None] + _WINDOW[:, None]
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    logits = heatmaps[y.clip(0, rows - 1), x.clip(0, columns - 1), np.arange(count)[:, None, None]]
    weight = expit(logits) * inside
    sure = weight.max(axis=(1, 2)) > 0.5
    total = np.where(sure, weight.sum(axis=(1, 2)), 1.0)
    centre = np.stack([(weight * x).sum(axis=(1, 2)), (weight * y).sum(axis=(1, 2))], axis=1) / total[:, None]
    return np.where(sure[:, None], centre * (INTERFACE.side / columns), points)


def distinct(boxes: NDArray[np.float64], one_head: NDArray[np.bool_], overlap: float) -> NDArray[np.int64]:
    """Choose one pose a person: walking down the rows, leave out whoever covers somebody chosen before.

    Two poses are of one person when their boxes share more than `overlap` of their union, when nearly all of the
    smaller one lies in the other (the network likes to see a second, smaller body in a person's upper half), or when
    they have one head between them (it also likes to follow an outstretched arm to somebody else's body).

    Args:
        boxes: Theirs, shape (n, 4), xyxy; most trusted first.
        one_head: Whether their heads are at one place, shape (n, n).
        overlap: IoU, 0..1.

    Returns:
        The rows to keep, ascending.
    """
    area = areas(boxes)
    shared = intersections(boxes, boxes)
    union = area[:, None] + area[None, :] - shared
    smaller = np.minimum(area[:, None], area[None, :])
    same = one_head | (shared > overlap * union) | (shared > _INSIDE * smaller)
    chosen: list[int] = []
    for row in np.flatnonzero(area > 0):
        if not same[row, chosen].any():
            chosen.append(int(row))
    return np.array(chosen, np.int64)
