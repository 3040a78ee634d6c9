"""From the raw output of a network to rows of found people.

A row is (x1, y1, x2, y2, score, class, then whatever the network says of each box: x, y, score of each joint).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.detections.letterbox import Letterbox

__all__ = ["candidates", "finished", "suppress", "table"]

Rows = NDArray[np.float32]


def candidates(output: NDArray[np.floating], class_count: int, classes: Sequence[int], confidence: float) -> Rows:
    """Pick what scores high enough out of the output of an anchor-free head.

    Args:
        output: Shape (4 + class_count + extra, boxes): centre x, centre y, width, height, a score for each class,
            and extra values.
        class_count: How many classes the network knows.
        classes: Those to look for.
        confidence: A row's best score is above this.

    Returns:
        Shape (n, 6 + extra), in the order of the boxes; overlapping boxes are still in it.
    """
    hopeful = np.flatnonzero(output[np.add(classes, 4)].max(axis=0) > confidence)
    picked = output[:, hopeful].T.astype(np.float32, copy=False)
    best = picked[:, 4 : 4 + class_count].argmax(axis=1)
    wanted = np.isin(best, classes)
    picked, best = picked[wanted], best[wanted]
    centre, half = picked[:, :2], picked[:, 2:4] / 2
    score = picked[np.arange(len(best)), 4 + best]
    return np.column_stack([centre - half, centre + half, score, best.astype(np.float32), picked[:, 4 + class_count :]])


def finished(output: NDArray[np.floating], classes: Sequence[int], confidence: float) -> Rows:
    """Pick what scores high enough out of the output of a network that needs no suppression, best score first.

    Args:
        output: Shape (boxes, 6 + extra): rows already.
        classes: Those to look for.
        confidence: A row's score is above this.
    """
    rows = output[(output[:, 4] > confidence) & np.isin(output[:, 5], classes)].astype(np.float32)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def suppress(rows: Rows, iou: float, at_most: int) -> Rows:
    """Keep the best of the boxes that overlap (greedy non-maximum suppression), best score first.

    Args:
        rows: Shape (n, 6 + extra).
        iou: Drop a box whose intersection over union with a better one of the same class is above this.
        at_most: Keep no more than so many rows.
    """
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    x1, y1, x2, y2 = rows[:, :4].T
    area = (x2 - x1) * (y2 - y1)
    waiting = np.arange(len(rows))
    kept: list[int] = []
    while len(waiting) and len(kept) < at_most:
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[waiting]) - np.maximum(x1[best], x1[waiting])
        height = np.minimum(y2[best], y2[waiting]) - np.maximum(y1[best], y1[waiting])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        union = area[best] + area[waiting] - shared
        # Multiplied out, so that two boxes without area are no division by zero: they do not overlap.
        overlaps = (shared > np.float32(iou) * union) & (rows[waiting, 5] == rows[best, 5])
        waiting = waiting[~overlaps]
    return rows[kept]


def table(rows: Rows, skeleton: Skeleton | None, letterbox: Letterbox | None = None) -> Instances:
    """Make the table of a frame.

    Args:
        rows: Shape (n, 6 + extra); extra is (x, y) or (x, y, score) of each joint where there is a skeleton. A joint
            without a score of its own gets that of its row.
        skeleton: The joints in the rows.
        letterbox: Where the rows are in pixels of the canvas: how the frame lies in it.
    """
    place = letterbox.to_frame if letterbox else np.asarray
    boxes = place(rows[:, :4].reshape(-1, 2, 2)).reshape(-1, 4)
    if skeleton is None:
        return Instances.of(boxes, rows[:, 4], class_id=rows[:, 5])
    joints = rows[:, 6:].reshape(len(rows), len(skeleton), (rows.shape[1] - 6) // len(skeleton))
    with_score = joints.shape[2] == 3
    return Instances.of(
        boxes,
        rows[:, 4],
        class_id=rows[:, 5],
        keypoints=place(joints[..., :2]),
        keypoint_score=joints[..., 2] if with_score else np.repeat(rows[:, 4:5], len(skeleton), axis=1),
        skeleton=skeleton,
    )
