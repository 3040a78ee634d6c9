"""The speed of the world for what comes faster: files."""

import math
import time
from collections.abc import Callable
from typing import Final

__all__ = ["RealTime"]

_LONGEST_SECONDS: Final = 1.0
"""A larger step of the stream's clock is not waited for, and who is later than this does not catch up."""


class RealTime:
    """Says how long to wait so that the time of a stream passes as fast as that of the world.

    Args:
        clock: Seconds that never step back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the first frame."""
        self._clock = clock
        self._zero: float | None = None
        self._last_pts_seconds = -math.inf

    def wait_seconds(self, pts_seconds: float) -> float:
        """Say how long it is until a frame is due: 0 to 1 s."""
        now = self._clock()
        is_back = pts_seconds < self._last_pts_seconds
        self._last_pts_seconds = pts_seconds
        if self._zero is None or is_back or abs(self._zero + pts_seconds - now) > _LONGEST_SECONDS:
            self._zero = now - pts_seconds
        return max(0.0, self._zero + pts_seconds - now)
