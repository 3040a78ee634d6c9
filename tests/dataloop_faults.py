"""What the test server of the Dataloop platform can do wrong: to which requests, how often, and what.

server.inject(Status(503), times=2)                                 # the next two requests, whatever they ask
server.inject(LoseReply(), "POST", r"/items/\\w+/annotations")       # stored, and no answer
server.inject(Truncate(1000), "GET", r"/stream$", skip=1)           # the second download breaks off
server.inject(Status(415), encoding="gzip", times=None)             # no compressed body is taken
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["Fault", "Faults", "Hang", "Lose", "LoseReply", "Status", "Trickle", "Truncate"]


@dataclass(frozen=True)
class Status:
    """Answer with an error; nothing is done."""

    status: int
    message: str = "injected"
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """`{"Retry-After": "1"}`"""
    after: bool = False
    """Do what was asked first."""
    body: str | None = None
    """Instead of the platform's JSON: what a gateway would say."""


@dataclass(frozen=True)
class Lose:
    """Close the connection before anything is done."""


@dataclass(frozen=True)
class LoseReply:
    """Do what was asked, and close the connection instead of answering."""


@dataclass(frozen=True)
class Hang:
    """Be silent for so long (at most until the server is closed) before or after doing what was asked."""

    seconds: float = 600.0
    after: bool = False


@dataclass(frozen=True)
class Truncate:
    """Do what was asked, promise the whole answer, and close the connection after so many bytes of its body."""

    bytes: int


@dataclass(frozen=True)
class Trickle:
    """Do what was asked, and send the body a byte at a time with a pause before each."""

    pause_seconds: float


Fault = Status | Lose | LoseReply | Hang | Truncate | Trickle


@dataclass
class _Planned:
    fault: Fault
    method: str | None
    path: re.Pattern[str]
    contains: str
    encoding: str
    times: int | None
    skip: int
    met: int = 0


class Faults:
    """What is planned; safe to use from any thread."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()

    def plan(self, fault: Fault, method: str | None = None, path: str = "", **how: Any) -> None:
        with self._lock:
            self._planned.append(_Planned(fault, method, re.compile(path), **{**_ONCE, **how}))

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()

    def take(self, method: str, path: str, body: bytes, encoding: str = "") -> Fault | None:
        """Give what is to go wrong with this request: of those planned for it, the oldest."""
        with self._lock:
            for planned in self._planned:
                if _fits(planned, method, path, body, encoding):
                    planned.met += 1
                    if planned.met > planned.skip:
                        self._use(planned)
                        return planned.fault
        return None

    def _use(self, planned: _Planned) -> None:
        if planned.times is not None:
            planned.times -= 1
            if not planned.times:
                self._planned.remove(planned)


_ONCE = {"contains": "", "encoding": "", "times": 1, "skip": 0}


def _fits(planned: _Planned, method: str, path: str, body: bytes, encoding: str) -> bool:
    if planned.method not in {None, method} or not planned.path.search(path):
        return False
    return planned.contains.encode() in body and planned.encoding in {"", encoding}
