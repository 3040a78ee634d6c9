"""Pictures that are made when somebody asks for them, once."""

import threading
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

__all__ = ["LazyPixels"]


class LazyPixels(ABC):
    """Pixels (`pipeline.types.Pixels`) whose picture is made by the first call of `bgr`, in whatever thread that is.

    Args:
        width: As shown, in pixels.
        height: As shown, in pixels.
    """

    __slots__ = ("_height", "_image", "_lock", "_width")

    def __init__(self, width: int, height: int) -> None:
        """Make nothing yet."""
        self._width, self._height = width, height
        self._lock = threading.Lock()
        self._image: NDArray[np.uint8] | None = None

    @property
    def width(self) -> int:
        """Width in pixels, as shown."""
        return self._width

    @property
    def height(self) -> int:
        """Height in pixels, as shown."""
        return self._height

    def bgr(self) -> NDArray[np.uint8]:
        """Give the picture: shape (H, W, 3), uint8, BGR, contiguous, read-only."""
        with self._lock:
            if self._image is None:
                image = self._make()
                image.flags.writeable = False
                self._image = image
            return self._image

    @abstractmethod
    def _make(self) -> NDArray[np.uint8]:
        """Make the picture, and let go of what it is made of: it is not asked for again."""
