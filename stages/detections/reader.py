"""Reads what a network gave for a batch, and says so when it is not what it should be."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import WeightsError
from stages.detections import boxes
from stages.detections.boxes import Wanted
from stages.detections.kinds import KINDS, KindName, cell_strides
from stages.detections.rows import suppress

__all__ = ["Reader"]

Array = NDArray[np.float32]

_READ: Final[dict[KindName, Callable[..., Array]]] = {
    "yolox": boxes.yolox,
    "dets": boxes.dets,
    "detr": boxes.detr,
    "rf-detr": boxes.detr,
    "scored": boxes.scored,
    "anchor-free": boxes.anchor_free,
}
_BOXES_AXIS: Final[dict[KindName, int]] = {"yolox": 1, "anchor-free": 2}
"""Where the boxes of a network are counted that gives one for each cell."""


class Reader:
    """Reads the outputs of one kind of network.

    Args:
        kind: Of the network.
        wanted: What is looked for, and in which picture.
        iou: Above this two boxes of one class are the same person, where the network needs suppression.
        max_people: Give no more rows a picture than that.
    """

    def __init__(self, kind: KindName, wanted: Wanted, iou: float, max_people: int) -> None:
        """Keep what to look for."""
        self._kind = kind
        self._wanted = wanted
        self._iou = iou
        self._max_people = max_people

    def read(self, outputs: Sequence[Array]) -> list[Array]:
        """Find people in a batch.

        Args:
            outputs: In the order of the kind's roles, each with n rows.

        Returns:
            n tables of rows (x1, y1, x2, y2, score, class), best score first, in pixels of the picture that the network
            saw. Where people are looked for, their class is 0.

        Raises:
            WeightsError: The outputs have other shapes than the kind's, or a class is not there.
        """
        if not self._fits(outputs):
            raise WeightsError(self._complaint(outputs))
        return [self._best(_READ[self._kind](*one, self._wanted)) for one in zip(*outputs, strict=True)]

    def _best(self, rows: Array) -> Array:
        if KINDS[self._kind].overlaps:
            rows = suppress(rows, self._iou, self._max_people)
        else:
            rows = rows[np.argsort(-rows[:, 4], kind="stable")][: self._max_people]
        if self._wanted.classes is None:
            rows[:, 5] = 0
        return rows

    def _fits(self, outputs: Sequence[Array]) -> bool:
        for role, output in zip(KINDS[self._kind].roles, outputs, strict=True):
            if output.ndim != role.rank or (role.columns is not None and output.shape[-1] != role.columns):
                return False
        if (axis := _BOXES_AXIS.get(self._kind)) is None:
            return True
        is_whole = cell_strides(self._wanted.width, self._wanted.height, outputs[0].shape[axis]) is not None
        return is_whole and outputs[0].shape[3 - axis] > {"yolox": 5, "anchor-free": 4}[self._kind]

    def _complaint(self, outputs: Sequence[Array]) -> str:
        got = ", ".join(str(output.shape) for output in outputs)
        size = f"{self._wanted.width}x{self._wanted.height}"
        return (
            f"for pictures of {size} the network gives {got}, but output: {self._kind} "
            f"means {KINDS[self._kind].expected}. Give another `output` or `image_size`, or export the network again"
        )
