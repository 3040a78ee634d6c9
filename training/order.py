"""Which sample comes when: a function of seed, epoch and place, and of nothing else."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.samples import Draw

__all__ = ["Order"]


class Order:
    """Batches of draws, for one of several processes.

    In each epoch everybody comes once, in an order of its own. Batches are always full, and every process has as many:
    the last ones are filled up from the beginning of the order.

    Args:
        count: How many people there are, at least one.
        batch: How many are in a batch.
        seed: Another one, another order.
        rank: Which process this is, from 0.
        world: How many processes there are.
    """

    def __init__(self, count: int, batch: int, seed: int, rank: int = 0, world: int = 1) -> None:
        """Begin with epoch 0."""
        self._count, self._batch, self._seed, self._rank, self._world = count, batch, seed, rank, world
        self._batches = math.ceil(count / (batch * world))
        self.epoch = 0
        self.first = 0
        """The batch that `__iter__` begins with: those before it were seen before a resume."""

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return self._batches

    def __iter__(self) -> Iterator[list[Draw]]:
        """Give the batches of this process, from the first to the last of the epoch."""
        epoch, rows = self.epoch, self.rows(self.epoch)
        for number in range(self.first, len(self)):
            start = (number * self._world + self._rank) * self._batch
            yield [Draw(epoch, place, int(rows[place])) for place in range(start, start + self._batch)]

    def rows(self, epoch: int) -> NDArray[np.intp]:
        """Give the order of an epoch, of all processes together."""
        order = np.random.default_rng((self._seed, epoch)).permutation(self._count)
        return np.resize(order, len(self) * self._batch * self._world)
