"""Which decoded pictures to believe: from a key frame on, until something is damaged."""

from collections import deque

__all__ = ["Gaps", "Trust"]

_STEPS = 8
"""So many steps between frames are remembered."""
_REGULAR_STEPS = 6
"""So many of them must be alike."""


class Trust:
    """Follows one connection's damage.

    A picture builds upon those before it. So none is believed before the first key frame, and after any damage none
    until the next one, whether the decoder complains about it or not. There are cameras that send no key frames, and
    refresh the picture bit by bit: after `key_frame_timeout_seconds` without another complaint it is believed again.

    Args:
        key_frame_timeout_seconds: How long to wait for a key frame.
    """

    def __init__(self, key_frame_timeout_seconds: float) -> None:
        """Begin without trust."""
        self._timeout_seconds = key_frame_timeout_seconds
        self._is_trusted = False
        self._quiet_since: float | None = None

    def damaged(self) -> None:
        """Note that something is missing or could not be decoded."""
        self._is_trusted = False
        self._quiet_since = None

    def believes(self, *, is_key: bool, is_corrupt: bool, monotonic: float) -> bool:
        """Judge the next picture.

        Args:
            is_key: It builds upon no other one.
            is_corrupt: The decoder says that it is damaged.
            monotonic: Now, in seconds.
        """
        if is_corrupt:
            self.damaged()
            return False
        if self._quiet_since is None:
            self._quiet_since = monotonic
        if is_key or monotonic - self._quiet_since >= self._timeout_seconds:
            self._is_trusted = True
        return self._is_trusted


class Gaps:
    """Notices that a frame is missing, in a stream whose frames come as regularly as a clock's tick.

    For connections that lose packets: there a whole frame can be missing, and no decoder says so. Where the steps are
    uneven nothing can be told.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._last: int | None = None
        self._steps: deque[int] = deque(maxlen=_STEPS)

    def before(self, pts: int | None) -> bool:
        """Tell whether something is missing before the packet of this PTS, in ticks."""
        last, self._last = self._last, pts
        if last is None or pts is None:
            return False
        step, usual = pts - last, sorted(self._steps)[len(self._steps) // 2] if self._steps else 0
        is_regular = sum(0.9 * usual < known < 1.1 * usual for known in self._steps) >= _REGULAR_STEPS
        self._steps.append(step)
        return is_regular and step > 1.5 * usual
