"""What can be wrong with a connection, for `fault_proxy.FaultProxy`, and what that does to the bytes.

"Down" is from the server to the client. The faults that damage RTP (`Corrupt`, `Lose`) know RTSP's interleaved frames:
its words and its RTCP stay whole, so the session goes on. All is repeatable: random numbers are seeded.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Pass:
    """Nothing is wrong."""


@dataclass(frozen=True)
class Refuse:
    """Nobody listens on the port; present connections are as they were."""


@dataclass(frozen=True)
class Silent:
    """Accept, and never say a word; the server does not hear of it. Of a present connection: like `Stall()`."""


@dataclass(frozen=True)
class Stall:
    """Neither side gets anything any more, once the client has got so many bytes from now on; all stays open."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Trickle:
    """The client gets a few bytes, then again a few after a while."""

    chunk_bytes: int = 100
    interval_seconds: float = 1.0


@dataclass(frozen=True)
class Cut:
    """Close once the client has got so many bytes from now on; `reset`: with RST in place of FIN."""

    after_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Corrupt:
    """Flip bits in a part (0..1) of the RTP packets down, behind their headers; `raw`: in any piece of anything."""

    rate: float = 0.05
    seed: int = 0
    raw: bool = False


@dataclass(frozen=True)
class Lose:
    """Leave out a part (0..1) of the RTP packets down."""

    rate: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Delay:
    """The client gets everything so much later, at the pace it came in."""

    seconds: float = 0.2


Fault = Pass | Refuse | Silent | Stall | Trickle | Cut | Corrupt | Lose | Delay

HEADERS_BYTES = 18
"""What stays whole of an RTP packet: 4 bytes of interleaved frame, 12 of header, 2 that say what kind of data it is."""


class Piece(NamedTuple):
    """A part of what the server says: one RTP packet with its interleaved frame, or anything else."""

    data: bytes
    is_rtp: bool


class Pieces:
    """Cuts a stream of RTSP into its frames and words; anything else passes as it comes."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_rtsp = True

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Give what is whole; the beginning of something is kept until the rest of it has come."""
        self._rest += data
        while self._rest and (size := self._size()) <= len(self._rest):
            piece, self._rest = self._rest[:size], self._rest[size:]
            yield Piece(piece, self._is_rtsp and piece[0] == ord("$") and piece[1] % 2 == 0)

    def _size(self) -> int:
        """How long the next piece is; more than there is when that is not known yet."""
        rest = self._rest
        if self._is_rtsp and rest[:1] == b"$":
            return 4 + int.from_bytes(rest[2:4], "big") if len(rest) >= 4 else 4
        if self._is_rtsp and b"RTSP/".startswith(rest[:5]):
            head, end, _ = rest.partition(b"\r\n\r\n")
            return len(head) + 4 + _content_length(head) if end else len(rest) + 1
        self._is_rtsp = False
        return len(rest)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


class Damage:
    """What a fault does to the pieces: some are changed, some are left out."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._random = random.Random(getattr(fault, "seed", 0))

    def __call__(self, piece: Piece) -> bytes:
        """Give what comes of a piece."""
        fault = self._fault
        if isinstance(fault, Lose) and piece.is_rtp and self._random.random() < fault.rate:
            return b""
        if isinstance(fault, Corrupt) and (piece.is_rtp or fault.raw) and self._random.random() < fault.rate:
            return self._flip(piece.data, 0 if fault.raw else HEADERS_BYTES)
        return piece.data

    def _flip(self, data: bytes, begin: int) -> bytes:
        changed = bytearray(data)
        for _ in range(min(4, len(data) - begin)):
            changed[self._random.randrange(begin, len(data))] ^= self._random.randrange(1, 256)
        return bytes(changed)
