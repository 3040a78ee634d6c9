"""From the PTS of a container to seconds that never stand still and never go back."""

from fractions import Fraction

__all__ = ["Timeline", "ticks_of_rate"]

_CLOCK_STEP_SECONDS = 0.25
"""Further back than this is a new clock (joined recordings); less is frames in disorder after damage, or doubled."""
_LARGEST_RATE_DENOMINATOR = 1001
"""Rates of television are n * 1000/1001; no other one needs a larger denominator."""


class Timeline:
    """The presentation time of one stream, frame by frame.

    A good PTS is passed on as it is. Where it is missing, time goes on by the duration of the frame before. Where
    it repeats or goes back a little, the frame gets one tick more than the one before; where it goes back far,
    another recording begins, and its clock is moved so that it goes on one frame after the last.

    Args:
        time_base: Seconds per tick.
        frame_ticks: Duration of a frame that does not say its own, in ticks; at least 1.
    """

    def __init__(self, time_base: Fraction, frame_ticks: int) -> None:
        """Start before the first frame."""
        self._numerator, self._denominator = time_base.numerator, time_base.denominator
        self._frame_ticks = max(1, frame_ticks)
        self._step_ticks = int(_CLOCK_STEP_SECONDS / time_base)
        self._offset_ticks = 0
        self._last_ticks: int | None = None
        self._next_ticks = 0

    def seconds(self, pts: int | None, duration: int | None = None) -> float:
        """Give the time of the next frame in seconds, greater than that of the frame before.

        Args:
            pts: What the container says, in ticks; None where it says nothing.
            duration: Of this frame, in ticks; None or 0 where it is not known.
        """
        ticks = self._next_ticks if pts is None else pts + self._offset_ticks
        if self._last_ticks is not None and ticks <= self._last_ticks:
            if self._last_ticks - ticks > self._step_ticks:
                self._offset_ticks += self._next_ticks - ticks
                ticks = self._next_ticks
            else:
                ticks = self._last_ticks + 1
        self._last_ticks = ticks
        self._next_ticks = ticks + (duration or self._frame_ticks)
        return ticks * self._numerator / self._denominator


def ticks_of_rate(frames_per_second: float) -> Fraction:
    """Give the time base in which frame i of a made-up stream has PTS i: `1/25` for 25."""
    return 1 / Fraction(frames_per_second).limit_denominator(_LARGEST_RATE_DENOMINATOR)
