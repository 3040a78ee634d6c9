"""What a network is, without its weights. Needs no PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from stages.poses.networks.trained import Trained

__all__ = ["Architecture", "Card", "title"]

Architecture = Literal["hrnet", "poseresnet"]

_NAMES: Final[Mapping[Architecture, str]] = {"hrnet": "HRNet-W", "poseresnet": "PoseResNet-"}


@dataclass(frozen=True, eq=False)
class Card:
    """What is known of a network without its weights."""

    architecture: Architecture
    size: int
    """Width of an HRNet (32, 48), depth of a PoseResNet (50, 101, 152)."""
    joints: int
    """How many heat maps it gives."""
    channels: Literal["rgb", "bgr"]
    """Order of the colours that it was trained with; see `dialects.is_trained_on_rgb`."""
    trained: Trained | None
    """What it was trained with; None where its file does not say."""

    @property
    def name(self) -> str:
        """Name the network: `HRNet-W32`, `PoseResNet-50`."""
        return title(self.architecture, self.size)


def title(architecture: Architecture, size: int) -> str:
    """Name a network: `HRNet-W32`, `PoseResNet-50`."""
    return f"{_NAMES[architecture]}{size}"
