"""How large the steps of an optimiser are, as a function of how far the training is, and of nothing else."""

import math
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from pipeline import plugin

__all__ = ["ScheduleOptions", "rate_factor"]


class ScheduleOptions(plugin.Options):
    """How the learning rate rises and falls.

    Places in the training are counted in epochs, so they hold for any size of a batch and any number of processes.
    """

    kind: Literal["step", "cosine"] = "step"
    """`step`: multiplied by `gamma` at each milestone. `cosine`: half a wave, from the full rate to `floor`."""
    warm_up_epochs: NonNegativeFloat = 0.0
    """So long, the rate rises in a straight line from a thousandth. Parts of an epoch are fine: 0.1."""
    milestones: tuple[NonNegativeFloat, ...] = (170.0, 200.0)
    """Of `step`, epochs. The official ones, of 210 epochs."""
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Of `step`."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of `cosine`: the share of the full rate that is left at the end."""


def rate_factor(options: ScheduleOptions, epoch: float, epochs: float) -> float:
    """Say which share of the full learning rate counts now.

    Args:
        options: How it rises and falls.
        epoch: How far the training is; 2.5 is the middle of the third epoch.
        epochs: How long it lasts.
    """
    warm = min(1.0, 0.001 + 0.999 * epoch / options.warm_up_epochs) if options.warm_up_epochs else 1.0
    if options.kind == "step":
        return warm * options.gamma ** sum(epoch >= milestone for milestone in options.milestones)
    wave = (1 + math.cos(math.pi * min(epoch / epochs, 1.0))) / 2
    return warm * (options.floor + (1 - options.floor) * wave)
