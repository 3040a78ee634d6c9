"""Cuts people out of pictures, as the network wants to see them."""

from collections.abc import Sequence
from concurrent.futures import Executor

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["cut"]


def cut(
    images: Sequence[NDArray[np.uint8]],
    affines: Sequence[NDArray[np.float64]],
    width: int,
    height: int,
    threads: Executor | None = None,
) -> NDArray[np.uint8]:
    """Draw what each affine maps into the input of the network; bilinear, black outside the picture.

    Args:
        images: Pictures of any size, shape (H, W, 3), uint8; only read.
        affines: For each picture, those of the regions in it, shape (m, 2, 3), m >= 0; see `regions.to_input`.
        width: Of a crop, pixels.
        height: Of a crop, pixels.
        threads: Cuts on these; OpenCV works outside of Python's lock. Not those that call this function: they would
            wait for themselves.

    Returns:
        All crops of the first picture, then those of the second, and so on: shape (sum of m, height, width, 3), uint8,
        channels in the order of the pictures. A crop does not depend on the others.
    """
    jobs = [(image, affine) for image, own in zip(images, affines, strict=True) for affine in own]
    crops = np.empty((len(jobs), height, width, 3), np.uint8)

    def draw(row: int) -> None:
        image, affine = jobs[row]
        cv2.warpAffine(image, affine, (width, height), dst=crops[row], flags=cv2.INTER_LINEAR)

    for _ in (threads.map if threads else map)(draw, range(len(jobs))):
        pass  # the crop is in its row; going through the results raises what went wrong on a thread
    return crops
