"""Reads the pictures of a data set; what is cut short or damaged is refused."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SourceError

__all__ = ["decode", "read_picture"]

_JPEG: Final = b"\xff\xd8"
_SCAN: Final = b"\xff\xda"
_END: Final = b"\xff\xd9"


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as the annotators saw it: EXIF orientation is not applied.

    Returns:
        Shape (H, W, 3), uint8, BGR.

    Raises:
        SourceError: There is no such file, it is no picture, or a damaged one; the message does not name it.
    """
    try:
        coded = path.read_bytes()
    except OSError as error:
        msg = f"cannot be read: {error.strerror}"
        raise SourceError(msg) from error
    return decode(coded)


def decode(coded: bytes) -> NDArray[np.uint8]:
    """Decode a picture; see `read_picture`."""
    if not coded:
        msg = "is empty (0 bytes)"
        raise SourceError(msg)
    # OpenCV 4 fills what is missing of a JPEG with grey, and says nothing. Within a scan no byte 0xff is followed by
    # one that begins a marker, so an end behind the beginning of the last scan is its end, and not that of a preview.
    if coded.startswith(_JPEG) and coded.rfind(_END) < coded.rfind(_SCAN):
        msg = "is cut short: the JPEG has no end"
        raise SourceError(msg)
    try:
        image = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        msg = f"is damaged: {error.err}"
        raise SourceError(msg) from error
    if image is None:
        msg = "is no picture that OpenCV can read, or is damaged"
        raise SourceError(msg)
    return np.asarray(image, np.uint8)
