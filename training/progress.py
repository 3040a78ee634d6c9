"""What a training says while somebody looks: a bar in a terminal, and a few lines an epoch anywhere."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from training.learner import Step
from training.place import Place
from training.witness import History, Witness

__all__ = ["Watch"]


class Watch(Witness):
    """Shows loss, learning rate, precision, speed, and how long it will still take; close it.

    Args:
        console: Where.
        epochs: How long the training lasts.
        main: The number by which networks are compared; empty if nothing is measured.
    """

    def __init__(self, console: Console, epochs: int, main: str) -> None:
        """Show an empty bar, in a terminal."""
        self._console, self._epochs, self._main = console, epochs, main
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=epochs)
        self._measured = ""
        self._bar.start()

    def step(self, place: Place, step: Step, rate: float) -> None:
        """Show a step."""
        words = f"epoch {place.epoch + 1}/{self._epochs}  loss {step.loss:.2e}  lr {rate:.1e}{self._measured}"
        self._bar.update(self._task, description=words, completed=place.epochs + 1 / place.batches)

    def epoch(self, history: History) -> None:
        """Say what came of an epoch, and show what was measured as a table."""
        row = history[-1]
        self._measured = f"  {row['images_per_second']:.0f} images/s"
        best = max((past[self._main] for past in history if past.get(self._main) is not None), default=None)
        if best is not None:
            self._measured += f"  best {self._main} {best:.3f}"
        self._console.print(
            f"epoch {row['epoch']}/{self._epochs}  loss {row['loss']:.3e}  found {row['found_joints']:.3f}"
            f"  lr {row['lr']:.1e}  {row['images_per_second']:.1f} images/s  waiting {row['waiting']:.0%}",
            highlight=False,
        )
        if row.get(self._main) is not None:
            self._console.print(_table(row))

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def _table(row: Mapping[str, Any]) -> Table:
    names = [*row][[*row].index("broken") + 1 :]  # what was measured stands last
    table = Table(*names, box=None, pad_edge=False)  # as narrow as it can be: ten numbers in 80 columns
    table.add_row(*("-" if row[name] is None else f"{row[name]:.3f}" for name in names))
    return table
