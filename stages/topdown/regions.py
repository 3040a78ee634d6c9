"""Which part of the picture a top-down network sees, and the way there and back.

A region is upright and has the aspect of the network's input. Coordinates are indices of pixels, as in OpenCV and in
the data sets: the centre of the first pixel is at 0. (`stages.geometry` counts from the corner of the first pixel; the
official HRNet code does not, and its weights want its arithmetic.)

There are two rules for how a grid of w x h cells lies in its region, and a network wants the one it was trained with:

    official   the region is w cells wide: cell 0 lies on its left edge, "cell w" on its right edge
    udp        the region is w - 1 cells wide: cell 0 lies on its left edge, cell w - 1 on its right edge
               (Huang et al., "The Devil is in the Details: Delving into Unbiased Data Processing for Human Pose
               Estimation", CVPR 2020, section 3)
"""

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Regions", "regions_of_boxes", "to_input", "to_picture"]


class Regions(NamedTuple):
    """Upright rectangles in a picture, n rows."""

    centre: NDArray[np.float64]
    """(x, y), pixels, shape (n, 2)."""
    size: NDArray[np.float64]
    """(width, height), pixels, padding included, shape (n, 2): 200 times what the official code calls scale."""

    def rows(self, picked: slice | NDArray[np.bool_] | NDArray[np.integer[Any]]) -> Self:
        """Select rows by slice, mask or indices."""
        return self._replace(centre=self.centre[picked], size=self.size[picked])


def regions_of_boxes(xyxy: ArrayLike, aspect: float, padding: float = 1.25) -> Regions:
    """Make the region around each box: the box grows on one side to the aspect, then on both by the padding.

    This is `_xywh2cs` of the official code (lib/dataset/coco.py), with width = x2 - x1 and the centre halfway. Boxes
    are not clipped to the picture; people are cut off by its edge, not squeezed into it.

    Args:
        xyxy: Boxes (x1, y1, x2, y2), pixels, shape (n, 4).
        aspect: Width over height of the network's input.
        padding: Factor on both sides.

    Returns:
        One region a box. A side that is negative counts as 0, and a region is at least a pixel high before the padding,
        so an empty box has a region too.

    Raises:
        ValueError: A box holds NaN or infinity.
    """
    boxes = np.asarray(xyxy, np.float64).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        rows = np.flatnonzero(~np.isfinite(boxes).all(axis=1)).tolist()
        msg = f"boxes must be finite, got NaN or infinity in rows {rows}; leave these rows out"
        raise ValueError(msg)
    width, height = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0).T
    height = np.maximum(np.where(width > aspect * height, width / aspect, height), 1.0)
    centre = boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2]) / 2
    return Regions(centre, np.column_stack([height * aspect, height]) * padding)


def to_input(regions: Regions, width: int, height: int, *, udp: bool = False) -> NDArray[np.float64]:
    """Make the affines that take each region to the input of a network.

    This is `get_affine_transform` of the official code (lib/utils/transforms.py) without rotation: the scale is that of
    the width, in both directions, and the centre goes to (width / 2, height / 2). With `udp` each direction has its own
    scale and the centre goes to ((width - 1) / 2, (height - 1) / 2).

    Args:
        regions: n of them.
        width: Of the input, pixels.
        height: Of the input, pixels.
        udp: The network was trained with unbiased data processing.

    Returns:
        Shape (n, 2, 3): `q = A[:, :2] @ p + A[:, 2]` for columns p = (x, y), indices of pixels; what
        `cv2.warpAffine` takes.
    """
    middle, cell = _grid(regions, width, height, udp=udp)
    affines = np.zeros((len(regions.centre), 2, 3))
    affines[:, [0, 1], [0, 1]] = 1 / cell
    affines[:, :, 2] = middle - regions.centre / cell
    return affines


def to_picture(
    points: NDArray[np.floating], regions: Regions, width: int, height: int, *, udp: bool = False
) -> NDArray[np.float64]:
    """Take points from a grid over each region, such as a heat map, to the picture.

    Args:
        points: (x, y) in cells of the grid, shape (n, k, 2).
        regions: n of them.
        width: Of the grid, cells.
        height: Of the grid, cells.
        udp: The network was trained with unbiased data processing.

    Returns:
        (x, y) in pixels of the picture, shape (n, k, 2).
    """
    middle, cell = _grid(regions, width, height, udp=udp)
    return np.asarray((points - middle) * cell[:, None] + regions.centre[:, None])


def _grid(regions: Regions, width: int, height: int, *, udp: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Say where the centre of a region lies on a grid, shape (2,), and how large a cell is in pixels, shape (n, 2)."""
    shape = np.array([width, height], np.float64)
    if udp:
        # A grid of one cell has no extent: its cell lies in the centre, and is as large as the region.
        return (shape - 1) / 2, regions.size / np.maximum(shape - 1, 1)
    return shape / 2, np.repeat(regions.size[:, :1] / width, 2, axis=1)
