"""MOTChallenge text (motchallenge.net/instructions): a row a box, `frame,id,x,y,w,h,score,...`.

Frames count from 1; (x, y) is the top left corner; all four are in pixels. What follows the score differs: in ground
truth of MOT16 and later it is `class,visibility`, 9 numbers in all; elsewhere it says nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.types import NO_TRACK, Instances

__all__ = ["PEDESTRIAN", "Rows", "format_rows", "read_rows"]

PEDESTRIAN: Final = 1
"""The class of a person in ground truth; others are vehicles, reflections, people who sit, and so on."""

_COLUMNS: Final = ("frame", "id", "x", "y", "w", "h", "score")
_WITH_CLASS: Final = 9


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a file, in order of their frames."""

    frame: NDArray[np.int64]
    """Shape (n,), from 1, rising."""
    track_id: NDArray[np.int64]
    """Shape (n,); -1 for a detection."""
    xywh: NDArray[np.float64]
    """Shape (n, 4), pixels."""
    score: NDArray[np.float64]
    """Shape (n,); in ground truth, 0 for what does not count."""
    class_id: NDArray[np.int64]
    """Shape (n,); PEDESTRIAN where the file says nothing."""

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.frame)

    @cached_property
    def last_frame(self) -> int:
        """The latest frame that has a row; 0 where there is none."""
        return int(self.frame[-1]) if len(self) else 0

    def of(self, frame: int) -> "Rows":
        """Give the rows of one frame."""
        start, stop = np.searchsorted(self.frame, [frame, frame + 1])
        return self[slice(start, stop)]

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> "Rows":
        """Select rows; their order is kept."""
        return Rows(
            self.frame[rows],
            self.track_id[rows],
            self.xywh[rows],
            self.score[rows],
            self.class_id[rows],
        )

    def people(self) -> Instances:
        """Give the rows as a table of people."""
        low, size = np.split(self.xywh, 2, axis=1)
        return Instances.of(np.hstack([low, low + size]), self.score)


def read_rows(path: Path) -> Rows:
    """Read a file; an empty one has no rows.

    Raises:
        ConfigError: It cannot be read, or a row is wrong; the message has the number of its line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        msg = f"cannot read '{path}': {reason}"
        raise ConfigError(msg) from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    table = _table(numbered, path)
    _check(table, [number for number, _ in numbered], path)
    has_classes = table.shape[1] == _WITH_CLASS
    order = np.argsort(table[:, 0], kind="stable")
    table = table[order]
    return Rows(
        frame=table[:, 0].astype(np.int64),
        track_id=table[:, 1].astype(np.int64),
        xywh=table[:, 2:6],
        score=table[:, 6],
        class_id=table[:, 7].astype(np.int64) if has_classes else np.full(len(table), PEDESTRIAN),
    )


def format_rows(frame: int, tracked: Instances) -> Iterable[str]:
    """Yield a line for everybody in a frame who has an id, with its line end.

    Args:
        frame: Number of the frame, from 1.
        tracked: With `track_id`.
    """
    assert tracked.track_id is not None
    known = tracked[tracked.track_id != NO_TRACK]
    assert known.track_id is not None
    boxes = known.xyxy.astype(np.float64)
    for track_id, (x1, y1, x2, y2), score in zip(known.track_id, boxes, known.score, strict=True):
        yield f"{frame},{track_id},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n"


def _table(numbered: list[tuple[int, str]], path: Path) -> NDArray[np.float64]:
    """Turn the lines into numbers, shape (n, columns of the first line)."""
    if not numbered:
        return np.empty((0, len(_COLUMNS)))
    try:
        table = np.loadtxt([line for _, line in numbered], delimiter=",", ndmin=2)
    except ValueError:
        width = numbered[0][1].count(",")
        number, line = next((row for row in numbered if not _is_numbers(row[1], width)), numbered[0])
        raise _wrong(
            path, number, f"must be {width + 1} numbers, {','.join(_COLUMNS)},..., got '{line[:60]}'"
        ) from None
    if table.shape[1] < len(_COLUMNS):
        raise _wrong(path, numbered[0][0], f"must be {','.join(_COLUMNS)},..., got '{numbered[0][1][:60]}'")
    return table


def _is_numbers(line: str, commas: int) -> bool:
    try:
        return len([float(word) for word in line.split(",")]) == commas + 1
    except ValueError:
        return False


def _check(table: NDArray[np.float64], numbers: list[int], path: Path) -> None:
    """Complain about the first row whose numbers make no sense."""
    finite = np.isfinite(table[:, :7]).all(axis=1)
    whole = (table[:, 0] >= 1) & (table[:, 0] % 1 == 0)
    faults = (
        (~finite, "must be finite numbers"),
        (~whole, "frames must be whole numbers from 1"),
        ((table[:, 4:6] < 0).any(axis=1), "w and h must not be negative"),
        ((table[:, 6] < 0) | (table[:, 6] > 1), "the score must be in 0..1"),
    )
    for wrong, complaint in faults:
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = ",".join(f"{value:g}" for value in table[row, :7])
            raise _wrong(path, numbers[row], f"{complaint}, got '{shown}'")


def _wrong(path: Path, number: int, complaint: str) -> ConfigError:
    return ConfigError(f"{path}:{number}: {complaint}")
