"""The HTTP session under dtlpy's client: each request is sent once, takes bounded time, and can be cut off.

dtlpy makes its session with a `Retry` that repeats every method on a lost connection and on most 5xx: a batch of
annotations that was stored, and whose answer got lost, would be stored twice. Its client takes another session through
the attribute `session`, so this one takes its place, and `Platform` alone decides what is repeated.
"""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Final
from weakref import WeakSet

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

__all__ = ["Wire", "body_of"]

_CONNECT_SECONDS: Final = 10.0
_CONNECTIONS: Final = 32
"""Kept open; more at the same time work too."""
_BLOCK_BYTES: Final = 1 << 18


class Wire(requests.Session):
    """A session for any number of threads.

    Args:
        timeout_seconds: How long the other side may be silent. Connecting takes 10 s at most.
    """

    def __init__(self, timeout_seconds: float) -> None:
        """Open nothing yet."""
        super().__init__()
        self._timeout = (min(timeout_seconds, _CONNECT_SECONDS), timeout_seconds)
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._is_cut = False
        adapter = HTTPAdapter(max_retries=0, pool_connections=4, pool_maxsize=_CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = self._pool_classes()
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        """Send a request, once. Only what changes nothing follows a redirect."""
        options["timeout"] = self._timeout
        options["allow_redirects"] = request.method == "GET"
        return super().send(request, **options)

    def cut(self) -> None:
        """End all that is under way, from another thread: whoever waits for an answer gets a `ConnectionError`."""
        with self._lock:
            self._is_cut = True
            waiting = list(self._sockets)
        for opened in waiting:
            _shut(opened)

    def _opened(self, opened: socket.socket) -> None:
        with self._lock:
            self._sockets.add(opened)
            is_late = self._is_cut
        if is_late:
            _shut(opened)

    def _pool_classes(self) -> dict[str, type[HTTPConnectionPool]]:
        """Make pools whose connections tell when they open."""
        wire = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                wire._opened(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                wire._opened(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


def _shut(opened: socket.socket) -> None:
    """Wake up who reads from it. The plain shutdown: a TLS socket's own one takes away what its reader needs."""
    try:
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
    except OSError:
        return  # it was closed already


def body_of(response: requests.Response, within_seconds: float) -> Iterator[bytes]:
    """Read a body as it comes, in blocks of 256 KiB at most.

    Args:
        response: As sent with `stream=True`.
        within_seconds: All of it; a body that comes byte by byte never falls silent.

    Raises:
        urllib3.exceptions.HTTPError: It is not whole, or falls silent.
        TimeoutError: It takes too long.
    """
    deadline = time.monotonic() + within_seconds
    while block := response.raw.read1(_BLOCK_BYTES, decode_content=True):
        yield block
        if time.monotonic() > deadline:
            msg = f"the answer took over {within_seconds:g} s"
            raise TimeoutError(msg)
