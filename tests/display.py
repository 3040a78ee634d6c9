"""A display that nobody looks at: Xvfb, on a number that was free.

with VirtualDisplay() as display:
    ...  # with DISPLAY=display.name
    picture = display.screenshot()
"""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from programs import Program

WIDTH, HEIGHT = 1024, 768


class VirtualDisplay(Program):
    """An X server whose screen is a file; no window manager runs on it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="display-")
        options = ["-displayfd", "1", "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", self._folder.name]
        super().__init__("/usr/bin/Xvfb", *options, "-nolisten", "tcp", "-noreset")
        self.name = ""

    def start(self) -> None:
        super().start()
        self.name = f":{self.hear()}"

    def stop(self, grace_seconds: float = 5.0) -> None:
        super().stop(grace_seconds)
        self._folder.cleanup()

    def screenshot(self) -> NDArray[np.uint8]:
        """Give what is on the screen: shape (HEIGHT, WIDTH, 3), uint8, BGR."""
        dump = (Path(self._folder.name) / "Xvfb_screen0").read_bytes()
        header = np.frombuffer(dump, ">u4", 25)  # X window dump: length of the header, ..., bytes a line, ..., colours
        start, line_bytes, colours = int(header[0]), int(header[12]), int(header[19])
        pixels = np.frombuffer(dump, np.uint8, line_bytes * HEIGHT, start + 12 * colours)
        return pixels.reshape(HEIGHT, line_bytes // 4, 4)[:, :WIDTH, :3]
