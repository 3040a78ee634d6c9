"""How a frame is laid into the picture that a YOLO network sees: scaled, centred, padded with grey.

Everything falls on whole pixels, as in the training of these networks; `stages.geometry.letterbox` is the exact one.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["GREY", "Letterbox"]

GREY: Final = 114
"""Value of the padding that the networks were trained with."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies in the canvas. All sizes are in pixels."""

    frame_width: int
    frame_height: int
    canvas_width: int
    canvas_height: int
    width: int
    """Of the scaled frame within the canvas."""
    height: int

    @classmethod
    def fit(cls, frame: tuple[int, int], canvas: tuple[int, int]) -> Self:
        """Fit a frame of (width, height) into a canvas of (width, height)."""
        scale = min(canvas[0] / frame[0], canvas[1] / frame[1])
        return cls(*frame, *canvas, *(max(round(side * scale), 1) for side in frame))

    @classmethod
    def tight(cls, frame: tuple[int, int], longest: int, stride: int) -> Self:
        """Fit a frame into the smallest canvas: its longer side is `longest`, its sides are multiples of `stride`."""
        square = math.ceil(longest / stride) * stride
        inside = cls.fit(frame, (square, square))
        width, height = (square - (square - side) // stride * stride for side in (inside.width, inside.height))
        return cls(*frame, width, height, inside.width, inside.height)

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the canvas."""
        return self.canvas_width, self.canvas_height

    @property
    def left(self) -> int:
        """Padding before the first column; the odd pixel goes to the right."""
        return (self.canvas_width - self.width) // 2

    @property
    def top(self) -> int:
        """Padding above the first row; the odd pixel goes below."""
        return (self.canvas_height - self.height) // 2

    def draw(self, image: NDArray[np.uint8], canvas: NDArray[np.uint8]) -> None:
        """Scale `image` into its place in `canvas`; the padding is left as it is.

        Args:
            image: Shape (frame_height, frame_width, 3), uint8.
            canvas: Shape (canvas_height, canvas_width, 3), uint8; written to.
        """
        place = canvas[self.top : self.top + self.height, self.left : self.left + self.width]
        if image.shape == place.shape:
            np.copyto(place, image)
        else:
            cv2.resize(image, (self.width, self.height), dst=place, interpolation=cv2.INTER_LINEAR)

    def to_frame(self, xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take points (x, y) from the canvas to the frame, clipped to it. Shape (..., 2), pixels."""
        gain = np.array([self.width / self.frame_width, self.height / self.frame_height], np.float32)
        points = (xy - np.array([self.left, self.top], np.float32)) / gain
        corner = np.array([self.frame_width, self.frame_height], np.float32)
        clipped: NDArray[np.float32] = np.clip(points, np.float32(0), corner)
        return clipped
