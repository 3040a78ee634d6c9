"""FFmpeg's own connections, found among those of this process, so that a read that hangs can be ended.

A camera that trickles, or that sends reports but no pictures, keeps each of FFmpeg's timeouts from running out, while
one call waits for a whole picture. PyAV's timeout could end it, but makes each read of each camera take the
interpreter's lock, thousands of times a second. Shutting the connection down from outside costs nothing until then:
FFmpeg sees that the camera hung up.
"""

import contextlib
import ipaddress
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["Line", "take_turn"]

_DESCRIPTORS: Final = Path("/dev/fd")
"""Linux and macOS list here what is open. Elsewhere nothing is found, and nothing can be ended."""

_APART_SECONDS: Final = 0.05
"""So much later the next connection to a host is begun: by then the one before it has its socket."""

_lock = threading.Lock()
_lines: "list[Line]" = []
"""All that have found something."""
_next_turns: dict[str, float] = {}
"""Host -> when the next connection to it may begin."""


def take_turn(host: str) -> None:
    """Wait until it can be told whose a new connection to `host` is: 50 ms behind another one."""
    with _lock:
        now = time.monotonic()
        turn = max(now, _next_turns.get(host, now))
        _next_turns[host] = turn + _APART_SECONDS
    time.sleep(turn - now)


def _connections() -> Iterator[tuple[int, socket.socket]]:
    """Give each connection of this process: its inode, and a copy of its descriptor, which is closed afterwards."""
    try:
        descriptors = [int(path.name) for path in _DESCRIPTORS.iterdir()]
    except OSError:
        return
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # closed meanwhile, by whomever it belongs to
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as copy:
                yield os.fstat(copy.fileno()).st_ino, copy


def _reaches(connection: socket.socket, addresses: set[str], port: int) -> bool:
    if connection.family not in {socket.AF_INET, socket.AF_INET6} or connection.type != socket.SOCK_STREAM:
        return False
    try:
        peer = connection.getpeername()
    except OSError:  # it listens, or is not connected
        return False
    return peer[1] == port and _plain(peer[0]) in addresses


def _plain(address: str) -> str:
    """Write an address in one way: without a zone, and an IPv4 address in IPv6 as itself."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


class Line:
    """The connection that FFmpeg makes for one stream: begin before, `find` after it was made.

    Where several streams of one host are opened at the very same time, without `take_turn`, it may be impossible to
    tell whose is whose; then none is cut.
    """

    def __init__(self) -> None:
        """Note which connections there are already."""
        self._before = {inode for inode, _ in _connections()}
        self._candidates: set[int] = set()

    def find(self, host: str, port: int | None) -> None:
        """Look for the new connection to `host`; its name must be known by now, or this waits for the resolver."""
        if port is None or not _DESCRIPTORS.exists():
            return
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:  # FFmpeg got an answer a moment ago
            return
        addresses = {_plain(str(info[4][0])) for info in found}
        with _lock:
            others = self._before | {line.known for line in _lines}
            for inode, connection in _connections():
                if inode not in others and _reaches(connection, addresses, port):
                    self._candidates.add(inode)
            _lines.append(self)
            _tell_apart()

    def cut(self) -> bool:
        """Shut the connection down, so that whoever reads from it comes back. Tell whether it was found."""
        with _lock:
            if len(self._candidates) != 1:
                return False
            for inode, connection in _connections():
                if inode in self._candidates:
                    with contextlib.suppress(OSError):  # the other side was faster
                        connection.shutdown(socket.SHUT_RD)  # so that FFmpeg can still say goodbye
                    return True
        return False

    def forget(self) -> None:
        """Let go of the connection, before FFmpeg closes it: the system may use its number again."""
        with _lock:
            if self in _lines:
                _lines.remove(self)
            self._candidates = set()

    def leave(self, inodes: set[int]) -> None:
        """Rule out what belongs to others."""
        self._candidates -= inodes

    @property
    def known(self) -> int | None:
        """The inode of its connection, if that is clear."""
        return next(iter(self._candidates)) if len(self._candidates) == 1 else None


def _tell_apart() -> None:
    """Rule out for each line what is known to be another one's, until that tells nothing new."""
    before = -1
    while before != (known := sum(line.known is not None for line in _lines)):
        before = known
        for line in _lines:
            if line.known is None:
                line.leave({other.known for other in _lines if other.known is not None})
