"""Who is known to a tracker: one row a person, with the times at which he was seen; and who has which id.

    begin -------------------> confirm -------------> keep
    seen for the first time    gets the next id       all but those whom patience has left

Rows are the tracker's to match. What it knows besides, such as motion, it keeps in arrays of the same rows: new ones
come last, and `keep` closes up all of them alike.
"""

import math
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline.types import NO_TRACK

__all__ = ["Roster", "Seconds", "Share"]

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

_PERSON: Final = np.dtype(
    [
        ("id", np.int64),  # NO_TRACK until confirmed
        ("class_id", np.int32),
        ("since", np.float64),  # first of the latest boxes without a gap, in seconds of the roster's clock
        ("seen", np.float64),  # latest box
        ("missed", np.int64),  # frames since then
        ("returned", np.bool_),  # the latest boxes came after a gap
    ]
)

_STANDSTILL_SECONDS: Final = 1 / 30
"""How much a frame ages the lost when its time is not later than the one before: else they would stay for ever."""


class Roster:
    """The people whom a tracker knows. Its clock never goes back, whatever the source's time does."""

    def __init__(self) -> None:
        """Know nobody."""
        self._people: NDArray[Any] = np.empty(0, _PERSON)
        self._last_id = 0
        self._frames = 0
        self._clock_seconds = 0.0
        self._pts_seconds: float | None = None

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._people)

    @property
    def class_id(self) -> NDArray[np.int32]:
        """Class of each person, shape (n,)."""
        return np.asarray(self._people["class_id"])

    @property
    def missed(self) -> NDArray[np.int64]:
        """Frames without a box since the latest one, shape (n,)."""
        return np.asarray(self._people["missed"])

    @property
    def unseen_seconds(self) -> NDArray[np.float64]:
        """Time since the latest box, shape (n,)."""
        return np.asarray(self._clock_seconds - self._people["seen"])

    @property
    def confirmed(self) -> NDArray[np.bool_]:
        """Who has an id, shape (n,)."""
        return np.asarray(self._people["id"] != NO_TRACK)

    def advance(self, pts_seconds: float) -> float:
        """Begin the next frame, in which nobody has been seen yet.

        Returns:
            Seconds since the frame before; 0 where time did not go on.

        Raises:
            ValueError: The time is not finite.
        """
        if not math.isfinite(pts_seconds):
            msg = f"pts_seconds must be finite, got {pts_seconds}: the source gave a frame without a time"
            raise ValueError(msg)
        step_seconds = 0.0 if self._pts_seconds is None else max(pts_seconds - self._pts_seconds, 0.0)
        self._pts_seconds = pts_seconds
        self._clock_seconds += step_seconds or _STANDSTILL_SECONDS
        self._frames += 1
        self._people["missed"] += 1
        return step_seconds

    def see(self, rows: NDArray[np.integer]) -> None:
        """Note who has a box in this frame."""
        back = rows[self._people["missed"][rows] > 1]
        self._people["since"][back], self._people["returned"][back] = self._clock_seconds, True
        self._people["seen"][rows] = self._clock_seconds
        self._people["missed"][rows] = 0

    def begin(self, class_id: NDArray[np.integer]) -> NDArray[np.int64]:
        """Add people who are seen for the first time; give their rows."""
        new = np.empty(len(class_id), _PERSON)
        new["id"], new["class_id"], new["missed"], new["returned"] = NO_TRACK, class_id, 0, False
        new["since"] = new["seen"] = self._clock_seconds
        self._people = np.concatenate([self._people, new])
        return len(self) - len(new) + np.arange(len(new))

    def confirm(self, rows: NDArray[np.integer], confirm_seconds: float | NDArray[np.floating]) -> None:
        """Give the next ids, in the order of `rows`, to those who have been seen for long enough without a gap.

        People of the first frame of all get theirs at once.

        Args:
            rows: Who has a box in this frame, shape (m,).
            confirm_seconds: How long is enough: for all, or for each one, shape (m,).
        """
        due = rows[(self._people["id"][rows] == NO_TRACK) & (self._lasted(rows, confirm_seconds) | (self._frames == 1))]
        self._people["id"][due] = self._last_id + 1 + np.arange(len(due))
        self._last_id += len(due)

    def ids(self, owner: NDArray[np.integer], confirm_again_seconds: float = 0.0) -> NDArray[np.int64]:
        """Give the id of each box.

        Args:
            owner: Row of each box, shape (m,); -1 for nobody's.
            confirm_again_seconds: Who was lost keeps his id to himself until he has been seen again for so long.
        """
        track_id = np.full(len(owner), NO_TRACK)
        boxes = np.flatnonzero(owner >= 0)
        rows = owner[boxes]
        silent = self._people["returned"][rows] & ~self._lasted(rows, confirm_again_seconds)
        track_id[boxes] = np.where(silent, NO_TRACK, self._people["id"][rows])
        return track_id

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all but these."""
        self._people = self._people[rows]

    def _lasted(self, rows: NDArray[np.integer], seconds: float | NDArray[np.floating]) -> NDArray[np.bool_]:
        return np.asarray(self._clock_seconds - self._people["since"][rows] >= seconds)
