"""Which frames are worth a record, where a frame without one repeats the one before.

A point that stays within a circle of the tolerance needs one record for all that time. So each point gets the longest
run of frames that one circle covers, then the next: no choice of records within the tolerance has fewer, since each run
of another choice ends where the greedy one does, or earlier. What is recorded is the middle of the circle.
"""

from itertools import combinations
from math import cos, pi, sqrt
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIGITS", "Records", "Runs"]

DIGITS: Final = 1
"""Places after the point that are written: a tenth of a pixel says more than anybody knows of a joint."""

_ROUNDING_PX: Final = sqrt(2) / 2 * 10**-DIGITS
"""How far rounding moves a point, at most."""
_SIDES: Final = 15
"""A circle is taken for a polygon inside it with so many sides, an odd number; of its radius, 2 % are lost."""
_NOT_RUNNING: Final = -1

_ANGLES = 2 * pi * np.arange(_SIDES) / _SIDES
_NORMALS: Final[NDArray[np.float64]] = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])
"""Which way the sides face, shape (2, sides)."""


def _closing(first: int, second: int, third: int) -> bool:
    """Tell whether three sides, prolonged, close a triangle: less than half a turn from each one to the next."""
    return max(second - first, third - second, first - third + _SIDES) <= _SIDES // 2


_TRIPLES: Final = np.array([triple for triple in combinations(range(_SIDES), 3) if _closing(*triple)])
_SOLUTIONS: Final[NDArray[np.float64]] = np.linalg.inv(
    np.stack([*_NORMALS[:, _TRIPLES], np.ones(_TRIPLES.shape)], axis=-1)
)
"""Of each triple: from how far out its three sides lie to (x, y, radius) of the polygon that touches all three."""
_RADII: Final[NDArray[np.float64]] = np.zeros((_SIDES, len(_TRIPLES)))
_RADII[_TRIPLES, np.arange(len(_TRIPLES))[:, None]] = _SOLUTIONS[:, 2]
"""From how far out all sides lie to the radius that each triple asks for."""


class Records(NamedTuple):
    """What is to be recorded; rows of one lane come in the order of time."""

    rows: NDArray[np.intp]
    """Which row of those that were asked about, shape (m,)."""
    lanes: NDArray[np.intp]
    """Which point of that row, shape (m,)."""
    frames: NDArray[np.int64]
    """From which frame on it holds, shape (m,)."""
    places: NDArray[np.float64]
    """(x, y) in pixels, rounded; NaN where the point is hidden from that frame on. Shape (m, 2)."""


class Runs:
    """The present run of many points: those of a person have a slot, in which each one has a lane.

    A run is kept as the polygon around its points: how far out each side lies. The smallest polygon of the regular
    shape around them is the largest of those that touch three sides: linear programming in the plane, all lanes in one
    product of matrices.

    Args:
        lanes: How many points a slot has.
        tolerance_px: How far what is recorded may lie from a point, rounding included.
        tied: Lanes that share their records: the corners of a box.
    """

    def __init__(self, lanes: int, tolerance_px: float, tied: slice) -> None:
        """Begin without slots."""
        self._limit = max(0.0, tolerance_px - _ROUNDING_PX) * cos(pi / _SIDES)
        self._tied = tied
        self._reach = np.zeros((0, lanes, _SIDES))
        self._started = np.full((0, lanes), _NOT_RUNNING, np.int64)

    def update(
        self, slots: NDArray[np.intp], points: NDArray[np.floating[Any]], seen: NDArray[np.bool_], frame: int
    ) -> Records:
        """Take the points of the next frame.

        Args:
            slots: Which slots, each once, shape (n,).
            points: (x, y) in pixels, shape (n, lanes, 2).
            seen: False for a point that is hidden; of tied ones all or none. Shape (n, lanes).
            frame: Its number; larger than all before.

        Returns:
            Records of the runs that ended, and of the points that are hidden from now on.
        """
        self._make_room(slots)
        reach, started = self._reach[slots], self._started[slots]
        here = points @ _NORMALS
        wider = np.maximum(reach, here)
        fits = (wider @ _RADII).max(axis=-1) <= self._limit
        fits[:, self._tied] = fits[:, self._tied].all(axis=1, keepdims=True)
        running = started != _NOT_RUNNING
        goes_on = running & seen & fits
        ended, begun = running & ~goes_on, seen & ~goes_on
        self._reach[slots] = np.where(goes_on[..., None], wider, here)
        self._started[slots] = np.where(goes_on, started, np.where(begun, frame, _NOT_RUNNING))
        return _joined(_records(reach, started, ended), _hidden(ended & ~seen, frame))

    def end(self, slot: int) -> Records:
        """End all runs of a slot, which may then be used for somebody else."""
        slots = np.array([slot])
        started = self._started[slots]
        self._started[slots] = _NOT_RUNNING
        return _records(self._reach[slots], started, started != _NOT_RUNNING)

    def _make_room(self, slots: NDArray[np.intp]) -> None:
        missing = int(slots.max(initial=-1)) + 1 - len(self._started)
        if missing > 0:
            lanes = self._started.shape[1]
            self._reach = np.concatenate([self._reach, np.zeros((missing, lanes, _SIDES))])
            self._started = np.concatenate([self._started, np.full((missing, lanes), _NOT_RUNNING)])


def _records(reach: NDArray[np.float64], started: NDArray[np.int64], ended: NDArray[np.bool_]) -> Records:
    rows, lanes = np.nonzero(ended)
    return Records(rows, lanes, started[ended], _middles(reach[ended]))


def _hidden(hidden: NDArray[np.bool_], frame: int) -> Records:
    rows, lanes = np.nonzero(hidden)
    return Records(rows, lanes, np.full(len(rows), frame), np.full((len(rows), 2), np.nan))


def _joined(first: Records, then: Records) -> Records:
    return Records(*(np.concatenate(columns) for columns in zip(first, then, strict=True)))


def _middles(reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the middle of the smallest polygon around the points of each run, rounded, shape (m, 2)."""
    deciding = (reach @ _RADII).argmax(axis=-1)
    sides = np.take_along_axis(reach, _TRIPLES[deciding], axis=-1)
    middles: NDArray[np.float64] = (_SOLUTIONS[deciding, :2] @ sides[..., None])[..., 0]
    return middles.round(DIGITS) + 0.0  # adding 0 turns -0.0 into 0.0
