"""How far a training is, and what its epoch has come to so far."""

from dataclasses import asdict, dataclass
from typing import Any, Self

__all__ = ["Place", "Totals"]


@dataclass(frozen=True)
class Place:
    """What comes next."""

    epoch: int = 0
    batch: int = 0
    """Of the epoch, of this process."""
    batches: int = 1
    """How many an epoch has."""
    step: int = 0
    """How many steps were taken."""

    @property
    def epochs(self) -> float:
        """How far the training is, in epochs."""
        return self.epoch + self.batch / self.batches

    def within(self, batches: int) -> Self:
        """Find the same place among another number of batches: the data, the batch or the processes have changed."""
        return type(self)(self.epoch, self.batch * batches // self.batches, batches, self.step)

    def after(self, batches: int) -> Self:
        """Find the place after a step of so many batches."""
        return type(self)(self.epoch, self.batch + batches, self.batches, self.step + 1)

    def next_epoch(self) -> Self:
        """Find the beginning of the next epoch."""
        return type(self)(self.epoch + 1, 0, self.batches, self.step)

    def plain(self) -> dict[str, int]:
        """Give it as plain values."""
        return asdict(self)


@dataclass
class Totals:
    """Sums over the steps of an epoch."""

    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    images: int = 0

    def add(self, loss: float, accuracy: float, images: int) -> None:
        """Count a step."""
        self.steps, self.images = self.steps + 1, self.images + images
        self.loss, self.accuracy = self.loss + loss, self.accuracy + accuracy

    def plain(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self)
