"""Who is told what happens in a training: log files, TensorBoard, the terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stages.drawing.paint import Image
from training.learner import Step
from training.place import Place

__all__ = ["History", "Witness"]

History = Sequence[Mapping[str, Any]]
"""A row an epoch: name -> value; what was measured stands last, None where there was nobody to measure it on."""


class Witness:
    """Told of everything; takes what it wants."""

    def step(self, place: Place, step: Step, rate: float) -> None:
        """Take note of a step.

        Args:
            place: Where it began.
            step: What came of it.
            rate: The learning rate.
        """

    def epoch(self, history: History) -> None:
        """Take note of an epoch, the last row of the history."""

    def kept(self, history: History, draw: Callable[[], Image | None]) -> None:
        """Take note that a checkpoint was written.

        Args:
            history: Of all epochs.
            draw: Draws some crops with the joints that were found in them, BGR; None if nothing was seen yet.
        """

    def close(self) -> None:
        """End. Calling it twice is fine."""
