"""Between the picture and the network: letterbox, crop, affine and inverse, boxes. Pure functions.

An affine is a matrix of shape (2, 3), float64: `q = A[:, :2] @ p + A[:, 2]` for columns p = (x, y). Coordinates are
continuous: pixel i covers [i, i + 1), so its centre is at i + 0.5 and a box that ends at the width ends with the
picture. `crop` is the only place that knows that OpenCV counts from pixel centres instead.
"""

import math
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Affine",
    "Region",
    "areas",
    "box_to_region",
    "clip_boxes",
    "crop",
    "intersections",
    "invert_affine",
    "letterbox",
    "region_to_affine",
    "transform_points",
]

Affine = NDArray[np.float64]


class Region(NamedTuple):
    """A rectangle in a picture, turned about its centre."""

    x: float
    """Centre, pixels."""
    y: float
    """Centre, pixels."""
    width: float
    """Side along the rectangle's own x axis, pixels."""
    height: float
    """Side along the rectangle's own y axis, pixels."""
    angle: float = 0.0
    """Radians, clockwise as seen (y points down); 0 is upright."""


def letterbox(width: float, height: float, out_width: float, out_height: float) -> Affine:
    """Fit a picture into another size: as large as possible, aspect kept, centred; the rest stays empty.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        out_width: Of the input of the network, pixels.
        out_height: Of the input of the network, pixels.

    Returns:
        The affine from the picture to the input.
    """
    scale = min(out_width / width, out_height / height)
    left, top = (out_width - scale * width) / 2, (out_height - scale * height) / 2
    return np.array([[scale, 0.0, left], [0.0, scale, top]])


def region_to_affine(region: Region, out_width: float, out_height: float) -> Affine:
    """Make the affine that takes a region of the picture to the whole input of a network, upright.

    Args:
        region: With sides > 0.
        out_width: Of the input, pixels.
        out_height: Of the input, pixels.
    """
    cos, sin = math.cos(region.angle), math.sin(region.angle)
    axes = np.array([[cos, sin], [-sin, cos]])  # rows: the region's own x and y axis in the picture
    linear = axes * [[out_width / region.width], [out_height / region.height]]
    offset = np.array([out_width / 2, out_height / 2]) - linear @ [region.x, region.y]
    return np.column_stack([linear, offset])


def invert_affine(affine: Affine) -> Affine:
    """Make the affine of the way back.

    Raises:
        numpy.linalg.LinAlgError: It has no inverse: a side of the region was 0 or infinite.
    """
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def transform_points(points: ArrayLike, affine: Affine) -> NDArray[np.float64]:
    """Move points (x, y), shape (..., 2), by an affine."""
    return np.asarray(np.asarray(points, np.float64) @ affine[:, :2].T + affine[:, 2])


def crop(image: NDArray[np.uint8], affine: Affine, width: int, height: int) -> NDArray[np.uint8]:
    """Draw the part of a picture that an affine maps into [0, width) x [0, height); bilinear, black outside.

    Args:
        image: Shape (H, W, C), uint8.
        affine: From the picture to the output.
        width: Of the output, pixels.
        height: Of the output, pixels.

    Returns:
        Shape (height, width, C), uint8.
    """
    linear = affine[:, :2]
    between_centres = np.column_stack([linear, affine[:, 2] + linear.sum(axis=1) / 2 - 0.5])
    warped: NDArray[Any] = cv2.warpAffine(image, between_centres, (width, height), flags=cv2.INTER_LINEAR)
    return warped


def box_to_region(xyxy: ArrayLike, aspect: float = 1.0, padding: float = 1.25) -> Region:
    """Make the upright region around a box that has the aspect of a network's input.

    Args:
        xyxy: One box (x1, y1, x2, y2), pixels.
        aspect: Width over height of the input; the box grows on one side to reach it.
        padding: Factor on both sides after that.

    Returns:
        The region, at least a pixel high: an empty box has a region too.
    """
    x1, y1, x2, y2 = (float(value) for value in np.asarray(xyxy))
    height = max(y2 - y1, (x2 - x1) / aspect, 1.0) * padding
    return Region((x1 + x2) / 2, (y1 + y2) / 2, height * aspect, height)


def clip_boxes(xyxy: ArrayLike, width: float, height: float) -> NDArray[np.float64]:
    """Cut boxes (x1, y1, x2, y2), shape (n, 4), to a picture; one that lies outside gets no area."""
    boxes = np.asarray(xyxy, np.float64)
    return np.clip(boxes, 0.0, [width, height, width, height])


def areas(xyxy: NDArray[Any]) -> NDArray[Any]:
    """Measure boxes: shape (n, 4) to (n,), square pixels."""
    return np.asarray(np.clip(xyxy[:, 2:] - xyxy[:, :2], 0.0, None).prod(axis=1))


def intersections(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Measure what each pair of boxes shares: shapes (n, 4) and (m, 4) to (n, m), square pixels."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0.0, None).prod(axis=2))
