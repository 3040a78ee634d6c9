"""A camera that behaves, connection by connection, as a test tells it to; on the clock of the running event loop."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import repeat

from fakes import make_frame

from pipeline.errors import AuthenticationFailed, SourceError
from pipeline.stage import Source
from pipeline.types import Frame

__all__ = ["Connection", "FakeCamera", "absent", "refuses_password"]

FRAME_SECONDS = 0.04


@dataclass(frozen=True)
class Connection:
    """How one connection goes."""

    open_error: Exception | None = None
    open_seconds: float = 0.1
    frames: float = float("inf")
    then: str = "close"
    """After the frames: `close` (an error), `silence`, `end` (for good), `crash` (an error of no known kind)."""
    corrupt: frozenset[int] = frozenset()
    """Indices of frames that are damaged."""
    first_pts_seconds: float = 0.0
    close_seconds: float = 0.0


def absent(seconds: float = 0.01) -> Connection:
    return Connection(open_error=SourceError("cannot connect: connection refused"), open_seconds=seconds)


refuses_password = Connection(open_error=AuthenticationFailed("401 Unauthorized"))


class FakeCamera(Source):
    """Goes through `connections`, the last one again and again."""

    live = True

    def __init__(
        self,
        source_id: str = "door",
        connections: Iterable[Connection] = (),
        *,
        choose: Callable[[], Connection] | None = None,
        stall_timeout_seconds: float = 5.0,
        host: str = "",
    ) -> None:
        self._source_id = source_id
        self._connections = _last_one_repeats(connections)
        self._choose = choose or (lambda: next(self._connections))
        self._now = Connection()
        self._index = 0
        self.stall_timeout_seconds = stall_timeout_seconds
        self.host = host
        self.opened_at: list[float] = []
        self.closed_at: list[float] = []
        self.is_open = False

    @property
    def source_id(self) -> str:
        return self._source_id

    def rename(self, source_id: str) -> None:
        self._source_id = source_id

    async def open(self) -> None:
        assert not self.is_open
        self._now, self._index = self._choose(), 0
        self.opened_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._now.open_seconds)
        if self._now.open_error is not None:
            raise self._now.open_error
        self.is_open = True

    async def read(self) -> Frame | None:
        if self._index >= self._now.frames:
            await self._after_the_frames()
            return None
        await asyncio.sleep(FRAME_SECONDS)
        clock = asyncio.get_running_loop().time
        frame = make_frame(self._index, self._source_id, live=True, arrived=clock())
        pts_seconds = self._now.first_pts_seconds + self._index * FRAME_SECONDS
        self._index += 1
        return replace(frame, pts_seconds=pts_seconds, is_corrupt=frame.index in self._now.corrupt)

    async def _after_the_frames(self) -> None:
        if self._now.then == "silence":
            await asyncio.Event().wait()
        if self._now.then == "close":
            msg = "the camera closed the stream"
            raise SourceError(msg)
        if self._now.then == "crash":
            msg = "nobody thought of this"
            raise ValueError(msg)

    async def close(self) -> None:
        self.is_open = False
        self.closed_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._now.close_seconds)


def _last_one_repeats(connections: Iterable[Connection]) -> Iterator[Connection]:
    last = Connection()
    for last in connections:
        yield last
    yield from repeat(last)
