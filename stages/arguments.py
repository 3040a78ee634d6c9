"""What a caller of the library gives, pictures and boxes, checked: what is wrong comes with the way to mend it."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.types import Instances

__all__ = ["Picture", "are_several", "checked_boxes", "checked_picture"]

Picture = NDArray[np.uint8]
"""Shape (H, W, 3), BGR."""


def are_several(images: object) -> bool:
    """Tell several pictures, a stack (n, H, W, 3) or a sequence, from one."""
    if isinstance(images, np.ndarray):
        return images.ndim == 4
    return isinstance(images, Sequence) and not isinstance(images, str | bytes)


def checked_picture(picture: object, name: str) -> Picture:
    """See that something is a picture.

    Args:
        picture: What was given.
        name: What it is called in messages.

    Raises:
        TypeError: It is no array, or not of bytes.
        ValueError: It has another shape.
    """
    if not isinstance(picture, np.ndarray):
        hint = "cv2.imread gives None for a file it cannot read" if picture is None else "cv2.imread reads a file"
        msg = f"{name} must be a numpy array (H, W, 3), uint8, BGR, got {type(picture).__name__}: {hint}"
        raise TypeError(msg)
    if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
        msg = f"{name} must be (H, W, 3), BGR, with H, W >= 1, got the shape {picture.shape}{_conversion(picture)}"
        raise ValueError(msg)
    if picture.dtype != np.uint8:
        msg = f"{name} must be uint8, 0..255, got {picture.dtype}: from 0..1, (image * 255).astype(np.uint8)"
        raise TypeError(msg)
    return cast("Picture", picture)


def _conversion(picture: NDArray[Any]) -> str:
    """Say how another kind of picture becomes one of ours; nothing where nobody knows."""
    if picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 1):
        return ": cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)"
    if picture.ndim == 3 and picture.shape[2] == 4:
        return ": cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)"
    if picture.ndim == 3 and picture.shape[0] == 3:
        return ": image.transpose(1, 2, 0)"
    return ""


def checked_boxes(boxes: ArrayLike | Sequence[ArrayLike], pictures: int | None) -> list[Instances]:
    """Make a table of the boxes of each picture, in their order, all of score 1.

    Args:
        boxes: Shape (m, 4): x1, y1, x2, y2 in pixels; a sequence of those where there are several pictures.
        pictures: How many there are; None for one that is given alone.

    Raises:
        ValueError: They are not as many as the pictures, or not what boxes are.
    """
    if pictures is None:
        return [_table(boxes, "boxes")]
    each = cast("Sequence[ArrayLike]", boxes)
    if len(each) != pictures:
        msg = f"boxes must be one array for each of the {pictures} pictures, got {len(each)}"
        raise ValueError(msg)
    return [_table(some, f"boxes[{place}]") for place, some in enumerate(each)]


def _table(boxes: Any, name: str) -> Instances:  # noqa: ANN401 - array-like
    xyxy = np.asarray(boxes, np.float32)
    if xyxy.size == 0:
        return Instances.empty()
    if xyxy.ndim != 2 or xyxy.shape[1] != 4:
        msg = f"{name} must be (m, 4): x1, y1, x2, y2 in pixels; got the shape {xyxy.shape}"
        raise ValueError(msg)
    for wrong, said in (
        (~np.isfinite(xyxy).all(axis=1), "must be finite"),
        ((xyxy[:, 2:] < xyxy[:, :2]).any(axis=1), "must have x1 <= x2 and y1 <= y2, not width and height"),
    ):
        if wrong.any():
            row = int(wrong.argmax())
            msg = f"{name} {said}, got {xyxy[row].tolist()} in row {row}"
            raise ValueError(msg)
    return Instances.of(xyxy, np.ones(len(xyxy)))
