"""A window on the desktop that shows all sources live."""

import logging
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import Field

from pipeline.stage import Overflow
from pipeline.types import Packet, SourceStatus
from stages.drawing.paint import Image  # noqa: TC001 - imports stand in one block
from stages.drawing.painter import DrawingOptions, Painter
from stages.drawing.status import PICTURE_STATES, dim, status_words
from stages.rows import writable_text
from stages.sinks.base import FrameSink
from stages.viewing.wall import Wall
from stages.viewing.window import Window

__all__ = ["Options", "WindowSink"]

_log = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 1 / 60
"""Pictures that come faster than this are put up, and shown with the next one."""
_EMPTY = np.zeros((360, 640, 3), np.uint8)
"""Where no frame has come yet."""


class Options(DrawingOptions):
    """Options of `window`."""

    width: Annotated[int, Field(ge=160, le=7680)] = 1280
    """Width of the picture in the window, in pixels, at most; several sources share it. The window can be resized."""
    title: str = "Kinestream"
    """Title of the window."""


class WindowSink(FrameSink):
    """Shows sources side by side in one window, as they come; the picture of a camera that is away is dimmed.

    q, Esc or the window's own button close it; the run goes on without it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"pixels"})
    overflow: ClassVar[Overflow] = "drop_oldest"
    options: Options

    def __init__(self, options: Any, out: Path) -> None:  # noqa: ANN401 - each plug-in has its own options
        """Keep the options; nothing is opened yet."""
        super().__init__(options, out)
        self._window: Window | None = None
        self._wall = Wall(options.width)
        self._painters: dict[str, Painter] = {}
        self._pictures: dict[str, Image] = {}
        self._shown_at = 0.0

    @property
    def pid(self) -> int | None:
        """Number of the process that shows the window; None when it is closed."""
        return None if self._window is None else self._window.pid

    def open(self) -> None:
        """Open the window.

        Raises:
            SinkError: There is no display, or the window does not come.
        """
        self._window = Window(writable_text(self.options.title).replace("\0", ""))
        self._wall, self._painters, self._pictures = Wall(self.options.width), {}, {}

    def write(self, packet: Packet) -> None:
        """Show the next frame.

        Raises:
            SinkError: The window died, or does not answer.
        """
        if self._window is None:
            return
        painter = self._painters.setdefault(packet.source_id, Painter(self.options))
        painter.take_note(packet)
        self._pictures[packet.source_id] = painter.draw(packet)
        self._wall.put(packet.source_id, self._pictures[packet.source_id])
        if time.monotonic() - self._shown_at >= _REFRESH_SECONDS:
            self._show()

    def source_changed(self, status: SourceStatus) -> None:
        """Give the source its place, and say in it why there is no newer picture."""
        if self._window is None:
            return
        if status.source_id not in self._pictures:
            name = writable_text(status.source_id)
            self._wall.put(status.source_id, dim(_EMPTY, f"{name}: {status_words(status)}"))
        elif status.state not in PICTURE_STATES:
            self._wall.put(status.source_id, dim(self._pictures[status.source_id], status_words(status)))
        self._show()

    def close(self) -> None:
        """Close the window."""
        window, self._window = self._window, None
        if window is not None:
            window.close()

    def _show(self) -> None:
        assert self._window is not None
        self._shown_at = time.monotonic()
        if not self._window.show(self._wall.picture()):
            _log.info("the window was closed; the run goes on without it")
            self.close()
