"""From 8-bit pictures to what a network wants to see, on the host."""

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.engines.base import InputFormat

__all__ = ["normalised"]


def normalised(pictures: NDArray[np.uint8], wanted: InputFormat) -> NDArray[np.float32]:
    """Convert pictures: (value - mean) / std, looked up in a table of the 256 values, and one plane a channel.

    Args:
        pictures: Shape (n, height, width, 3), uint8, BGR.
        wanted: The network's input.

    Returns:
        Shape (n, 3, height, width), float32, in the network's channel order.
    """
    planes = np.empty((len(pictures), 3, *pictures.shape[1:3]), np.float32)
    order = (2, 1, 0) if wanted.channels == "rgb" else (0, 1, 2)
    values = np.arange(256, dtype=np.float32)
    for plane, (channel, mean, std) in enumerate(zip(order, wanted.mean, wanted.std, strict=True)):
        table = (values - np.float32(mean)) / np.float32(std)
        for picture, target in zip(pictures, planes, strict=True):
            target[plane] = cv2.LUT(cv2.extractChannel(picture, channel), table)
    return planes
