"""Several sources in one picture."""

import math

import cv2
import numpy as np

from stages.drawing.canvas import Canvas
from stages.drawing.paint import Image

__all__ = ["Wall"]

_ASPECT = 16 / 9
"""Of the place that each of several sources has."""


class Wall:
    """A picture with a place for each source, in rows, in the order in which they came.

    Alone, a source has the picture to itself; several share it, each fitted into a place of 16:9.

    Args:
        width: Of the whole, at most, pixels.
    """

    def __init__(self, width: int) -> None:
        """Begin without sources."""
        self._width = width
        self._pictures: dict[str, Image] = {}
        self._wall: Image | None = None

    def put(self, source_id: str, picture: Image) -> None:
        """Show a picture in the place of its source: shape (H, W, 3), uint8, BGR."""
        is_new = source_id not in self._pictures
        self._pictures[source_id] = picture
        if is_new or self._wall is None or len(self._pictures) == 1:
            self._wall = None
        else:
            self._hang(self._wall, list(self._pictures).index(source_id), picture)

    def picture(self) -> Image:
        """Give the whole: shape (H, W, 3), uint8, BGR. It changes with the next `put`.

        Raises:
            ValueError: There is no source yet.
        """
        if not self._pictures:
            msg = "a wall without sources has no picture"
            raise ValueError(msg)
        if self._wall is None:
            self._wall = self._build()
        return self._wall

    def _build(self) -> Image:
        pictures = list(self._pictures.values())
        if len(pictures) == 1:
            height, width = pictures[0].shape[:2]
            return Canvas(width, height, self._width).fit(pictures[0], None)[0]
        columns, (width, height) = self._columns(), self._place()
        rows = math.ceil(len(pictures) / columns)
        wall = np.zeros((rows * height, columns * width, 3), np.uint8)
        for number, picture in enumerate(pictures):
            self._hang(wall, number, picture)
        return wall

    def _hang(self, wall: Image, number: int, picture: Image) -> None:
        width, height = self._place()
        row, column = divmod(number, self._columns())
        wall[row * height : (row + 1) * height, column * width : (column + 1) * width] = _fitted(picture, width, height)

    def _columns(self) -> int:
        return math.ceil(math.sqrt(len(self._pictures)))

    def _place(self) -> tuple[int, int]:
        width = max(2, self._width // self._columns())
        return width, max(2, round(width / _ASPECT))


def _fitted(picture: Image, width: int, height: int) -> Image:
    """Fit a picture into a place, as large as possible, black around."""
    scale = min(width / picture.shape[1], height / picture.shape[0])
    inner = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    place = np.zeros((height, width, 3), np.uint8)
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    place[top : top + inner[1], left : left + inner[0]] = small
    return place
