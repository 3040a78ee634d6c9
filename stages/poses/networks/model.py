"""From a file of weights to what an engine runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages.engines.base import InputFormat, Model
from stages.poses.networks.card import Card
from stages.poses.networks.sizes import check_size, size_in_name, usual_size

if TYPE_CHECKING:
    from torch import nn

__all__ = ["model_of"]


def model_of(
    weights: Path, card: Card, size: tuple[int, int] | None = None, channels: Literal["rgb", "bgr"] | None = None
) -> Model:
    """Describe a network to an engine; its weights are read when the engine asks for them.

    Args:
        weights: The file.
        card: What it holds.
        size: Height and width of the pictures it sees. None: what it was trained with, as the file or its name says; or
            what is usual.
        channels: Order of the colours it sees. None: what it was trained with.

    Raises:
        ConfigError: A side is no multiple of 32.
    """
    trained = card.trained.image_size if card.trained else None
    height, width = size or trained or size_in_name(weights.stem) or usual_size(card.joints)
    check_size(height, width)

    def module() -> "nn.Module":
        from stages.poses.networks.checkpoint import read_checkpoint  # noqa: PLC0415 - needs PyTorch

        return read_checkpoint(weights).module()

    return Model(weights, InputFormat(width, height, channels=channels or card.channels), module)
