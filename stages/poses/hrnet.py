"""HRNet: joints from heat maps that keep a high resolution all the way (Sun et al., CVPR 2019)."""

from typing import ClassVar

from pydantic import Field

from stages.poses.checkpoints import CheckpointPose
from stages.poses.networks.card import Architecture
from stages.topdown.options import TopDownOptions

__all__ = ["HRNetPose", "Options"]


class Options(TopDownOptions):
    """Which HRNet, how it looks at people, and where it runs."""

    width: int | None = Field(default=None, ge=1)
    """Channels of the highest resolution that the weights must have: 32 or 48. None: whatever they have."""


class HRNetPose(CheckpointPose):
    """Finds the joints of people in boxes with an HRNet of the official layout."""

    architecture: ClassVar[Architecture] = "hrnet"
    title: ClassVar[str] = "an HRNet"
    size_option: ClassVar[str] = "width"
