"""Pictures of noise, and pixels that notice who looks at them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.types import HostPixels


def noise(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make a picture without a black pixel, so that what is hidden can be told from what is shown."""
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), np.uint8)


class WatchedPixels:
    """Pixels that count how often somebody looks, and that can be seen to die."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._pixels = HostPixels(image)
        self.looks = 0

    @property
    def width(self) -> int:
        return self._pixels.width

    @property
    def height(self) -> int:
        return self._pixels.height

    def bgr(self) -> NDArray[np.uint8]:
        self.looks += 1
        return self._pixels.bgr()


class DevicePixels(WatchedPixels):
    """Pixels that offer the picture on a device, too; nobody may ask for it."""

    def rgb(self) -> Any:
        pytest.fail("asked for the picture on the device")
