"""Lays out thumbnails on a sheet, with captions, a title, and the colours of the identities."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from stages.drawing.paint import Image, blend, letters, pill
from stages.drawing.palette import INK, PAPER, identity_colour

__all__ = ["Thumbnail", "compose"]

_MARGIN: Final = 16
_TEXT: Final = 11
_TITLE: Final = 16
_ROW: Final = 2 * _TEXT + 8
"""Height of a line of captions or of the legend, pixels."""


class Thumbnail(NamedTuple):
    """A small picture and the line below it."""

    image: Image
    caption: str


def compose(thumbnails: Sequence[Thumbnail], columns: int, title: str, identities: Sequence[int]) -> Image:
    """Draw a sheet.

    Args:
        thumbnails: At least one, all of one size, in reading order.
        columns: How many stand side by side, at most.
        title: The line above them.
        identities: Shown below in their colours, as many as fit into one line.

    Returns:
        Shape (H, W, 3), uint8, BGR.
    """
    height, width = thumbnails[0].image.shape[:2]
    columns = min(columns, len(thumbnails))
    rows = -(-len(thumbnails) // columns)
    pitch_x, pitch_y = width + _MARGIN, height + _ROW
    top = 2 * _MARGIN + _TITLE
    bottom = top + rows * pitch_y
    sheet = np.empty((bottom + (_ROW + _MARGIN // 2 if identities else 0), columns * pitch_x + _MARGIN, 3), np.uint8)
    sheet[:] = INK
    _write(sheet, title, _MARGIN, _MARGIN // 2, _TITLE)
    for index, (image, caption) in enumerate(thumbnails):
        row, column = divmod(index, columns)
        x, y = _MARGIN + column * pitch_x, top + row * pitch_y
        sheet[y : y + height, x : x + width] = image
        _write(sheet, caption, x, y + height + 2, _TEXT)
    _draw_legend(sheet, identities, bottom)
    return sheet


def _write(sheet: Image, text: str, x: int, y: int, size: int) -> None:
    """Write text whose upper left corner is (x, y)."""
    blend(sheet, letters(text, size), x, y, PAPER)


def _draw_legend(sheet: Image, identities: Sequence[int], y: int) -> None:
    x = _MARGIN
    for index, track_id in enumerate(identities):
        text = letters(str(track_id), _TEXT)
        width = text.shape[1] + _TEXT
        if x + width > sheet.shape[1] - 6 * _TEXT:  # leaves room for what follows
            _write(sheet, f"+ {len(identities) - index}", x, y, _TEXT)
            return
        blend(sheet, pill(width, text.shape[0], _TEXT // 2), x, y, identity_colour(track_id))
        blend(sheet, text, x + _TEXT // 2, y, INK)
        x += width + _TEXT // 2
