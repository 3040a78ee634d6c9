"""What went wrong with a camera, in words that say where to look."""

import errno
import ipaddress
import socket
from collections.abc import Mapping
from typing import Final

import av

from pipeline.errors import AuthenticationFailed, SourceError
from stages.media.streams.address import Address

__all__ = ["lost", "not_opened", "without_address"]

_MOST_OF_IT: Final = 0.9
"""FFmpeg reports a silent camera in several ways, or as bad data; that it took all the time allowed tells it."""
_QUICK_SECONDS: Final = 2.0
"""A resolver that said no so fast will say it again as fast."""
_REFUSING: Final = (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)

_WHY: Final[Mapping[type[Exception], str]] = {
    av.error.HTTPNotFoundError: "the camera answers, but has no such stream (404 Not Found); check the path in the URL",
    ConnectionRefusedError: "nobody listens at {place} (connection refused); is the camera on, and is the port right?",
    av.error.ProtocolNotFoundError: "PyAV's FFmpeg was built without '{scheme}'; use another protocol of the camera",
    EOFError: "{place} hung up without an answer; does it speak {scheme}?",
    ValueError: "{place} hung up, or does not answer with video in {scheme}; check scheme, port and path of the URL",
}
"""Kind of FFmpeg's error -> what it means for somebody with a camera; FFmpeg's bad data is a ValueError."""


def not_opened(address: Address, error: av.FFmpegError, took_seconds: float, timeout_seconds: float) -> SourceError:
    """Make the error for a camera that could not be opened.

    Args:
        address: Of the camera.
        error: What FFmpeg says.
        took_seconds: How long the attempt lasted.
        timeout_seconds: How long it might.
    """
    if isinstance(error, _REFUSING):
        return _refused(address, error)
    is_silent = took_seconds >= _MOST_OF_IT * timeout_seconds
    why = _silence(timeout_seconds) if is_silent else _why_not_opened(address, error, took_seconds)
    return SourceError(f"cannot open '{address.shown}': {why}")


def lost(address: Address, error: av.FFmpegError, at_seconds: float | None) -> SourceError:
    """Make the error for a connection that ended with an error.

    Args:
        address: Of the camera.
        error: What FFmpeg says.
        at_seconds: Stream time of the last frame; None if there was none.
    """
    if isinstance(error, _REFUSING):
        return _refused(address, error)
    when = "before the first frame" if at_seconds is None else f"after {at_seconds:.3f} s of it"
    if isinstance(error, av.error.TimeoutError):
        return SourceError(f"'{address.shown}' fell silent {when}; {address.advice}")
    return SourceError(f"the connection to '{address.shown}' was lost {when}: {_words(error)}; {address.advice}")


def without_address(error: av.FFmpegError) -> av.FFmpegError:
    """Copy an error of FFmpeg without the address, which it repeats with the password."""
    return type(error)(error.errno or 0, error.strerror or "")


def _refused(address: Address, error: av.FFmpegError) -> AuthenticationFailed:
    got = "none were given" if address.user is None and "@" not in address.url else "those given are wrong"
    status = "403 Forbidden" if isinstance(error, av.error.HTTPForbiddenError) else "401 Unauthorized"
    msg = (
        f"'{address.shown}' refuses the credentials ({status}; {got}): check the user and the password (options 'user',"
        " 'password' or 'password_file'), and that this user may watch this stream"
    )
    return AuthenticationFailed(msg)


def _why_not_opened(address: Address, error: av.FFmpegError, took_seconds: float) -> str:
    place = f"{address.host}:{address.port}" if address.port else address.host
    for kind, words in _WHY.items():
        if isinstance(error, kind):
            return words.format(place=place, scheme=address.scheme)
    if error.errno == errno.EIO and _is_unknown(address.host, took_seconds):
        return f"there is no host '{address.host}'; check its name, or write its IP address"
    return f"{_words(error)}; check address and network"


def _silence(timeout_seconds: float) -> str:
    return (
        f"it gave no proper answer within {timeout_seconds:g} s; check that the camera is on, the address, the network,"
        " and firewalls in between"
    )


def _words(error: av.FFmpegError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _is_unknown(host: str, took_seconds: float) -> bool:
    """Ask the resolver, because FFmpeg only says 'Input/output error' when it does not know a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return False
    if took_seconds > _QUICK_SECONDS:
        return False
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return True
    return False
