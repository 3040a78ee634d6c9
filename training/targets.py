"""What the network is to draw: a Gaussian about each joint, on the grid of its heat maps.

plain  about the cell that is nearest to the joint, cut off at three deviations (official HRNet code)
dark   about the joint itself (Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose
Estimation", CVPR 2020, section 3.2): for networks that are read with `decoding: dark`
udp    the same, and the grid lies in the picture by another rule (Huang et al., CVPR 2020; `regions.to_input`)
"""

from typing import TYPE_CHECKING, Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, field_validator

from pipeline import plugin
from pipeline.errors import ConfigError
from stages.poses.networks.sizes import HEATMAP_STRIDE, check_size
from stages.poses.networks.trained import Encoding
from stages.topdown.heads import HeatmapHead

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TargetOptions", "draw", "is_drawn"]

_DEVIATIONS: Final = 3
"""So far a Gaussian reaches."""


class TargetOptions(plugin.Options):
    """What the network sees, and what it is to say."""

    image_size: tuple[PositiveInt, PositiveInt] = (256, 192)
    """Height and width of the picture that the network sees, pixels: multiples of 32."""
    encoding: Encoding = "plain"
    """`plain` (as the official results), `dark` or `udp`: exact to a fraction of a cell."""
    sigma: Annotated[float, Field(gt=0)] | None = None
    """Standard deviation of the Gaussians, cells. None: 2 for pictures 256 high, 3 for 384, as the official code."""
    padding: Annotated[float, Field(ge=1, le=3)] = 1.25
    """Factor on both sides of a box before it is cut out."""
    joint_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Joints that count more or less than 1: `{wrist: 1.5, ankle: 1.5, elbow: 1.2, knee: 1.2}` is what the official
    code can do."""

    @field_validator("image_size")
    @classmethod
    def _fits_the_networks(cls, size: tuple[int, int]) -> tuple[int, int]:
        try:
            check_size(*size)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return size

    @property
    def width(self) -> int:
        """Of the picture, pixels."""
        return self.image_size[1]

    @property
    def height(self) -> int:
        """Of the picture, pixels."""
        return self.image_size[0]

    @property
    def grid_width(self) -> int:
        """Of the heat maps, cells."""
        return self.width // HEATMAP_STRIDE

    @property
    def grid_height(self) -> int:
        """Of the heat maps, cells."""
        return self.height // HEATMAP_STRIDE

    @property
    def cell_px(self) -> tuple[float, float]:
        """How many pixels of the picture a cell is wide and high; cell 0 lies on pixel 0."""
        less = 1 if self.udp else 0
        return (self.width - less) / (self.grid_width - less), (self.height - less) / (self.grid_height - less)

    @property
    def udp(self) -> bool:
        """Whether grids lie in their region by UDP's rule."""
        return self.encoding == "udp"

    @property
    def deviation(self) -> float:
        """Of the Gaussians, cells."""
        return self.sigma or HeatmapHead.sigma(self.grid_height)


def draw(cells: "Tensor", target: TargetOptions) -> "Tensor":
    """Draw a Gaussian of height 1 about each joint.

    Args:
        cells: (x, y) on the grid of the heat maps, the centre of the first cell at 0; shape (n, k, 2), float32, on any
            device.
        target: How.

    Returns:
        Shape (n, k, grid_height, grid_width), float32, on the same device.
    """
    columns = _bell(cells[..., 0], target.grid_width, target)
    rows = _bell(cells[..., 1], target.grid_height, target)
    return rows[..., :, None] * columns[..., None, :]


def _bell(centres: "Tensor", length: int, target: TargetOptions) -> "Tensor":
    """Draw along one side: a Gaussian of two dimensions is the product of two of one. (n, k) -> (n, k, length)."""
    import torch  # noqa: PLC0415 - workers that only cut pictures do without

    middle = torch.floor(centres + 0.5) if target.encoding == "plain" else centres
    away = torch.arange(length, dtype=centres.dtype, device=centres.device) - middle[..., None]
    bell = torch.exp(-(away**2) / (2 * target.deviation**2))
    return bell * (away.abs() <= _DEVIATIONS * target.deviation) if target.encoding == "plain" else bell


def is_drawn(cells: NDArray[np.floating], target: TargetOptions) -> NDArray[np.bool_]:
    """Tell which joints, shape (k, 2), lie on the map or so near that their Gaussian reaches it: shape (k,)."""
    middle = np.floor(cells + 0.5) if target.encoding == "plain" else cells
    margin = _DEVIATIONS * target.deviation
    last = np.array([target.grid_width - 1, target.grid_height - 1])
    return np.asarray(((middle >= -margin) & (middle <= last + margin)).all(axis=-1))
