"""Pixels that show less than their source: parts hidden, or nothing at all."""

from functools import lru_cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels
from stages.drawing.palette import oklch
from stages.media.pixels import LazyPixels

__all__ = ["GROUND", "BlankPixels", "MaskedPixels"]

GROUND: Final = oklch(0.26, 0.015, 260.0)
"""What people are drawn on when there is no picture: dark enough for all their colours, lighter than their rims."""


class MaskedPixels(LazyPixels):
    """Pixels of which a part is black, in every form in which they can be had.

    They are on the host only: what lies on a device shows everything, so nobody may ask for it.

    Args:
        pixels: What the source gave; nobody else may look at them afterwards.
        shown: Shape (H, W), uint8: 255 where the picture is shown, 0 where it is hidden.
    """

    __slots__ = ("_pixels", "_shown")

    def __init__(self, pixels: Pixels, shown: NDArray[np.uint8]) -> None:
        """Keep the pixels; nothing is made yet."""
        super().__init__(pixels.width, pixels.height)
        self._pixels: Pixels | None = pixels
        self._shown = shown

    def _make(self) -> NDArray[np.uint8]:
        """Leave the hidden part black."""
        assert self._pixels is not None
        below = self._pixels.bgr()
        image = np.zeros(below.shape, np.uint8)
        cv2.copyTo(below, self._shown, image)
        self._pixels = None
        return image


class BlankPixels:
    """Pixels of one dark colour; all pictures of one size share them.

    Args:
        width: In pixels.
        height: In pixels.
    """

    __slots__ = ("_height", "_width")

    def __init__(self, width: int, height: int) -> None:
        """Keep the size; nothing is made until somebody looks."""
        self._width, self._height = width, height

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._height

    def bgr(self) -> NDArray[np.uint8]:
        """Give the picture: shape (H, W, 3), uint8, BGR, read-only."""
        return _blank(self._width, self._height)


@lru_cache(maxsize=8)
def _blank(width: int, height: int) -> NDArray[np.uint8]:
    image = np.empty((height, width, 3), np.uint8)
    image[:] = GROUND
    image.flags.writeable = False
    return image
