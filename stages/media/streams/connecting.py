"""Makes one connection to a camera, in bounded time."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import av
from av.container import InputContainer

from stages.media.streams.address import Address
from stages.media.streams.failures import not_opened, without_address
from stages.media.streams.hardware import Decoder
from stages.media.streams.protocols import needs_interrupts
from stages.media.streams.sockets import Line, take_turn

__all__ = ["Connection", "connect"]


@dataclass(frozen=True)
class Connection:
    """A camera that answered."""

    address: Address
    container: InputContainer
    decoder: Decoder
    line: Line = field(default_factory=Line)
    """What it can be ended by."""
    is_ready: Callable[[float], bool] = lambda _seconds: True
    """Waits, so long at most, until something can be read; False if nothing came. For what cannot be ended."""


class _TimeLeft:
    """A timeout for PyAV that goes on running.

    PyAV takes it twice: to connect, and to look at the stream. The second takes what the first has left.
    """

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def __float__(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


def connect(
    address: Address,
    url: str,
    options: dict[str, str],
    *,
    timeout_seconds: float,
    decoder: Decoder,
    container_format: str | None = None,
) -> Connection:
    """Open a camera.

    PyAV's own timeout bounds this as a whole, because a camera that trickles never keeps FFmpeg waiting for long. It is
    not used afterwards: it makes each read take the interpreter's lock (see `sockets` for what is used instead).

    Args:
        address: For messages, and to find the connection.
        url: For FFmpeg, with credentials.
        options: For FFmpeg.
        timeout_seconds: For all of it, but for the resolver, which nothing can end.
        decoder: What shall decode.
        container_format: FFmpeg's name of it; None lets it find out.

    Raises:
        AuthenticationFailed: The camera refuses the credentials.
        SourceError: It cannot be opened; the message says why.
    """
    take_turn(address.host)
    line, started = Line(), time.monotonic()
    read_timeout = timeout_seconds if needs_interrupts(address.scheme) else None
    try:
        container = av.open(
            url,
            format=container_format,
            options=options,
            hwaccel=decoder.accelerator(),
            timeout=(cast("float", _TimeLeft(timeout_seconds)), read_timeout),
            metadata_errors="replace",
        )
    except av.FFmpegError as error:
        took_seconds = time.monotonic() - started
        raise not_opened(address, error, took_seconds, timeout_seconds) from without_address(error)
    line.find(address.host, address.port)
    return Connection(address, container, decoder, line)
