"""From the PTS of a camera to seconds that never stand still, never go back, and never run away."""

import math
from fractions import Fraction

__all__ = ["LiveTimeline"]

_DISORDER_SECONDS = 0.25
"""Further back than this is another clock; less is frames in disorder, or doubled."""
_EARLY_SECONDS = 1.0
"""A frame that comes so much earlier than any before it, by its own clock, was not taken in the future."""
_LEAK = 0.001
"""By how much a camera's clock may go wrong: nobody's does by more than 1 ms a second."""
_WRAPS_TICKS = (1 << 32, 1 << 33)
"""RTP counts in 32 bits: 13 hours at 90 kHz. MPEG-TS in 33."""


class LiveTimeline:
    """The presentation time of one connection, frame by frame.

    A steady PTS is passed on as it is: how evenly frames arrive says nothing about when they were taken. The time of
    arrival takes over where there is no PTS, where it stands still, and where it jumps: a camera that sets its clock
    goes on here by the time that has passed. It is a jump where PTS goes back by more than 0.25 s, or on by more than
    1 s although no frame can arrive before it was taken. Frames that the network held back, and that come all at once,
    are none. A counter that wraps goes on exactly.

    Args:
        time_base: Seconds per tick.
    """

    def __init__(self, time_base: Fraction) -> None:
        """Start before the first frame."""
        self._time_base = time_base
        self._tick_seconds = float(time_base)
        self._offset_ticks = 0
        self._last_ticks: int | None = None
        self._last_pts: int | None = None
        self._last_arrival = 0.0
        self._shortest_delay = math.inf  # between a frame's time and its arrival, but for a constant

    def seconds(self, pts: int | None, arrived_monotonic: float) -> float:
        """Give the time of the next frame in seconds, greater than that of the frame before.

        Args:
            pts: What the stream says, in ticks; None where it says nothing.
            arrived_monotonic: When the frame came, in seconds.
        """
        passed_seconds = max(0.0, arrived_monotonic - self._last_arrival)
        if self._last_ticks is None:
            ticks = pts or 0
        else:
            by_arrival = self._last_ticks + max(1, round(passed_seconds / self._tick_seconds))
            ticks = self._next(self._last_ticks, pts, arrived_monotonic, by_arrival)
            self._shortest_delay += _LEAK * passed_seconds
        self._shortest_delay = min(self._shortest_delay, arrived_monotonic - ticks * self._tick_seconds)
        self._last_ticks, self._last_pts, self._last_arrival = ticks, pts, arrived_monotonic
        return ticks * self._time_base.numerator / self._time_base.denominator

    def _next(self, last_ticks: int, pts: int | None, arrived_monotonic: float, by_arrival: int) -> int:
        if pts is None or pts == self._last_pts:
            return by_arrival
        for wrap in (0, *_WRAPS_TICKS):
            ticks = pts + self._offset_ticks + wrap
            if not self._is_jump(last_ticks, ticks, arrived_monotonic):
                self._offset_ticks += wrap
                return max(ticks, last_ticks + 1)
        self._offset_ticks = by_arrival - pts
        self._shortest_delay = math.inf  # another clock, or a stream that began with a time of no meaning
        return by_arrival

    def _is_jump(self, last_ticks: int, ticks: int, arrived_monotonic: float) -> bool:
        step_seconds = (ticks - last_ticks) * self._tick_seconds
        if step_seconds <= 0:
            return step_seconds < -_DISORDER_SECONDS
        delay = arrived_monotonic - ticks * self._tick_seconds
        return step_seconds > _EARLY_SECONDS and delay < self._shortest_delay - _EARLY_SECONDS
