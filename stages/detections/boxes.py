"""From the outputs of each kind of network to rows, for one picture.

A row is (x1, y1, x2, y2, score, class), float32, in pixels of the picture that the network saw.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsError
from stages.detections.kinds import cell_strides
from stages.detections.rows import candidates

__all__ = ["Wanted", "anchor_free", "detr", "dets", "scored", "yolox"]

Array = NDArray[np.float32]

_COCO_IDS: Final = 91
"""Classes of a network that numbers them as the annotations of COCO do, with gaps: 0 is nothing, 1 is a person."""
_SOFTMAX_COLUMNS: Final = 92
"""Those of the first DETR (2020): the same, and "no object" as the last one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, and in which picture."""

    width: int
    """Of the picture that the network sees, pixels."""
    height: int
    """Of the picture that the network sees, pixels."""
    classes: tuple[int, ...] | None
    """As the network numbers them; None means people, whose number depends on the network."""
    confidence: float
    """What a row's score must exceed."""

    def among(self, count: int) -> list[int]:
        """Give the classes to look for in a network that has `count` of them.

        Raises:
            WeightsError: It has no such class.
        """
        if self.classes is None:
            return [1 if count == _COCO_IDS else 0]
        if max(self.classes) >= count:
            msg = f"the network has the classes 0 to {count - 1}, got classes {list(self.classes)}: name some of those"
            raise WeightsError(msg)
        return list(self.classes)

    def chosen(self, corners: Array, score: Array, label: Array) -> Array:
        """Make rows of boxes (n, 4), scores (n,) and classes (n,), and leave out what is not looked for."""
        rows = np.column_stack([corners, score, label]).astype(np.float32, copy=False)
        return rows[(score > self.confidence) & np.isin(label, self.classes or (0,))]


def yolox(output: Array, wanted: Wanted) -> Array:
    """Read (boxes, 5 + classes): centre, size, score of there being anything, score of each class.

    Where the export left it out, centre and size are decoded: offset within the cell in cells, and the logarithm of the
    size in cells (YOLOX, arXiv 2107.08430, section 2.1, and its demo).
    """
    count = output.shape[1] - 5
    likely = output[:, 4] * output[:, np.add(wanted.among(count), 5)].max(axis=1) > wanted.confidence
    picked = output[likely].astype(np.float32)
    if not _is_decoded(output, wanted.width):
        cells = _cells(wanted.width, wanted.height, len(output))[likely]
        picked[:, :2] = (picked[:, :2] + cells[:, :2]) * cells[:, 2:]
        picked[:, 2:4] = np.exp(picked[:, 2:4]) * cells[:, 2:]
    columns = np.concatenate([picked[:, :4], picked[:, 5:] * picked[:, 4:5]], axis=1)
    return candidates(columns.T, count, wanted.among(count), wanted.confidence)


def _is_decoded(output: Array, width: int) -> bool:
    """Tell pixels from cells: on average, a centre is in the middle of the picture, or in that of its cell."""
    return float(output[:, 0].mean()) > width / 8


@lru_cache(maxsize=8)
def _cells(width: int, height: int, boxes: int) -> Array:
    """Give column and row (in cells) and side (pixels) of each cell, shape (boxes, 3)."""
    grids = []
    for stride in cell_strides(width, height, boxes) or ():
        row, column = np.mgrid[: height // stride, : width // stride]
        grids.append(np.stack([column.ravel(), row.ravel(), np.full(row.size, stride)], axis=1))
    return np.concatenate(grids).astype(np.float32)


def anchor_free(output: Array, wanted: Wanted) -> Array:
    """Read (4 + classes, boxes): centre, size, score of each class."""
    count = len(output) - 4
    return candidates(output, count, wanted.among(count), wanted.confidence)


def dets(found: Array, labels: Array, wanted: Wanted) -> Array:
    """Read (boxes, 5) and (boxes,): corners and score; class."""
    return wanted.chosen(found[:, :4], found[:, 4], labels)


def scored(boxes: Array, labels: Array, scores: Array, wanted: Wanted) -> Array:
    """Read (queries, 4), (queries,) and (queries,): corners; class; score."""
    return wanted.chosen(boxes, scores, labels)


def detr(boxes: Array, logits: Array, wanted: Wanted) -> Array:
    """Read (queries, 4) and (queries, classes): centre and size as parts of the picture; logit of each class.

    Each class has a score of its own (a sigmoid), so a query that is rather a dog may be a person too.

    Raises:
        WeightsError: The scores are a softmax.
    """
    count = logits.shape[1]
    if count == _SOFTMAX_COLUMNS:
        msg = (
            f"the network gives {count} logits a query, as the first DETR (2020), whose scores are a softmax; expected "
            "a network whose scores are a sigmoid for each class: RT-DETR, D-FINE, RF-DETR, Deformable DETR"
        )
        raise WeightsError(msg)
    classes = np.array(wanted.among(count))
    best = logits[:, classes].argmax(axis=1)
    logit = logits[np.arange(len(logits)), classes[best]]
    score = np.exp(-np.logaddexp(np.float32(0), -logit))  # the sigmoid, without overflow
    likely = score > wanted.confidence
    centre, half = boxes[likely, :2], boxes[likely, 2:] / 2
    corners = np.concatenate([centre - half, centre + half], axis=1) * ([wanted.width, wanted.height] * 2)
    return np.column_stack([corners, score[likely], classes[best][likely]]).astype(np.float32)
