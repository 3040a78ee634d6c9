"""How fast frames come, and which of them to leave out; by the stream's own clock."""

import math
from collections import deque

__all__ = ["Rate", "Thinning", "clock"]


class Rate:
    """Measures frames per second over the last second of one source."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._times: deque[float] = deque()

    def add(self, pts_seconds: float) -> float | None:
        """Count a frame, and give the rate; None as long as there is only one. A clock that steps back starts over."""
        times = self._times
        if times and pts_seconds <= times[-1]:
            times.clear()
        times.append(pts_seconds)
        while len(times) > 2 and times[1] <= pts_seconds - 1.0:
            times.popleft()
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None


class Thinning:
    """Takes at most so many frames a second, evenly: the first one in each slot of time.

    Args:
        frames_per_second: None takes all.
    """

    def __init__(self, frames_per_second: float | None) -> None:
        """Begin with the first slot free."""
        self._frames_per_second = frames_per_second
        self._slot: int | None = None

    def takes(self, pts_seconds: float) -> bool:
        """Decide about the next frame."""
        if self._frames_per_second is None:
            return True
        # A slot begins a little early: 0.3 s at 10 a second is slot 3, although 0.3 * 10 may come out as 2.9999999.
        slot, self._slot = self._slot, math.floor(pts_seconds * self._frames_per_second + 1e-6)
        return slot != self._slot


def clock(seconds: float) -> str:
    """Write a time of a stream: `1:02:03.4`; minutes and seconds only below an hour."""
    tenths = round(abs(seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    sign, front = "-" if seconds < 0 and tenths else "", f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{sign}{front}:{rest // 10:02}.{rest % 10}"
