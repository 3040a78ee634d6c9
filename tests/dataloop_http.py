"""The connections of the test server of the Dataloop platform: requests in, answers or faults out."""

import gzip
import json
import re
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from dataloop_faults import Fault, Faults, Hang, Lose, LoseReply, Status, Trickle, Truncate
from dataloop_routes import Answer, answer
from dataloop_store import Store

__all__ = ["BASE", "Connection", "Http", "Request"]

BASE = "/api/v1"
_BLOCK_BYTES = 1 << 16
_COMPRESSED_FROM_BYTES = 1024


@dataclass(frozen=True)
class Request:
    """A request that came."""

    method: str
    path: str
    """Below the base, without the query string: `/items/x/stream`."""
    query: str
    body: Any
    """As JSON; None without one."""
    bytes: int
    """Of the body, as it came: perhaps compressed."""
    headers: Mapping[str, str]
    status: int
    """What it was answered; 0 if the answer was lost."""
    at: float
    """When it came, as `time.monotonic`."""


class Owner(Protocol):
    """What the connections need of the server."""

    store: Store
    faults: Faults
    requests: list[Request]
    max_body_bytes: int | None
    keep_bodies: bool
    closing: threading.Event

    def log_in(self, body: Any) -> Answer: ...

    def new_token(self) -> str: ...

    def knows(self, authorization: str) -> bool: ...


class Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: Owner

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        """End all connections."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended already

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client may go whenever it likes
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Http
    _request: Request | None = None

    def log_message(self, *_: object) -> None: ...

    def _take(self) -> None:
        owner = self.server.owner
        at = time.monotonic()
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(BASE)
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        encoding = headers.get("Content-Encoding", "")
        self._request = Request(self.command, path, parts.query, None, len(raw), headers, 0, at)
        try:
            raw = _ENCODINGS[encoding](raw)
            body = _parse(raw)
        except KeyError:
            self._answer(Answer(415, {"message": f"unknown encoding {encoding!r}"}))
            return
        except (ValueError, OSError, EOFError, zlib.error) as error:
            self._answer(Answer(400, {"message": f"not JSON: {error}"}))
            return
        fault = owner.faults.take(self.command, path, raw, encoding)
        if owner.keep_bodies:
            self._request = replace(self._request, body=body)
        self._serve(path, parts.query, body, raw, fault)

    def _record(self, status: int) -> None:
        """Take note of the request, once, before its sender hears of anything."""
        if self._request is not None:
            self.server.owner.requests.append(replace(self._request, status=status))
            self._request = None

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take  # noqa: N815 - names of the standard library

    def _serve(self, path: str, query: str, body: Any, raw: bytes, fault: Fault | None) -> None:
        if not self._goes_wrong(fault, after=False):
            owner = self.server.owner
            if owner.max_body_bytes is not None and len(raw) > owner.max_body_bytes:
                self._answer(Answer(413, {"message": "request entity too large"}))
                return
            given = self._do(path, query, body)
            if not self._goes_wrong(fault, after=True):
                self._answer(given, fault)

    def _goes_wrong(self, fault: Fault | None, *, after: bool) -> bool:
        """Do what is to go wrong before or after what was asked is done; tell whether that is the end of it."""
        match fault:
            case Status() if fault.after == after:
                body = {"message": fault.message} if fault.body is None else fault.body.encode()
                self._answer(Answer(fault.status, body, {"Content-Type": "application/json", **fault.headers}))
                return True
            case Hang() if fault.after == after:
                self.server.owner.closing.wait(fault.seconds)
                return False
            case Lose() | LoseReply() if isinstance(fault, LoseReply) == after:
                self._drop()
                return True
        return False

    def _do(self, path: str, query: str, body: Any) -> Answer:
        owner = self.server.owner
        if path == "/token":
            return owner.log_in(body)
        if path == "/get_jwt":
            return Answer(200, {"jwt": owner.new_token()})
        if not owner.knows(self.headers.get("Authorization", "")):
            return Answer(401, {"message": "jwt expired"})
        return answer(owner.store, self.command, path, query, body)

    def _answer(self, given: Answer, fault: Fault | None = None) -> None:
        if isinstance(given.body, Path):
            return self._send_file(given.body, fault)
        raw = given.body if isinstance(given.body, bytes) else json.dumps(given.body or {}).encode()
        headers = {**(given.headers or {"Content-Type": "application/json"})}
        if len(raw) >= _COMPRESSED_FROM_BYTES and "gzip" in self.headers.get("Accept-Encoding", ""):
            raw, headers["Content-Encoding"] = gzip.compress(raw, 1), "gzip"
        self._head(given.status, len(raw), headers)
        return self._send(raw, fault)

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self._record(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _send(self, raw: bytes, fault: Fault | None) -> None:
        match fault:
            case Truncate(bytes=count):
                self.wfile.write(raw[:count])
                self.wfile.flush()
                self._drop()
            case Trickle(pause_seconds=pause):
                for byte in raw:
                    self.server.owner.closing.wait(pause)
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
            case _:
                self.wfile.write(raw)

    def _send_file(self, path: Path, fault: Fault | None) -> None:
        """Send a file from the byte on that is asked for; block by block, it may be large."""
        size = path.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        if asked and start and start >= size:
            self._head(416, 0, {"Content-Range": f"bytes */{size}"})
            return
        headers = {"Content-Type": "application/octet-stream"}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        self._head(206 if asked else 200, size - start, headers)
        if isinstance(fault, Trickle | Truncate):
            self._send(path.read_bytes()[start:], fault)
            return
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(_BLOCK_BYTES):
                self.wfile.write(block)

    def _drop(self) -> None:
        """End the connection without another word."""
        self._record(0)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


_ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {"": bytes, "gzip": gzip.decompress}
"""How a body may be compressed."""


def _parse(body: bytes) -> Any:
    return json.loads(body, parse_constant=_refuse_constant) if body else None


def _refuse_constant(name: str) -> None:
    msg = f"{name} is no JSON"
    raise ValueError(msg)
