"""Reads joints off heat maps: one map a joint, which says how likely the joint is where.

Points are (x, y) in cells of the map; the centre of the first cell is at 0. Whether a joint is read alone or among
others makes no difference to it, to the last bit.
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["AT_ONCE", "FLAT", "SMALLEST", "Decoding", "average", "blur_of", "decode", "flip_back", "newton", "swapped"]

AT_ONCE: Final = 16
"""How many maps are blurred at once: so many fit into the cache of a core; those of a crowd at once take longer."""
FLAT: Final = 1e-12
"""A determinant below this is rounding, not curvature: a Gaussian of sigma 3, blurred, has 0.003."""
SMALLEST: Final = 1e-10
"""Lower values count as this in the logarithm (the authors' code of DARK)."""

Decoding = Literal["quarter", "dark", "plain"]

Cells = NDArray[np.intp]
Maps = NDArray[np.float32]
Array = TypeVar("Array", NDArray[np.float64], "torch.Tensor")


def decode(heatmaps: Maps, method: Decoding, *, sigma: float = 2.0) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Find the peak of each map; of several that are equally high, the first in reading order.

    plain
        The cell of the peak.
    quarter
        From there a quarter of a cell towards the higher neighbour, along x and along y, where the peak is neither in
        the first two columns or rows nor in the last one (`get_final_preds` of the official HRNet code,
        lib/core/inference.py).
    dark
        From there one step of Newton's method on the logarithm of the blurred map (Zhang et al., "Distribution-Aware
        Coordinate Representation for Human Pose Estimation", CVPR 2020, section 3.1), where the peak is at least two
        cells from the border and the step exists. A step that would leave the map is not taken: such a map has no peak
        that a Gaussian could describe.

    Args:
        heatmaps: Shape (n, k, h, w), float32; h, w >= 1.
        method: How the place between the cells is found.
        sigma: For `dark`: of the Gaussians that the network was trained to draw, in cells. 2 for inputs of 256 x 192, 3
            for 384 x 288.

    Returns:
        points: (x, y) in cells, shape (n, k, 2); (0, 0) where the peak is not above 0. Always finite.
        score: Height of the peak as it is, shape (n, k). A map that holds NaN scores NaN: a broken network is not
            hidden.
    """
    n, k, height, width = heatmaps.shape
    maps = heatmaps.reshape(n * k, height, width)
    flat = maps.reshape(n * k, height * width)
    best = flat.argmax(axis=1)
    score = flat[np.arange(n * k), best]
    y, x = np.divmod(np.where(score > 0, best, 0), width)
    points = np.stack([x, y], axis=-1).astype(np.float64)
    if method == "quarter":
        points += _quarter_step(maps, x, y)
    elif method == "dark":
        points += _newton_step(maps, x, y, sigma)
    return points.reshape(n, k, 2), score.reshape(n, k)


def flip_back(flipped: Maps, mirrored: Iterable[tuple[int, int]], *, shift: bool = True) -> Maps:
    """Turn the maps of a mirrored picture into maps of the picture: mirror them and swap left and right joints.

    Args:
        flipped: Shape (n, k, h, w).
        mirrored: Pairs of joints that change places, such as `Skeleton.mirrored`.
        shift: Move the maps by a cell to the right; the first column stays. A network with the official pixel rule sees
            the mirrored picture a cell off (official configuration, TEST.SHIFT_HEATMAP); one with `udp` does not.

    Returns:
        Shape (n, k, h, w), a new array.
    """
    turned = np.take(flipped, swapped(flipped.shape[1], mirrored), axis=1)[..., ::-1]
    return np.concatenate([turned[..., :1], turned[..., :-1]], axis=-1) if shift else np.ascontiguousarray(turned)


def average(heatmaps: Maps, flipped_back: Maps) -> Maps:
    """Merge what the network said of a picture and of its mirror image. Same shapes, float32."""
    return np.asarray((heatmaps + flipped_back) * np.float32(0.5))


def swapped(joints: int, mirrored: Iterable[tuple[int, int]]) -> list[int]:
    """Say for each of so many joints which one it is in a mirror."""
    order = list(range(joints))
    for left, right in mirrored:
        order[left], order[right] = right, left
    return order


def blur_of(sigma: float) -> tuple[int, float]:
    """Give the blur that `dark` begins with: cells along a side of the kernel (odd), and its standard deviation.

    The kernels are those of the authors' code: 11 for sigma 2, 17 for sigma 3; in between and beyond, in proportion.
    The deviation is the one OpenCV takes for a kernel of that size (documentation of `cv2.getGaussianKernel`).
    """
    side = max(round(6 * sigma) - 1, 3) | 1
    return side, 0.3 * ((side - 1) / 2 - 1) + 0.8


def newton(logs: Array) -> tuple[Array, Array]:
    """Go from the middle of each patch to where its gradient vanishes, as far as a parabola knows: -H^-1 g.

    Differences and their widths are those of the authors' code of DARK: second ones reach two cells out.

    Args:
        logs: Shape (m, 5, 5), float64, rows first; an array or a tensor.

    Returns:
        The way along x and along y, shape (m,) each; NaN where the curvature has no inverse.
    """
    middle = logs[:, 2, 2]
    dx, dy = (logs[:, 2, 3] - logs[:, 2, 1]) / 2, (logs[:, 3, 2] - logs[:, 1, 2]) / 2
    dxx = (logs[:, 2, 4] - 2 * middle + logs[:, 2, 0]) / 4
    dyy = (logs[:, 4, 2] - 2 * middle + logs[:, 0, 2]) / 4
    dxy = (logs[:, 3, 3] - logs[:, 1, 3] - logs[:, 3, 1] + logs[:, 1, 1]) / 4
    determinant = dxx * dyy - dxy * dxy
    determinant[abs(determinant) < FLAT] = math.nan
    return (dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant


def _quarter_step(maps: Maps, x: Cells, y: Cells) -> NDArray[np.float64]:
    rows, (height, width) = np.arange(len(maps)), maps.shape[1:]
    inside = (x > 1) & (x < width - 1) & (y > 1) & (y < height - 1)
    rows, x, y = rows[inside], x[inside], y[inside]
    step = np.zeros((len(maps), 2))
    # Compared, not subtracted: two infinities have no difference, but neither is larger.
    for axis, (before, after) in enumerate(
        ((maps[rows, y, x - 1], maps[rows, y, x + 1]), (maps[rows, y - 1, x], maps[rows, y + 1, x]))
    ):
        step[inside, axis] = 0.25 * ((after > before).astype(float) - (after < before))
    return step


def _newton_step(maps: Maps, x: Cells, y: Cells, sigma: float) -> NDArray[np.float64]:
    height, width = maps.shape[1:]
    step = np.zeros((len(maps), 2))
    inside = np.flatnonzero((x > 1) & (x < width - 2) & (y > 1) & (y < height - 2))
    if not len(inside):
        return step
    x, y = x[inside], y[inside]
    with np.errstate(all="ignore"):  # what does not come out as a number is not taken
        pieces = np.split(np.arange(len(inside)), range(AT_ONCE, len(inside), AT_ONCE))
        logs = [_log_around(maps[inside[piece]], x[piece], y[piece], sigma) for piece in pieces]
        wanted = np.stack(newton(np.concatenate(logs)), axis=-1)
        reached = wanted + np.stack([x, y], axis=-1)
    taken = ((reached >= 0) & (reached <= [width - 1, height - 1])).all(axis=1)
    step[inside[taken]] = wanted[taken]
    return step


def _log_around(maps: Maps, x: Cells, y: Cells, sigma: float) -> NDArray[np.float64]:
    """Give the logarithm of the blurred maps, each as high as before, within two cells of a point: (m, 5, 5)."""
    blurred = _blur(maps, *blur_of(sigma))
    near = np.arange(-2, 3)
    rows = np.arange(len(maps))[:, None, None]
    patch = blurred[rows, y[:, None, None] + near[:, None], x[:, None, None] + near]
    gain = maps[rows, y[:, None, None], x[:, None, None]] / blurred.max(axis=(1, 2), keepdims=True)
    # A map whose hills vanish in the blur has no peak there: no number, no step.
    logs = np.log(np.maximum(patch * gain, SMALLEST))
    return np.where(gain > 0, logs, np.nan)


def _blur(maps: Maps, side: int, deviation: float) -> NDArray[np.float64]:
    """Blur each map, with nothing around it. One call: the maps lie below each other, with empty rows between."""
    count, height, width = maps.shape
    column = np.zeros((count, height + side // 2, width))
    column[:, :height] = maps
    blurred = cv2.GaussianBlur(column.reshape(-1, width), (side, side), deviation, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(blurred, np.float64).reshape(column.shape)[:, :height]
