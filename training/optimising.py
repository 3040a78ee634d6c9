"""Which optimiser, and what it does to which weights."""

from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import nn, optim

from pipeline import plugin

__all__ = ["OptimiserOptions", "make_optimiser"]


class OptimiserOptions(plugin.Options):
    """How weights follow their gradients. The defaults are the official ones of HRNet."""

    kind: Literal["adam", "adamw", "sgd"] = "adam"
    lr: PositiveFloat = 1e-3
    """The full learning rate; see `schedule`."""
    weight_decay: NonNegativeFloat = 0.0
    """Of the filters; biases and normalisations are not pulled to 0."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD; Nesterov's."""
    clip: PositiveFloat | None = None
    """The norm of all gradients together is cut down to this. None: left as it is."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """So many batches make one step, as if they were one large batch."""


def make_optimiser(network: nn.Module, options: OptimiserOptions) -> optim.Optimizer:
    """Make an optimiser of all weights of a network."""
    filters = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": filters, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    match options.kind:
        case "adam":
            return optim.Adam(groups, options.lr)
        case "adamw":
            return optim.AdamW(groups, options.lr)
        case "sgd":
            return optim.SGD(groups, options.lr, momentum=options.momentum, nesterov=options.momentum > 0)
