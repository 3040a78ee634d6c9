"""Reads photographs from files."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SourceError

__all__ = ["PICTURE_SUFFIXES", "load_picture"]

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".pgm", ".ppm", ".tif", ".tiff", ".webp"})
"""What counts as a picture in a folder of many files, in lower case."""


def load_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as a person sees it: EXIF orientation applied, grey made BGR, alpha dropped, 16 bits made 8.

    Returns:
        Shape (H, W, 3), uint8, BGR.

    Raises:
        SourceError: There is no such file, or it is no picture, or a damaged one.
    """
    try:
        coded = np.fromfile(path, np.uint8)
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR) if coded.size else None
    except (OSError, cv2.error) as error:
        msg = f"cannot read the picture '{path}': {error}"
        raise SourceError(msg) from error
    if image is None:
        what = "is not a picture that OpenCV can read, or is damaged" if coded.size else "is empty (0 bytes)"
        msg = f"'{path}' {what}; expected one of {', '.join(sorted(PICTURE_SUFFIXES))}"
        raise SourceError(msg)
    return np.asarray(image, np.uint8)
