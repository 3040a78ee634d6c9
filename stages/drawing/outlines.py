"""Where rules look, drawn on a picture: the borders of zones, and lines with the way that is `in`."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.drawing.paint import Image, blend, letters, pill
from stages.drawing.palette import INK, PLACE

__all__ = ["Outline", "draw_outlines"]

_SHIFT: Final = 4
"""OpenCV takes coordinates in 1/16 pixel."""
_FARTHEST: Final = 30_000
"""Pixels: OpenCV's fixed-point lines overflow far outside."""
_ARROW: Final = 2.5
"""Length of the arrow, in heights of capitals."""


class Outline(NamedTuple):
    """A border or a line, and its name."""

    name: str
    points: NDArray[np.float64]
    """(x, y) in pixels, shape (m, 2)."""
    is_closed: bool


def draw_outlines(canvas: Image, outlines: Sequence[Outline], *, line_px: int, text_px: int) -> None:
    """Draw borders and lines on `canvas`, below whatever is drawn later: thin, light on a dark rim.

    Args:
        canvas: Shape (H, W, 3), uint8, BGR; written to.
        outlines: What to draw.
        line_px: Width of a line.
        text_px: Height of capitals.
    """
    for outline in outlines:
        strokes = [outline.points] if outline.is_closed else [outline.points, _arrow(outline.points, _ARROW * text_px)]
        for colour, width in ((INK, line_px + 2), (PLACE, line_px)):
            for stroke in strokes:
                closed = outline.is_closed
                cv2.polylines(canvas, [_fixed(stroke)], closed, colour, width, cv2.LINE_AA, _SHIFT)
    for outline in outlines:
        _write_name(canvas, outline, text_px)


def _arrow(points: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """Give the stroke of an arrow from the middle of a line to its right, as one walks from its first end."""
    start, end = points[0], points[-1]
    along = (end - start) / max(float(np.hypot(*(end - start))), 1e-9)
    right = np.array((-along[1], along[0]))  # y points down
    middle = (start + end) / 2
    tip = middle + right * length
    barbs = tip - right * length / 3 + np.outer((1, -1), along) * length / 3
    return np.stack((middle, tip, barbs[0], tip, barbs[1]))


def _write_name(canvas: Image, outline: Outline, text_px: int) -> None:
    """Write a name at the highest corner, inside of the picture."""
    text = letters(outline.name, text_px)
    width, height = text.shape[1] + text_px, text.shape[0]
    x, y = outline.points[outline.points[:, 1].argmin()]
    left = int(np.clip(x, 0, max(canvas.shape[1] - width, 0)))
    top = int(np.clip(y - height / 2, 0, max(canvas.shape[0] - height, 0)))
    blend(canvas, pill(width, height, text_px // 2), left, top, INK, 0.65)
    blend(canvas, text, left + text_px // 2, top, PLACE)


def _fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.round(np.clip(points, -_FARTHEST, _FARTHEST) * (1 << _SHIFT)), np.int32)
