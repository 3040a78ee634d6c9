"""When to hand on frames that come in heaps."""

__all__ = ["Pace"]

_LATE_SECONDS = 1.0
"""Who is so late has lost the rhythm: a new one begins."""


class Pace:
    """Spreads the frames of a stream that is fetched in pieces, some seconds each, over the time that they show.

    Given on as they come, all frames of a piece but the last would be out of date at once, and nothing would come
    until the next piece is there.
    """

    def __init__(self) -> None:
        """Begin with the first frame."""
        self._start: float | None = None  # when a frame of time 0 was due

    def wait_seconds(self, pts_seconds: float, monotonic: float) -> float:
        """Say how long to keep the next frame; 0 or more."""
        if self._start is None or monotonic - self._start - pts_seconds > _LATE_SECONDS:
            self._start = monotonic - pts_seconds
        return max(0.0, self._start + pts_seconds - monotonic)
