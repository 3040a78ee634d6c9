"""A client that reads what a server of cameras sends."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from typing import NamedTuple

import av
import pytest
from clips import number_of
from rtsp_server import QUICK


class Seen(NamedTuple):
    """One frame as a client got it."""

    number: int | None
    seconds: float | None
    """Its PTS; the first one of a stream may have none."""
    size: tuple[int, int]
    is_corrupt: bool


class Viewer:
    """Reads frames from an address, as numbers; closed after the test."""

    def __init__(self, container: av.container.InputContainer) -> None:
        self.container = container
        self._frames = self._decoded()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self.container.demux(video=0):
            # What is left of a picture when the stream breaks off may be too little for any.
            with suppress(av.error.InvalidDataError):
                yield from packet.decode()

    def see(self, count: int) -> list[Seen]:
        """Read so many frames; fewer when the stream ends."""
        return [
            Seen(
                number_of(frame.to_ndarray(format="bgr24")),
                None if frame.pts is None or frame.time_base is None else float(frame.pts * frame.time_base),
                (frame.width, frame.height),
                frame.is_corrupt,
            )
            for frame in islice(self._frames, count)
        ]

    def numbers(self, count: int) -> list[int | None]:
        """Read the numbers of so many frames."""
        return [seen.number for seen in self.see(count)]


@pytest.fixture
def watch() -> Iterator[Callable[..., Viewer]]:
    """Open an address, over TCP unless `rtsp_transport` says otherwise; `timeout` in microseconds, as text."""
    with ExitStack() as opened:
        yield lambda url, **options: Viewer(opened.enter_context(av.open(url, options={**QUICK, **options})))
