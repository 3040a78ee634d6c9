"""Paint and letters on a picture: what OpenCV has no call for. Everything is clipped at the picture's edges."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.drawing.palette import Colour

__all__ = ["Image", "Mask", "blend", "blend_thin", "letters", "pill"]

Image = NDArray[np.uint8]
"""A picture: shape (H, W, 3), BGR."""
Mask = NDArray[np.uint8]
"""How much paint a pixel takes: shape (h, w), 0..255."""

_FONT = cv2.FONT_HERSHEY_DUPLEX
_SHARPNESS = 4
"""Rounded corners are drawn this many times larger, and shrunk."""


def blend(image: Image, mask: Mask, left: int, top: int, colour: Colour, opacity: float = 1.0) -> None:
    """Paint through a mask whose upper left corner lies at (left, top), in pixels."""
    window, part = _overlap(image, mask, left, top)
    if window.size == 0:
        return
    weight = part.astype(np.float32) * np.float32(opacity / 255)
    paint = np.empty_like(window)
    paint[:] = colour
    cv2.blendLinear(paint, np.ascontiguousarray(window), weight, 1.0 - weight, window)


def blend_thin(image: Image, mask: Mask, left: int, top: int, colour: Colour, opacity: float = 1.0) -> None:
    """Do the same as `blend`, in a time that grows with the painted pixels: for lines in a large empty mask."""
    window, part = _overlap(image, mask, left, top)
    rows, columns = part.nonzero()
    weight = part[rows, columns, None] * np.float32(opacity / 255)
    before = window[rows, columns].astype(np.float32)
    window[rows, columns] = np.round(before + (np.array(colour, np.float32) - before) * weight)


def _overlap(image: Image, mask: Mask, left: int, top: int) -> tuple[Image, Mask]:
    """Give the part of the picture that lies under the mask, and the part of the mask that lies on the picture."""
    x, y = max(left, 0), max(top, 0)
    part = mask[y - top :, x - left :]
    window = image[y : y + part.shape[0], x : x + part.shape[1]]
    return window, part[: window.shape[0], : window.shape[1]]


@lru_cache(maxsize=2048)
def letters(text: str, size_px: int) -> Mask:
    """Give the mask of one line of text whose capitals are `size_px` high; their middle is the middle of the mask.

    Scripts that OpenCV has no letters for (with OpenCV 4: all but ASCII) show as question marks.
    """
    scale = size_px / _capital_height()
    margin = size_px // 2  # for what hangs below the line, and for accents
    (width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    mask = np.zeros((size_px + 2 * margin, max(width, 1)), np.uint8)
    cv2.putText(mask, text, (0, margin + size_px), _FONT, scale, 255, 1, cv2.LINE_AA)
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=1)
def _capital_height() -> int:
    """Measure a capital at scale 1, in pixels: what `getTextSize` says is the font's business, and differs."""
    sample = np.zeros((200, 200), np.uint8)
    cv2.putText(sample, "H", (50, 150), _FONT, 1.0, 255, 1, cv2.LINE_AA)
    return int(np.ptp(sample.max(axis=1).nonzero()[0])) + 1


@lru_cache(maxsize=512)
def pill(width: int, height: int, radius: int) -> Mask:
    """Give the mask of a rectangle with round corners."""
    w, h, r = (max(value, 1) * _SHARPNESS for value in (width, height, radius))
    large = np.zeros((h, w), np.uint8)
    cv2.rectangle(large, (r, 0), (w - r - 1, h), 255, cv2.FILLED)
    cv2.rectangle(large, (0, r), (w, h - r - 1), 255, cv2.FILLED)
    for x in (r, w - r - 1):
        for y in (r, h - r - 1):
            cv2.circle(large, (x, y), r, 255, cv2.FILLED)
    mask = cv2.resize(large, (max(width, 1), max(height, 1)), interpolation=cv2.INTER_AREA)
    return np.asarray(mask, np.uint8)
