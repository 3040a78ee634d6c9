"""The picture of a decoded AVFrame, converted when somebody looks at it."""

from typing import Any, cast

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stages.media.pixels import LazyPixels

__all__ = ["DecodedPixels", "Orientation", "Orientations"]

_CHANGES = {(True, False): 1, (False, True): 0, (True, True): -1}
"""(mirror left-right, mirror top-bottom) -> flip code of OpenCV."""


class Orientation:
    """How a stored picture is turned to be shown, by the display matrix that came with it.

    The matrix of ISO/IEC 14496-12 (8.3.2), as FFmpeg hands it on, sends a stored point (p, q) to
    (a p + c q, b p + d q). Cameras write quarter turns and mirror images; any other angle is taken as the nearest.

    Args:
        matrix: Shape (9,), int32, rows (a, b, u), (c, d, v), (x, y, w); None if there is none.
    """

    __slots__ = ("_flip", "swaps_sides")

    def __init__(self, matrix: NDArray[np.int32] | None) -> None:
        """Read off which axes change places, and which are mirrored."""
        a, b, c, d = (1, 0, 0, 1) if matrix is None else (int(matrix[k]) for k in (0, 1, 3, 4))
        self.swaps_sides = abs(b) > abs(a)
        to_x, to_y = (c, b) if self.swaps_sides else (a, d)
        self._flip = _CHANGES.get((to_x < 0, to_y < 0))

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a picture of shape (H, W, 3); the result is contiguous."""
        if self.swaps_sides:
            image = np.asarray(cv2.transpose(image), np.uint8)
        if self._flip is not None:
            image = np.asarray(cv2.flip(image, self._flip), np.uint8)
        return np.ascontiguousarray(image)


class Orientations:
    """How the pictures of one stream are turned, looked up once for each angle that occurs in it.

    PyAV's `side_data`, which holds the matrix, and its frame refer to each other: asked of every frame, it would keep
    all pictures in memory until the garbage collector comes. The angle alone costs nothing.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[int, Orientation] = {}

    def of(self, frame: av.VideoFrame) -> Orientation:
        """Say how to turn this frame."""
        degrees = frame.rotation
        if degrees not in self._known:
            side_data = cast("dict[str, Any]", frame.side_data)  # PyAV's types know one kind of it only
            matrix = np.frombuffer(side_data["DISPLAYMATRIX"], np.int32) if "DISPLAYMATRIX" in side_data else None
            self._known[degrees] = Orientation(matrix)
        return self._known[degrees]


class DecodedPixels(LazyPixels):
    """Pixels that a decoder left in its own format.

    The first call of `bgr` converts them, by the colour matrix and range that the stream declares, and lets go of
    the decoder's picture; alpha is dropped. Sizes are as shown, after rotation. Pixels are those stored: a pixel
    aspect ratio other than 1:1 is not stretched.

    Args:
        frame: A decoded frame in host memory; nobody else may use it afterwards.
        orientation: How to turn it.
    """

    __slots__ = ("_frame", "_orientation")

    def __init__(self, frame: av.VideoFrame, orientation: Orientation) -> None:
        """Keep the frame; nothing is converted yet."""
        sides = frame.width, frame.height
        super().__init__(*(sides[::-1] if orientation.swaps_sides else sides))
        self._orientation = orientation
        self._frame: av.VideoFrame | None = frame

    def _make(self) -> NDArray[np.uint8]:
        """Convert and turn it."""
        assert self._frame is not None
        # Bicubic chroma is what OpenCV's reader uses: the numbers are the same, bit by bit. One thread, because
        # starting more for each picture costs more than they save.
        stored = self._frame.to_ndarray(format="bgr24", interpolation="BICUBIC", threads=1)
        self._frame = None
        return self._orientation.apply(stored.astype(np.uint8, copy=False))
