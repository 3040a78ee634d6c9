"""Crops and joints without leaving the device: what `crops` and `heatmaps` do, on tensors.

A picture goes to the device once, as bytes; what comes back are joints. Nothing here waits for the device.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import Tensor

from stages.topdown.heatmaps import SMALLEST, Decoding, blur_of, newton, swapped

__all__ = ["DevicePixels", "average", "cut", "decode", "flip_back", "upload"]


@runtime_checkable
class DevicePixels(Protocol):
    """Pixels of a frame that lie on a device already, such as those of a decoder on the GPU."""

    def rgb(self) -> Tensor:
        """Give the picture where it lies: shape (3, H, W), uint8, RGB. Nobody writes to it."""


def upload(image: NDArray[np.uint8], device: torch.device | str) -> Tensor:
    """Bring a picture to the device.

    Args:
        image: Shape (H, W, 3), uint8, BGR; only read, and free to change once this returns.
        device: Where to.

    Returns:
        Shape (3, H, W), uint8, RGB, on the device.
    """
    return _sent(image, torch.uint8, torch.device(device)).permute(2, 0, 1).flip(0)


def _sent(array: NDArray[Any], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Copy an array to the device, which fetches it from pinned memory while the host goes on."""
    pinned = device.type == "cuda"
    host = torch.empty(array.shape, dtype=dtype, pin_memory=pinned)
    np.copyto(host.numpy(), array)
    return host.to(device, non_blocking=pinned)


def cut(pictures: Sequence[Tensor], affines: Sequence[NDArray[np.float64]], width: int, height: int) -> Tensor:
    """Draw what each affine maps into the input of the network; bilinear, black outside the picture.

    Values are rounded to whole numbers, as OpenCV rounds them to bytes. Against OpenCV 5.0, crops of 192 x 256 from
    regions of 5 to 900 pixels differ by 1 grey level at most, in 0.01 % of the bytes of photographs and 0.2 % of the
    bytes of noise. OpenCV 4 rounds places to 1/32 of a pixel: 4.10 differs in up to 10 % of the bytes of photographs,
    by 5 at most.

    Args:
        pictures: At least one, all on one device, of any size, shape (3, H, W), uint8, RGB.
        affines: For each picture, those of the regions in it, shape (m, 2, 3), m >= 0; see `regions.to_input`.
        width: Of a crop, pixels.
        height: Of a crop, pixels.

    Returns:
        All crops of the first picture, then those of the second, and so on: shape (sum of m, 3, height, width),
        float32, 0..255, RGB, on the device of the pictures.
    """
    return torch.cat([_cut(*pair, width, height) for pair in zip(pictures, affines, strict=True)])


def _cut(picture: Tensor, affines: NDArray[np.float64], width: int, height: int) -> Tensor:
    """Cut from one picture. Its crops are drawn below each other: one call, and no copy of the picture for each."""
    if not len(affines):
        return picture.new_empty((0, 3, height, width), dtype=torch.float32)
    back = _between_grids(affines, picture.shape[2], picture.shape[1], width, height)
    grid = F.affine_grid(
        _sent(back, torch.float64, picture.device), [len(affines), 3, height, width], align_corners=False
    )
    # Far outside is outside: beyond 3 no pixel contributes, and an index must not overflow.
    places = grid.clamp(-3, 3).float().reshape(1, -1, width, 2)
    column = F.grid_sample(picture[None].float(), places, "bilinear", "zeros", align_corners=False)
    return column.round().reshape(3, len(affines), height, width).transpose(0, 1)


def _between_grids(
    affines: NDArray[np.float64], width: int, height: int, crop_width: int, crop_height: int
) -> NDArray[np.float64]:
    """Turn affines between indices of pixels, picture to crop, into what `affine_grid` wants: crop to picture, -1..1.

    With `align_corners=False`, index i of w pixels is at (2 i + 1) / w - 1, for every w from 1.
    """
    square = np.zeros((len(affines), 3, 3))
    square[:, :2], square[:, 2, 2] = affines, 1
    from_crop = np.array([[crop_width / 2, 0, (crop_width - 1) / 2], [0, crop_height / 2, (crop_height - 1) / 2]])
    to_unit = np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])
    return np.asarray(to_unit @ np.linalg.inv(square) @ np.vstack([from_crop, [0, 0, 1]]))[:, :2]


