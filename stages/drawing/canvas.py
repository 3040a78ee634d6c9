"""Pictures of changing size on a canvas of one size."""

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.types import Instances
from stages.drawing.paint import Image

__all__ = ["Canvas"]


class Canvas:
    """Fits pictures into the size of the first one: as large as possible, aspect kept, centred, black around.

    Sides are even, as video wants them: a picture of odd width has one black column at its right.

    Args:
        width: Of the first picture, pixels.
        height: Of the first picture, pixels.
        max_width: Scale down to this width, pixels; None keeps the size.
    """

    def __init__(self, width: int, height: int, max_width: int | None = None) -> None:
        """Choose the size."""
        scale = 1.0 if max_width is None else min(1.0, max_width / width)
        self._inner = max(1, round(width * scale)), max(1, round(height * scale))
        self.width, self.height = (side + side % 2 for side in self._inner)

    def fit(self, image: Image, instances: Instances | None) -> tuple[Image, Instances | None]:
        """Fit a picture, and move its people along.

        Args:
            image: Shape (H, W, 3), uint8, BGR; not written to.
            instances: Its people.

        Returns:
            The picture, shape (height, width, 3), and the people in its pixels. Both may be the ones given.
        """
        height, width = image.shape[:2]
        if (width, height) == (self.width, self.height):
            return image, instances
        inner, (left, top) = self._placing(width, height)
        canvas = np.zeros((self.height, self.width, 3), np.uint8)
        canvas[top : top + inner[1], left : left + inner[0]] = _resized(image, inner)
        return canvas, _moved(instances, (inner[0] / width, inner[1] / height), (left, top))

    def points(self, points: ArrayLike, width: int, height: int) -> NDArray[np.float64]:
        """Say where points of a picture of that size come to lie, in pixels of the canvas.

        Args:
            points: (x, y) in pixels of the picture, shape (m, 2).
            width: Of the picture, pixels.
            height: Of the picture, pixels.

        Returns:
            Shape (m, 2).
        """
        inner, offset = self._placing(width, height)
        return np.asarray(points, np.float64) * (np.array(inner) / (width, height)) + offset

    def _placing(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Give size and upper left corner of a picture of that size on the canvas, pixels."""
        if (width, height) == (self.width, self.height):
            return (width, height), (0, 0)
        scale = min(self._inner[0] / width, self._inner[1] / height)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        return inner, ((self._inner[0] - inner[0]) // 2, (self._inner[1] - inner[1]) // 2)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[1::-1] == size:
        return image
    shrinks = size[0] < image.shape[1]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC), np.uint8)


def _moved(instances: Instances | None, scale: tuple[float, float], offset: tuple[float, float]) -> Instances | None:
    if instances is None:
        return None
    moved = instances.with_columns(xyxy=instances.xyxy * np.tile(scale, 2) + np.tile(offset, 2))
    if instances.keypoints is None:
        return moved
    return moved.with_columns(keypoints=instances.keypoints * np.array(scale) + np.array(offset))
