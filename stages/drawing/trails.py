"""Where everybody was in the last seconds."""

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from pipeline.types import NO_TRACK, Instances

__all__ = ["Trails"]

Place = tuple[float, float, float]
"""PTS in seconds, x and y in pixels."""

_SMOOTHING_SECONDS = 0.12
"""Time constant of the low-pass that takes the trembling of boxes out of a trail."""


class Trails:
    """Remembers the feet of each identity of one source, for a while.

    Args:
        seconds: How far back, in stream time.
    """

    def __init__(self, seconds: float) -> None:
        """Remember nobody."""
        self._seconds = seconds
        self._places: dict[int, deque[Place]] = {}

    def add(self, instances: Instances, pts_seconds: float) -> None:
        """Take the next frame, and forget what is too old. A clock that steps back starts all over."""
        if any(places[-1][0] > pts_seconds for places in self._places.values()):
            self._places.clear()
        if instances.track_id is not None:
            feet = np.column_stack((instances.xyxy[:, [0, 2]].mean(axis=1), instances.xyxy[:, 3]))
            for track_id, place in zip(instances.track_id.tolist(), feet.tolist(), strict=True):
                if track_id != NO_TRACK:
                    self._step(self._places.setdefault(track_id, deque()), pts_seconds, *place)
        self._forget(pts_seconds - self._seconds)

    def _step(self, places: deque[Place], pts_seconds: float, x: float, y: float) -> None:
        if places:
            then, x0, y0 = places[-1]
            share = 1.0 - math.exp((then - pts_seconds) / _SMOOTHING_SECONDS)
            x, y = x0 + share * (x - x0), y0 + share * (y - y0)
        places.append((pts_seconds, x, y))

    def _forget(self, before_seconds: float) -> None:
        for track_id, places in list(self._places.items()):
            while places and places[0][0] < before_seconds:
                places.popleft()
            if not places:
                del self._places[track_id]

    def paths(self, pts_seconds: float) -> dict[int, NDArray[np.float32]]:
        """Give the path of each identity: rows of (x, y, freshness), oldest first, shape (m, 3), float32.

        x and y are pixels; freshness falls from 1 (now) to 0 (`seconds` ago).
        """
        return {track_id: self._path(places, pts_seconds) for track_id, places in self._places.items()}

    def _path(self, places: deque[Place], pts_seconds: float) -> NDArray[np.float32]:
        rows = np.array(places)
        age = (pts_seconds - rows[:, 0]) / max(self._seconds, 1e-9)
        return np.column_stack((rows[:, 1:], 1.0 - age)).astype(np.float32)
