"""What the outputs of a pose network mean: heat maps (HRNet, PoseResNet, ViTPose) or SimCC (RTMPose)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.topdown.heatmaps import Decoding, average, decode, flip_back
from stages.topdown.simcc import decode_simcc, flip_back_simcc

__all__ = ["Head", "HeatmapHead", "Outputs", "Reading", "SimccHead"]

Outputs = Sequence[NDArray[np.float32]]
"""What a network gave for n crops, in its order; each with n rows."""


class Reading(NamedTuple):
    """Joints of n crops, on the grid that the network speaks of."""

    points: NDArray[np.float64]
    """(x, y) in cells of the grid, shape (n, k, 2)."""
    score: NDArray[np.float32]
    """As the network gives it, shape (n, k)."""
    width: int
    """Of the grid, in cells."""
    height: int
    """Of the grid, in cells."""


class Head(ABC):
    """Reads the outputs of one kind of network."""

    joints: int
    """How many joints the network finds."""

    @abstractmethod
    def merge(self, outputs: Outputs, mirrored: Outputs) -> list[NDArray[np.float32]]:
        """Average what the network said of crops with what it said of the same crops mirrored left to right."""

    @abstractmethod
    def read(self, outputs: Outputs) -> Reading:
        """Find the joints."""


@dataclass(frozen=True)
class HeatmapHead(Head):
    """First output of shape (n, k, h, w): where each joint may be."""

    joints: int
    pairs: Sequence[tuple[int, int]] = ()
    """Joints that change places in a mirror."""
    decoding: Decoding = "quarter"
    udp: bool = False
    """The network was trained with unbiased data processing: its mirrored maps need no shift by one cell."""
    trained_sigma: float | None = None
    """Deviation of the Gaussians that the network was trained to draw, in cells; None: see `sigma`."""

    def merge(self, outputs: Outputs, mirrored: Outputs) -> list[NDArray[np.float32]]:
        """Average two times (n, k, h, w)."""
        return [average(outputs[0], flip_back(mirrored[0], self.pairs, shift=not self.udp))]

    def read(self, outputs: Outputs) -> Reading:
        """Find the peaks; the grid is the heat map."""
        height, width = outputs[0].shape[2:]
        return Reading(*decode(outputs[0], self.decoding, sigma=self.deviation(height)), width, height)

    def deviation(self, height: int) -> float:
        """Give the deviation of the Gaussians that this network was trained to draw, on maps so high, in cells."""
        return self.trained_sigma or self.sigma(height)

    @staticmethod
    def sigma(height: int) -> float:
        """Give the deviation of the Gaussians that a network is usually trained to draw, in cells.

        2 for maps 64 high and 3 for maps 96 high (official HRNet configurations, MODEL.SIGMA); in between and beyond,
        in proportion.

        Args:
            height: Of the heat map, in cells.
        """
        return max(height / 32, 1.0)


@dataclass(frozen=True)
class SimccHead(Head):
    """First two outputs, (n, k, columns) and (n, k, rows): each coordinate of a joint is a class (SimCC, ECCV 2022)."""

    joints: int
    width: int
    """Of the network's input, pixels."""
    height: int
    """Of the network's input, pixels."""
    split_ratio: float = 2.0
    """Classes a pixel of the input."""
    pairs: Sequence[tuple[int, int]] = ()
    """Joints that change places in a mirror."""

    def merge(self, outputs: Outputs, mirrored: Outputs) -> list[NDArray[np.float32]]:
        """Average both outputs; each on its own, as they are read."""
        back = flip_back_simcc(mirrored[0], mirrored[1], self.pairs)
        return [average(here, there) for here, there in zip(outputs[:2], back, strict=True)]

    def read(self, outputs: Outputs) -> Reading:
        """Find the best class of each coordinate; the grid is the network's input."""
        return Reading(*decode_simcc(outputs[0], outputs[1], self.split_ratio), self.width, self.height)
