"""What a training writes down: a line a step, a line an epoch, and their curves.

- steps.csv: epoch, batch, step, loss, found joints, gradient, learning rate; every digit, to compare trainings
- epochs.csv: means of each epoch, and what was measured after it
- curves.png: both, to look at; needs matplotlib
"""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from pipeline.errors import SinkError
from stages.drawing.paint import Image
from training.curves import write_curves
from training.learner import Step
from training.place import Place
from training.witness import History, Witness
from training.writing import write_whole

__all__ = ["EPOCHS", "STEPS", "Logbook"]

STEPS: Final = "steps.csv"
EPOCHS: Final = "epochs.csv"
_CURVES: Final = "curves.png"
_COLUMNS: Final = ("epoch", "batch", "step", "loss", "found_joints", "gradient", "lr")


class Logbook(Witness):
    """The files of a training; close it.

    Args:
        folder: It exists.
        steps: How many steps were taken: what stands there of later ones, of a training that was killed, is cut off.

    Raises:
        SinkError: The files cannot be written.
    """

    def __init__(self, folder: Path, steps: int = 0) -> None:
        """Open the file of steps."""
        self._folder = folder
        path = folder / STEPS
        kept = _rows_until(path, steps) if steps else []
        write_whole(path, lambda part: part.write_text(_text(_COLUMNS, kept), encoding="utf-8"))
        self._file: IO[str] = path.open("a", encoding="utf-8", newline="", buffering=1)  # a line is there at once
        self._steps = csv.writer(self._file, lineterminator="\n")

    def step(self, place: Place, step: Step, rate: float) -> None:
        """Write down a step.

        Args:
            place: Where it began.
            step: What came of it.
            rate: The learning rate.
        """
        row = (place.epoch, place.batch, place.step + 1, step.loss, step.accuracy, step.gradient, rate)
        try:
            self._steps.writerow(row)
        except OSError as error:
            msg = f"cannot write '{self._folder / STEPS}': {error.strerror}. Make room, and go on with --resume"
            raise SinkError(msg) from error

    def epoch(self, history: History) -> None:
        """Write down all epochs so far; in each the same names, but for what was not measured."""
        names = dict.fromkeys(name for row in history for name in row)
        rows = [["" if row.get(name) is None else row[name] for name in names] for row in history]
        text = _text([*names], rows)
        write_whole(self._folder / EPOCHS, lambda part: part.write_text(text, encoding="utf-8"))

    def kept(self, history: History, draw: Callable[[], Image | None]) -> None:  # noqa: ARG002
        """Draw the curves."""
        write_curves(history, self._folder / _CURVES)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows_until(path: Path, steps: int) -> list[list[str]]:
    """Read what was written down of the first steps."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        # The last line may be half a line.
        return [row for row in rows if len(row) == len(_COLUMNS) and int(row[2]) <= steps]


def _text(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    return text.getvalue()
