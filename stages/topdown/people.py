"""From tables of boxes to joints, row by row, whatever the boxes are."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Frame, Instances
from stages.topdown.paths import Joints, LookPath
from stages.topdown.regions import regions_of_boxes

__all__ = ["Seen", "look_at", "touching"]

_FARTHEST: Final = float(np.finfo(np.float32).max)


class Seen(NamedTuple):
    """What was found in m boxes of one frame, fit for a table."""

    points: NDArray[np.float32]
    """(x, y) in pixels of the frame, finite, shape (m, k, 2)."""
    score: NDArray[np.float32]
    """In 0..1, shape (m, k)."""
    heatmaps: NDArray[np.float32] | None
    """Where they were asked for: shape (m, k, h, w)."""


def look_at(
    path: LookPath[Any],
    frames: Sequence[Frame],
    tables: Sequence[Instances],
    looked: Sequence[NDArray[np.bool_]],
    padding: float,
    *,
    keep_heatmaps: bool = False,
) -> list[Seen]:
    """Find the joints of people, of all frames together.

    A box that has no area inside its picture is not looked at: its joints lie at its centre, with score 0. So does a
    joint that the network gave no number for.

    Args:
        path: How to look.
        frames: Of any sources and sizes.
        tables: The boxes of each frame.
        looked: Which rows of each table to look at, shape (n,).
        padding: Factor on both sides of a box.
        keep_heatmaps: Give the heat maps too.

    Returns:
        For each frame, what was found in its m rows to look at.
    """
    boxes = [table.xyxy[rows] for table, rows in zip(tables, looked, strict=True)]
    inside = [touching(rows, frame.width, frame.height) for frame, rows in zip(frames, boxes, strict=True)]
    aspect = path.width / path.height
    regions = [regions_of_boxes(rows[mask], aspect, padding) for rows, mask in zip(boxes, inside, strict=True)]
    joints = path.look([frame.pixels for frame in frames], regions, keep_heatmaps=keep_heatmaps)
    ends = np.cumsum([np.count_nonzero(mask) for mask in inside])
    return [
        _complete(rows, mask, _part(joints, end - np.count_nonzero(mask), end))
        for rows, mask, end in zip(boxes, inside, ends, strict=True)
    ]


def touching(xyxy: NDArray[np.float32], width: int, height: int) -> NDArray[np.bool_]:
    """Tell which boxes, shape (n, 4), have an area inside a picture: shape (n,)."""
    low, high = np.maximum(xyxy[:, :2], 0), np.minimum(xyxy[:, 2:], [width, height])
    return np.asarray((low < high).all(axis=1))


def _part(joints: Joints, start: int, end: int) -> Joints:
    """Give some rows."""
    heatmaps = None if joints.heatmaps is None else joints.heatmaps[start:end]
    return Joints(joints.points[start:end], joints.score[start:end], heatmaps)


def _complete(boxes: NDArray[np.float32], inside: NDArray[np.bool_], joints: Joints) -> Seen:
    """Fill in the rows that were not looked at, and what is no number."""
    k = joints.score.shape[1]
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    points = np.repeat(corners.mean(axis=1)[:, None], k, axis=1)
    points[inside] = np.where(np.isfinite(joints.score)[..., None], joints.points, points[inside])
    score = np.zeros((len(boxes), k), np.float32)
    score[inside] = np.clip(np.where(np.isfinite(joints.score), joints.score, 0), 0, 1)
    heatmaps = None
    if joints.heatmaps is not None:
        heatmaps = np.zeros((len(boxes), *joints.heatmaps.shape[1:]), np.float32)
        heatmaps[inside] = joints.heatmaps
    return Seen(np.clip(points, -_FARTHEST, _FARTHEST).astype(np.float32), score, heatmaps)
