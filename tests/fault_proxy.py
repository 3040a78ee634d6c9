"""A TCP proxy that behaves as badly as a network can; on 127.0.0.1, in a thread of its own.

    with FaultProxy(server.port) as proxy:
        av.open(proxy.through(server.url("/cam")), options=TCP)     # passes everything, and counts
        proxy.apply(Stall())               # from now on nothing comes, on all connections, present and future
        proxy.apply(Pass())                # and on it goes, with all that was held up
        proxy.apply(Refuse())              # nobody listens any more; present connections are as they were
        proxy.script(Silent(), Cut(50_000), Pass())    # what the next connections meet; the last one stays
        proxy.cut(reset=True)              # close all present connections, now
        proxy.wait_for_connections(3)      # 3 have come since the start
        proxy.connections, proxy.open, proxy.bytes_down, proxy.bytes_up

What can be wrong stands in `network_faults.py`.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from network_faults import Corrupt, Cut, Delay, Fault, Lose, Pass, Refuse, Silent, Stall, Trickle
from proxied_connection import HOST, Connection

__all__ = [
    "Corrupt",
    "Cut",
    "Delay",
    "Fault",
    "FaultProxy",
    "Lose",
    "Pass",
    "Refuse",
    "Silent",
    "Stall",
    "Trickle",
]

T = TypeVar("T")


class FaultProxy:
    """Passes connections on to a port of 127.0.0.1, and does to them what it is told.

    Args:
        target_port: Of the server behind; nobody need listen there yet.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        self.connections = 0
        """How many have come since the start."""
        self.bytes_down = 0
        self.bytes_up = 0
        self._changed = threading.Condition()
        self._fault: Fault = Pass()
        self._script: deque[Fault] = deque()
        self._present: set[Connection] = set()
        self._surprises: list[dict[str, Any]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: asyncio.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def open(self) -> int:
        """How many connections are open."""
        return len(self._present)

    def through(self, url: str) -> str:
        """Make the address that leads here of one that leads to the server."""
        parts = urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{credentials}{at}{HOST}:{self.port}"))

    def apply(self, fault: Fault) -> None:
        """Let this happen to all connections, present and future, from now on."""

        async def change() -> None:
            self._fault = fault
            self._script.clear()
            await self._listen(wanted=not isinstance(fault, Refuse))
            if not isinstance(fault, Refuse):
                for connection in self._present:
                    connection.apply(fault)

        self._do(change())

    def script(self, *faults: Fault) -> None:
        """Let the next connections meet these, one each, and all after them the last one."""

        async def change() -> None:
            self._script = deque(faults)
            await self._listen(wanted=True)

        self._do(change())

    def cut(self, *, reset: bool = False) -> int:
        """Close all present connections, with FIN or RST, and count them."""

        async def change() -> int:
            present = list(self._present)
            for connection in present:
                connection.close(reset=reset)
            return len(present)

        return self._do(change())

    def wait_until(self, condition: Callable[["FaultProxy"], object], timeout_seconds: float = 10.0) -> None:
        """Wait until the counts fulfil a condition: `lambda proxy: proxy.bytes_down > 10_000`."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout_seconds):
                msg = (
                    f"not within {timeout_seconds:g} s: {self.connections} connections, {self.open} of them open, "
                    f"{self.bytes_down} bytes down, {self.bytes_up} bytes up"
                )
                raise TimeoutError(msg)

    def wait_for_connections(self, count: int, timeout_seconds: float = 10.0) -> None:
        """Wait until so many have come since the start."""
        self.wait_until(lambda proxy: proxy.connections >= count, timeout_seconds)

    def _count(self, up: int = 0, down: int = 0) -> None:
        with self._changed:
            self.bytes_up += up
            self.bytes_down += down
            self._changed.notify_all()

    def start(self) -> None:
        """Listen on a port that is free."""
        ready = threading.Event()

        def work() -> None:
            asyncio.run(self._live(ready))

        self._thread = threading.Thread(target=work, name="fault-proxy", daemon=True)
        self._thread.start()
        assert ready.wait(10), "the proxy did not start"
        self._do(self._listen(wanted=True))

    def stop(self) -> None:
        """Close everything; fine to call twice."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the proxy did not end"
        self._thread = self._loop = None
        assert not self._surprises, f"the proxy itself has failed: {self._surprises}"

    async def _live(self, ready: threading.Event) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(lambda _, context: self._surprises.append(context))
        ready.set()
        await self._ended.wait()
        await self._listen(wanted=False)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None, "the proxy was not started"
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, *, wanted: bool) -> None:
        if wanted and self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]
        elif not wanted and self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._script:
            self._fault = self._script.popleft()
        connection = Connection(self.target_port, self._fault, (reader, writer), self._count)
        self._present.add(connection)
        self.connections += 1
        self._count()
        task = asyncio.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            connection.close()
            self._present.discard(connection)
            self._count()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
