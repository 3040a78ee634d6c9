"""Cuts people out of a picture, as re-identification networks were trained on them: the box, stretched to the input."""

import numpy as np
from numpy.typing import NDArray

from stages.geometry import Region, clip_boxes, crop, region_to_affine

__all__ = ["cut_out"]

_LEAST_PX = 1.0
"""Of a box within the picture, in both directions, to be looked at."""


def cut_out(
    image: NDArray[np.uint8], xyxy: NDArray[np.floating], width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw what of each box is in the picture, stretched to the size of a network's input.

    The aspect is not kept, and nothing is added around a box: so were the crops of the data sets made that these
    networks are trained on.

    Args:
        image: Shape (H, W, 3), uint8.
        xyxy: Shape (n, 4), pixels; boxes may reach out of the picture, or be empty.
        width: Of a crop, pixels.
        height: Of a crop, pixels.

    Returns:
        The crops, shape (m, height, width, 3), uint8, and the rows of their boxes, shape (m,), rising: all whose part
        in the picture is a pixel wide and high.
    """
    boxes = clip_boxes(xyxy, image.shape[1], image.shape[0])
    sides = boxes[:, 2:] - boxes[:, :2]
    rows = np.flatnonzero((sides >= _LEAST_PX).all(axis=1))
    crops = np.empty((len(rows), height, width, 3), np.uint8)
    for target, row in zip(crops, rows, strict=True):
        region = Region(*(boxes[row, :2] + sides[row] / 2).tolist(), *sides[row].tolist())
        target[:] = crop(image, region_to_affine(region, width, height), width, height)
    return crops, rows
