"""One stream on the air: a thread that draws, and an FFmpeg process that encodes and sends."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

from av.video.reformatter import VideoReformatter

from pipeline.backoff import Backoff
from pipeline.errors import SinkError
from pipeline.types import Packet
from stages.drawing.paint import Image
from stages.drawing.painter import Painter
from stages.drawing.status import dim
from stages.processes.child import Child, ChildEnded, ChildStuck
from stages.publishing.encoder import plainly, planes
from stages.publishing.mailbox import Mailbox

__all__ = ["Broadcast"]

_log = logging.getLogger(__name__)

_STEADY_SECONDS: Final = 10.0
"""A process that has run for so long works: the next failure is a new one."""
_LATEST_SECONDS: Final = 0.5
"""Pictures that are later than this are not made up for: the stream pauses, and goes on from there."""
_LAST_PICTURE_SECONDS: Final = 0.5
"""How long the last picture may take to go over when the stream ends."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """A drawn picture as it was last, and as the process reads it."""

    image: Image
    data: bytes

    @property
    def size(self) -> tuple[int, int]:
        return self.image.shape[1], self.image.shape[0]


@dataclass(slots=True)
class _Process:
    """The process, when it was started, and what of it is over."""

    backoff: Backoff
    child: Child | None = None
    since: float = 0.0
    next_try: float = 0.0
    starts: int = 0


class Broadcast:
    """Publishes one source at a constant rate, whatever comes: the last picture is repeated until there is a newer one.

    Nothing here makes the caller wait: packets go into a mailbox that forgets the oldest. When the process dies, or
    takes nothing for `stuck_seconds`, another one is started, after a while that grows.

    Args:
        name: Of the source and where it goes, for the log.
        painter: Draws the packets.
        frames_per_second: Of the stream.
        command: Gives the command line for a size (width, height); True when the stream goes on after a failure.
        folder: Where the process runs; None for where we do.
        stuck_seconds: How long the process may take nothing.
    """

    def __init__(
        self,
        name: str,
        painter: Painter,
        frames_per_second: Fraction,
        command: Callable[[tuple[int, int], bool], list[str]],
        *,
        folder: Path | None,
        stuck_seconds: float,
    ) -> None:
        """Start the thread; the process comes with the first picture."""
        self._name = name
        self._painter = painter
        self._period_seconds = float(1 / frames_per_second)
        self._command = command
        self._folder = folder
        self._stuck_seconds = stuck_seconds
        self._mailbox = Mailbox()
        self._process = _Process(Backoff())
        self._reformatter = VideoReformatter()
        self._shown: tuple[Packet, str | None] | None = None
        self._picture: _Picture | None = None
        self._ended_at = 0.0
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"publish {name}", daemon=True)
        self._thread.start()

    @property
    def restarts(self) -> int:
        """How often the process was started again."""
        return max(0, self._process.starts - 1)

    @property
    def pid(self) -> int | None:
        """Number of the process; None while there is none."""
        child = self._process.child
        return None if child is None else child.pid

    def show(self, packet: Packet) -> None:
        """Take the next packet, at once.

        Raises:
            SinkError: A picture could not be drawn or encoded; the stream has ended.
        """
        if self._failure is not None:
            msg = f"publish {self._name}: {type(self._failure).__name__}: {self._failure}"
            raise SinkError(msg) from self._failure
        self._mailbox.put(packet)

    def say(self, words: str | None) -> None:
        """Dim the picture and write across it why there is no newer one; None makes it as it was."""
        self._mailbox.say(words)

    def end(self) -> None:
        """Ask for the end: the last pictures go out, and the process is ended. Returns at once."""
        self._ended_at = time.monotonic()
        self._mailbox.close()

    def join(self) -> None:
        """Wait for the end: 3 s at most."""
        self._thread.join(3.0)
        if self._thread.is_alive():
            _log.warning("publish %s: its thread did not end; it is left behind", self._name)

    def _run(self) -> None:
        try:
            self._broadcast()
        except Exception as error:  # noqa: BLE001 - raised by the next `show`
            self._failure = error
        finally:
            if self._process.child is not None:
                self._process.child.end()
                self._process.child = None

    def _broadcast(self) -> None:
        """Send one picture a period until the mailbox is closed and empty."""
        self._mailbox.wait_for_packet()
        due = time.monotonic()
        while True:
            packet, words = self._mailbox.take()
            if packet is None and self._mailbox.is_closed:
                return
            self._look(packet, words)
            self._send()
            due = max(due + self._period_seconds, time.monotonic() - _LATEST_SECONDS)
            self._mailbox.wait_for_close(due - time.monotonic())

    def _look(self, packet: Packet | None, words: str | None) -> None:
        """Note what is to be seen; it is drawn when there is a process that takes it."""
        if packet is not None:
            self._painter.take_note(packet)
            self._shown, self._picture = (packet, None), None
        elif self._shown is not None and self._shown[1] != words:
            self._shown, self._picture = (self._shown[0], words), None

    def _draw(self) -> _Picture:
        if self._picture is None:
            assert self._shown is not None
            packet, words = self._shown
            image = self._painter.draw(packet)
            self._picture = _Picture(image, planes(image if words is None else dim(image, words), self._reformatter))
        return self._picture

    def _send(self) -> None:
        if time.monotonic() < self._process.next_try:
            return
        picture = self._draw()
        try:
            child = self._process.child or self._start(picture.size)
            child.feed(picture.data, self._stuck_seconds, self._is_late)
        except (ChildEnded, ChildStuck, OSError) as error:
            self._lose(error)
            return
        if time.monotonic() - self._process.since > _STEADY_SECONDS:
            self._process.backoff.reset()

    def _is_late(self) -> bool:
        return self._mailbox.is_closed and time.monotonic() - self._ended_at > _LAST_PICTURE_SECONDS

    def _start(self, size: tuple[int, int]) -> Child:
        process = self._process
        process.starts += 1
        process.child = Child(self._command(size, process.starts > 1), folder=self._folder)
        process.since = time.monotonic()
        _log.info("publish %s: %dx%d", self._name, *size)
        return process.child

    def _lose(self, error: Exception) -> None:
        """End what is left of a process, say why, and choose when to try again."""
        process = self._process
        if process.child is not None:
            process.child.end(patience_seconds=0.2)
            process.child = None
        if self._mailbox.is_closed:
            return
        wait_seconds = process.backoff.next_seconds()
        process.next_try = time.monotonic() + wait_seconds
        said = plainly(error.said) if isinstance(error, ChildEnded) else ""
        _log.warning(
            "publish %s: FFmpeg failed: %s%s; it is started again in %.1f s (restart %d)",
            self._name, error, said and f": {said}", wait_seconds, process.starts,
        )  # fmt: skip
