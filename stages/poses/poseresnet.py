"""PoseResNet, the simple baseline: a ResNet and three transposed convolutions (Xiao et al., ECCV 2018)."""

from typing import ClassVar, Literal

from pydantic import Field

from pipeline.errors import ConfigError
from stages.poses.checkpoints import Channels, CheckpointPose
from stages.poses.networks.card import Architecture, Card
from stages.topdown.options import TopDownOptions

__all__ = ["Options", "PoseResNetPose"]


class Options(TopDownOptions):
    """Which PoseResNet, how it looks at people, and where it runs."""

    depth: int | None = Field(default=None, ge=1)
    """Layers that the weights must have: 50, 101 or 152. None: whatever they have."""
    channels: Literal["auto", "rgb", "bgr"] = "auto"
    """Order of the colours that the weights were trained with. `auto`: what the file says; else bgr for files of the
    official trainer (its configurations of every PoseResNet say COLOR_RGB: false), rgb for those of mmpose and
    simple-HRNet."""


class PoseResNetPose(CheckpointPose):
    """Finds the joints of people in boxes with a PoseResNet of the official layout."""

    options: Options
    architecture: ClassVar[Architecture] = "poseresnet"
    title: ClassVar[str] = "a PoseResNet"
    size_option: ClassVar[str] = "depth"

    def channels(self, card: Card) -> Channels:
        """Take what the options say, else what the trainer of this file does.

        Raises:
            ConfigError: The file says otherwise.
        """
        asked = card.channels if self.options.channels == "auto" else self.options.channels
        if card.trained is not None and asked != card.channels:
            msg = (
                f"'{self.options.weights}' was trained on {card.channels}, as the file says, got channels: {asked}:"
                " leave the option out"
            )
            raise ConfigError(msg)
        return asked
