"""Where the broker is, in one text: `host`, `host:1883`, `mqtt://user@host/prefix`, `mqtts://host:8883`."""

import re
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

__all__ = ["read_address"]

_SCHEMES = {"mqtt": False, "tcp": False, "mqtts": True, "ssl": True}


def read_address(address: str) -> dict[str, Any]:
    """Say what an address stands for: `host`, and as far as it names them `port`, `user`, `password`, `prefix`, `tls`.

    Raises:
        ValueError: It is none.
    """
    parts = urlsplit(address if "://" in address else f"mqtt://{address}")
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(_complaint(address))
    found: dict[str, Any] = {
        "host": parts.hostname,
        "port": _port(parts, address),
        "user": parts.username and unquote(parts.username),
        "password": parts.password and unquote(parts.password),
        "prefix": parts.path.strip("/") or None,
        "tls": {} if _SCHEMES[parts.scheme] else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _port(parts: SplitResult, address: str) -> int | None:
    try:
        return parts.port
    except ValueError as error:
        raise ValueError(_complaint(address)) from error


def _complaint(address: str) -> str:
    shown = re.sub(r"://.*@", "://***@", address)
    return f"'{shown}' is no address of a broker; give host, host:port, mqtt://host:port/prefix, or mqtts:// for TLS"
