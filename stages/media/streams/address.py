"""Where a camera is: its URL, with credentials for FFmpeg and without them for everybody else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pipeline.errors import SourceError
from pipeline.secrets import remember_secret

__all__ = ["PORTS", "Address", "parse"]

PORTS: Final[Mapping[str, int | None]] = {
    "rtsp": 554,
    "rtsps": 322,
    "rtmp": 1935,
    "rtmps": 443,
    "http": 80,
    "https": 443,
    "srt": None,
    "udp": None,
    "rtp": None,
    "tcp": None,
    "tls": None,
}
"""What is spoken -> the port, where none is given. None: there is no usual one."""

_NOT_IN_A_NAME = re.compile(r"[^\w.]+", re.ASCII)


@dataclass(frozen=True)
class Address:
    """Where a camera is. What `repr` and messages show holds no credentials and no query, which may hold some."""

    shown: str
    """For people: `rtsp://cam1.local/stream1`."""
    scheme: str
    host: str
    port: int | None
    url: str = field(repr=False)
    """For FFmpeg only, with credentials if they are known already."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name for a source, fit for a file or an MQTT topic: `cam1.local-stream1`."""
        return _NOT_IN_A_NAME.sub("-", self.shown.partition("://")[2]).strip("-.") or self.scheme

    @property
    def advice(self) -> str:
        """What to check when nothing comes from there."""
        return "check the camera and the network" if self.host else "check the camera and its cable"

    def with_credentials(self, user: str | None, password: str | None, password_file: Path | None) -> str:
        """Give the URL for FFmpeg, with the credentials of the options where there are some.

        Raises:
            SourceError: The password cannot be read from its file.
        """
        if password_file is not None:
            password = _read_password(password_file)
        if user is None and password is None:
            return self.url
        credentials = quote(user or self.user or "", safe="")
        if password is not None:
            remember_secret(password)
            credentials += ":" + quote(password, safe="")
        scheme, _, rest = self.url.partition("://")
        end = re.search(r"[/?#]|$", rest)
        assert end is not None  # the end of the text is always found
        place = rest[: end.start()].rpartition("@")[2]
        return f"{scheme}://{credentials}@{place}{rest[end.start() :]}"


def parse(url: str) -> Address:
    """Take a URL apart, and remember its password as a secret.

    Raises:
        ValueError: It is none, or of a kind that cameras do not speak; the message shows no credentials.
    """
    kinds = ", ".join(f"{scheme}://" for scheme in PORTS)
    if "://" not in url:
        msg = f"expected the URL of a camera, such as rtsp://cam1.local/stream1 (or {kinds})"
        raise ValueError(msg)
    parts = _split(url)
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        msg = f"cannot read '{scheme}://'; expected one of {kinds}"
        raise ValueError(msg)
    if not parts.hostname and scheme not in {"udp", "rtp"}:
        msg = "the URL names no host; expected one such as rtsp://cam1.local/stream1"
        raise ValueError(msg)
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    if password:
        remember_secret(password)
    place = parts.netloc.rpartition("@")[2]
    return Address(
        shown=f"{scheme}://{place}{parts.path}",
        scheme=scheme,
        host=parts.hostname or "",
        port=parts.port or PORTS[scheme],
        url=f"{scheme}://{_quoted(user, password)}{place}{_tail(parts)}",
        user=user,
        password=password,
    )


def _split(url: str) -> SplitResult:
    parts = urlsplit(url)
    try:
        _ = parts.port
    except ValueError:
        # Without its cause, which repeats what stands where the port should be: a piece of a password, perhaps.
        msg = (
            "its port is no number; does a password hold one of / ? # @ : ? Then give it as the options 'user' and"
            " 'password', or write it percent-encoded (/ is %2F)"
        )
        raise ValueError(msg) from None
    return parts


def _quoted(user: str | None, password: str | None) -> str:
    if user is None:
        return ""
    return quote(user, safe="") + ("" if password is None else ":" + quote(password, safe="")) + "@"


def _tail(parts: SplitResult) -> str:
    query, fragment = f"?{parts.query}" if parts.query else "", f"#{parts.fragment}" if parts.fragment else ""
    return parts.path + query + fragment


def _read_password(path: Path) -> str:
    try:
        text = path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        msg = f"cannot read the camera's password from '{path}': {why}; expected a file with the password in one line"
        raise SourceError(msg) from error
    return text.strip("\r\n")
