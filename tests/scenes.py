"""Made-up scenes for trackers: people of 40 x 100 px, and the ids they get."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from trackers.base import Tracker

FRAME = 1 / 30
Scene = Iterable[tuple[float, Instances]]


def people(*centres: tuple[float, float], score: ArrayLike = 0.9, class_id: ArrayLike = 0) -> Instances:
    """People without joints."""
    xy = np.array(centres, dtype=np.float64).reshape(-1, 2)
    n, half = len(xy), np.array([20, 50])
    return Instances.of(
        np.hstack([xy - half, xy + half]), np.broadcast_to(score, n), class_id=np.broadcast_to(class_id, n)
    )


NOBODY = people()


def posed(
    *centres: tuple[float, float], joints: NDArray[np.float64] | None = None, joint_score: ArrayLike = 0.9
) -> Instances:
    """People with the joints of COCO: `joints` relative to the centre of the box, (n, 17, 2), or all of them there."""
    table, xy = people(*centres), np.array(centres, dtype=np.float64).reshape(-1, 2)
    offsets = np.zeros((len(xy), 17, 2)) if joints is None else joints
    return Instances.of(
        table.xyxy,
        table.score,
        keypoints=xy[:, None] + offsets,
        keypoint_score=np.broadcast_to(joint_score, (len(xy), 17)),
        skeleton=COCO_17,
    )


def every(seconds: float, n: int) -> list[float]:
    """Times of n frames."""
    return [i * seconds for i in range(n)]


def walk(times: Sequence[float], *, speed: float = 80.0, start: float = 100.0) -> list[tuple[float, Instances]]:
    """One person who walks to the right at `speed` px/s."""
    return [(t, people((start + speed * (t - times[0]), 300))) for t in times]


def ids_of(tracker: Tracker, scene: Scene) -> list[list[int]]:
    """The ids of each frame, in the order of its rows."""
    ids = []
    for pts_seconds, table in scene:
        track_id = tracker.update(table, pts_seconds).track_id
        assert track_id is not None
        ids.append(track_id.tolist())
    return ids
