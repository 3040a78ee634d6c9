"""Being asked to stop: SIGTERM, or Ctrl-C; the second Ctrl-C does not ask any more."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stop", "listening"]


class Stop:
    """Whether somebody has asked."""

    asked = False


@contextmanager
def listening() -> Iterator[Stop]:
    """Listen to signals; call it on the main thread."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(_number: int, _frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(signal.SIGINT, before[signal.SIGINT])

    for number in before:
        signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