def flip_back(flipped: Tensor, mirrored: Iterable[tuple[int, int]], *, shift: bool = True) -> Tensor:
    """Turn the maps of a mirrored picture into maps of the picture; see `heatmaps.flip_back`. Shape (n, k, h, w)."""
    # Not indexed with the order: that would be sent, and waited for.
    turned = torch.stack([flipped[:, joint] for joint in swapped(flipped.shape[1], mirrored)], dim=1).flip(-1)
    return torch.cat([turned[..., :1], turned[..., :-1]], dim=-1) if shift else turned


def average(heatmaps: Tensor, flipped_back: Tensor) -> Tensor:
    """Merge what the network said of a picture and of its mirror image. Same shapes."""
    return (heatmaps + flipped_back) * 0.5


def decode(heatmaps: Tensor, method: Decoding, *, sigma: float = 2.0) -> tuple[Tensor, Tensor]:
    """Find the peak of each map; see `heatmaps.decode` for the methods and for what happens at the edges.

    Args:
        heatmaps: Shape (n, k, h, w), h, w >= 1.
        method: How the place between the cells is found.
        sigma: For `dark`: of the Gaussians that the network was trained to draw, in cells.

    Returns:
        points: (x, y) in cells, shape (n, k, 2), float64, on the device.
        score: Shape (n, k), float32, on the device.
    """
    n, k, height, width = heatmaps.shape
    maps = heatmaps.float().reshape(n * k, height, width)
    score, best = maps.flatten(1).max(dim=1)
    best = torch.where(score > 0, best, 0)
    cell = torch.stack([best % width, best // width], dim=-1)
    points = cell.double()
    if method == "quarter":
        points += _quarter_step(maps, cell)
    elif method == "dark":
        points += _newton_step(maps, cell, sigma)
    return points.reshape(n, k, 2), score.reshape(n, k)


def _around(maps: Tensor, cell: Tensor, reach: int) -> Tensor:
    """Take the values within `reach` cells of a cell (x, y) of each map; beyond the border, those of the border."""
    near = torch.arange(-reach, reach + 1, device=maps.device)
    x = (cell[:, :1] + near).clamp(0, maps.shape[2] - 1)
    y = (cell[:, 1:] + near).clamp(0, maps.shape[1] - 1)
    rows = torch.arange(len(maps), device=maps.device)
    return maps[rows[:, None, None], y[:, :, None], x[:, None, :]]


def _inside(maps: Tensor, cell: Tensor, behind: int) -> Tensor:
    """Tell which cells have two before them and `behind` after them along both axes. Shape (m,)."""
    x, y = cell.unbind(-1)
    return (x > 1) & (x < maps.shape[2] - behind) & (y > 1) & (y < maps.shape[1] - behind)


def _quarter_step(maps: Tensor, cell: Tensor) -> Tensor:
    near = _around(maps, cell, 1)
    before = torch.stack([near[:, 1, 0], near[:, 0, 1]], dim=-1)
    after = torch.stack([near[:, 1, 2], near[:, 2, 1]], dim=-1)
    step = 0.25 * ((after > before).double() - (after < before).double())
    return torch.where(_inside(maps, cell, 1)[:, None], step, 0)


def _newton_step(maps: Tensor, cell: Tensor, sigma: float) -> Tensor:
    blurred = _blur(maps.double(), *blur_of(sigma))
    peak = _around(maps, cell, 0).double()
    gain = peak / blurred.amax(dim=(1, 2), keepdim=True)
    logs = (_around(blurred, cell, 2) * gain).clamp(min=SMALLEST).log()
    step = torch.stack(newton(logs), dim=-1)
    x, y = (cell + step).unbind(-1)
    lands = (x >= 0) & (x <= maps.shape[2] - 1) & (y >= 0) & (y <= maps.shape[1] - 1)
    taken = _inside(maps, cell, 2) & (gain[:, 0, 0] > 0) & lands
    return torch.where(taken[:, None], step, 0)


def _blur(maps: Tensor, side: int, deviation: float) -> Tensor:
    """Blur each map, with nothing around it: two products with banded matrices, which no setting makes less precise."""
    rows, columns = (_band(length, side, deviation, maps.device) for length in maps.shape[1:])
    return rows @ maps @ columns


def _band(length: int, side: int, deviation: float, device: torch.device) -> Tensor:
    place = torch.arange(length, device=device)
    apart = (place[:, None] - place).abs().double()
    weight = torch.exp(-(apart**2) / (2 * deviation**2)) * (apart <= side // 2)
    kernel = np.exp(-(np.arange(-(side // 2), side // 2 + 1) ** 2) / (2 * deviation**2))
    return weight / float(kernel.sum())
