"""What the plug-ins of official PyTorch checkpoints have in common: from the option `weights` to a network."""

from typing import ClassVar, Literal

from pipeline.errors import ConfigError, WeightsError
from stages.poses.networks.card import Architecture, Card
from stages.poses.networks.model import model_of
from stages.poses.networks.notes import card_of
from stages.poses.networks.sizes import size_in_name
from stages.poses.topdown import Network, TopDown
from stages.zoo import find_weights

__all__ = ["Channels", "CheckpointPose"]

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
        named = size_in_name(path.stem, self.options.weights)
        model = model_of(path, card, self.options.image_size or named, self.channels(card))
        return Network(card.name, model, card.joints)

    def channels(self, card: Card) -> Channels:
        """Say in which order the network gets the colours."""
        return card.channels


def _with_article(card: Card) -> str:
    return f"{'an' if card.architecture == 'hrnet' else 'a'} {card.name}"
