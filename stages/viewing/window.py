"""A window on the desktop, in a process of its own."""

import os
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pipeline.errors import MissingPackage, SinkError
from stages.drawing.paint import Image
from stages.processes.child import Child, ChildEnded, ChildStuck
from stages.viewing.viewer import CLOSED, HEADER

__all__ = ["Window"]

_PROGRAM: Final = Path(__file__).with_name("viewer.py")
_OPENING_SECONDS: Final = 15.0
_STUCK_SECONDS: Final = 5.0
_ELSEWHERE: Final = "use the sink `publish` to watch from another machine, or `video` to watch later"


class Window:
    """Shows pictures until somebody closes it.

    Args:
        title: Of the window.

    Raises:
        MissingPackage: What draws it is not installed.
        SinkError: There is no display, or the window does not come.
    """

    def __init__(self, title: str) -> None:
        """Open it, and wait until it is there."""
        if find_spec("pygame") is None:
            msg = "a window needs the package 'pygame-ce': pip install 'kinestream[window]'"
            raise MissingPackage(msg)
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            msg = f"cannot open a window: no display, DISPLAY is not set; {_ELSEWHERE}"
            raise SinkError(msg)
        try:
            self._child = Child([sys.executable, "-P", str(_PROGRAM), title])
        except OSError as error:
            msg = f"cannot open a window: its process cannot be started: {error}"
            raise SinkError(msg) from error
        self._await_ready()

    @property
    def pid(self) -> int:
        """Number of the process that shows it."""
        return self._child.pid

    def show(self, picture: Image) -> bool:
        """Show a picture: shape (H, W, 3), uint8, BGR.

        Returns:
            False when somebody has closed the window.

        Raises:
            SinkError: It died, or does not answer.
        """
        data = HEADER.pack(picture.shape[1], picture.shape[0]) + picture.tobytes()
        try:
            self._child.feed(data, _STUCK_SECONDS, lambda: False)
        except ChildEnded as error:
            if self._child.return_code == CLOSED:
                return False
            msg = f"the window is gone: {error}: {error.said or 'it said nothing'}"
            raise SinkError(msg) from error
        except ChildStuck as error:
            msg = f"the window does not answer: {error}; look whether the display still does"
            raise SinkError(msg) from error
        return True

    def close(self) -> None:
        """Close it, within 3 s. Calling it twice is fine."""
        self._child.end()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _OPENING_SECONDS
        while "ready" not in self._child.last_words():
            if self._child.return_code is not None or time.monotonic() > deadline:
                self._child.end(patience_seconds=0.2)
                display, said = os.environ.get("DISPLAY", ""), self._child.last_words() or "it does not come"
                msg = f"cannot open a window on the display '{display}': {said}; {_ELSEWHERE}"
                raise SinkError(msg)
            time.sleep(0.01)
