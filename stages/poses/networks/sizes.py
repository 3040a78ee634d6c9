"""Which pictures the networks take; without torch, so that options can be checked before it is loaded."""

import re
from typing import Final

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16

__all__ = ["HEATMAP_STRIDE", "STRIDE", "check_size", "size_in_name", "usual_size"]

_SIZE: Final = re.compile(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)")

STRIDE: Final = 32
"""Input pixels to a pixel of the coarsest feature map, in both networks: their sizes are multiples of it."""

HEATMAP_STRIDE: Final = 4
"""Input pixels to a pixel of the heat maps, in both networks."""


def check_size(height: int, width: int) -> None:
    """See that the networks can take pictures of a size, in pixels.

    Raises:
        ConfigError: A side is no multiple of 32: feature maps that are halved and doubled again would not fit.
    """
    if height < STRIDE or width < STRIDE or height % STRIDE or width % STRIDE:
        nearest = " x ".join(str(max(round(side / STRIDE), 1) * STRIDE) for side in (height, width))
        msg = (
            f"the network cannot take pictures of {height} x {width} (height x width): expected multiples of {STRIDE} "
            f"from {STRIDE} on. Closest: {nearest}"
        )
        raise ConfigError(msg)


def size_in_name(*names: str) -> tuple[int, int] | None:
    """Read height and width off the first name that states them, as `pose_hrnet_w32_256x192` does."""
    found = next((match for name in names if (match := _SIZE.search(name))), None)
    return (int(found[1]), int(found[2])) if found else None


def usual_size(joints: int) -> tuple[int, int]:
    """Give height and width of the pictures that networks for so many joints are mostly trained on.

    MPII's networks see squares; its boxes are squares about a centre.
    """
    return (256, 256) if joints == len(MPII_16) else (256, 192)
