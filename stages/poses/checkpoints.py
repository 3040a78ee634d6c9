"""What the plug-ins of PyTorch checkpoints have in common: from the option `weights` to a network.

A file of our trainer says what its network was trained with. Options that state what the weights are (`joints`,
`width`, `depth`, `channels`) must agree with it. Options that say how to look (`image_size`, `padding`, `decoding`) are
the user's choice, for the networks take any size and room; where what was trained with is another, the log warns.
"""

import logging
from typing import ClassVar, Literal

from pipeline.errors import ConfigError, WeightsError
from pipeline.skeletons import skeleton_for
from stages.poses.networks.card import Architecture, Card
from stages.poses.networks.model import model_of
from stages.poses.networks.notes import card_of
from stages.poses.networks.sizes import size_in_name
from stages.poses.networks.trained import Trained
from stages.poses.topdown import Network, TopDown, trained_network
from stages.zoo import find_weights

__all__ = ["Channels", "CheckpointPose"]

_log = logging.getLogger(__name__)

Channels = Literal["rgb", "bgr"]


class CheckpointPose(TopDown):
    """A network of one architecture, with weights in a PyTorch file."""

    architecture: ClassVar[Architecture]
    title: ClassVar[str]
    """Of the architecture, with its article: `an HRNet`."""
    size_option: ClassVar[str]
    """The option that may state the size of the network: `width` or `depth`."""

    def load(self) -> Network:
        """See what the weights are, and that this is what the options say; the weights themselves are read when needed.

        Raises:
            WeightsError: They are missing, damaged, or of another architecture.
            ConfigError: They contradict an option, or the size of the picture is no multiple of 32.
            MissingPackage: PyTorch is not installed.
        """
        path = find_weights(self.options.weights)
        card = card_of(path)
        if card.architecture != self.architecture:
            msg = f"'{path}' holds {_with_article(card)}, expected {self.title}: use kind: {card.architecture}"
            raise WeightsError(msg)
        wanted = getattr(self.options, self.size_option)
        if wanted not in {None, card.size}:
            msg = (
                f"'{path}' holds {_with_article(card)}, got {self.size_option}: {wanted}: leave the option out, or "
                f"give weights of that {self.size_option}"
            )
            raise ConfigError(msg)
        trained = card.trained
        named = size_in_name(path.stem, self.options.weights) if trained is None else trained.image_size
        model = model_of(path, card, self.options.image_size or named, self.channels(card))
        if trained is None:
            return Network(card.name, model, skeleton_for(card.joints))
        self._warn_of_other_training(trained)
        return trained_network(card.name, model, trained)

    def channels(self, card: Card) -> Channels:
        """Say in which order the network gets the colours.

        Raises:
            ConfigError: An option contradicts the file.
        """
        return card.channels

    def _warn_of_other_training(self, trained: Trained) -> None:
        for name in ("image_size", "padding"):
            asked, known = getattr(self.options, name), getattr(trained, name)
            if asked not in {None, known}:
                _log.warning(
                    "'%s' was trained with %s: %s, and is used with %s, as asked: joints may be less exact",
                    self.options.weights, name, known, asked,
                )  # fmt: skip


def _with_article(card: Card) -> str:
    return f"{'an' if card.architecture == 'hrnet' else 'a'} {card.name}"
