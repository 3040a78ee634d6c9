"""Who we are to the broker: user, password, and the place where events wait for it."""

import hashlib
import ipaddress
import re
from pathlib import Path

from pipeline.errors import SinkError
from pipeline.secrets import remember_secret
from stages.state import state_folder

__all__ = ["default_spool", "is_this_machine", "read_password"]


def default_spool(host: str, port: int, prefix: str) -> Path:
    """Name the file in which events for a broker and a prefix wait: the same in each run, another for each of them."""
    readable = re.sub(r"[^a-zA-Z0-9.]+", "-", f"{host}-{port}-{prefix}").strip("-.")[:80]
    digest = hashlib.sha256(f"{host}:{port}/{prefix}".encode()).hexdigest()[:8]
    return state_folder() / "mqtt" / f"{readable}-{digest}.sqlite"


def read_password(path: str) -> str:
    """Read a password from a file; a line end after it is not part of it.

    Raises:
        SinkError: There is no such file, or nothing in it.
    """
    try:
        password = Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = (
            f"password_file: cannot read the password from '{path}': {error}; make a text file with nothing else in it"
        )
        raise SinkError(msg) from error
    if not password:
        msg = f"password_file: there is no password in '{path}'"
        raise SinkError(msg)
    remember_secret(password)
    return password


def is_this_machine(host: str) -> bool:
    """Tell whether what goes to `host` never leaves this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in {"localhost", "ip6-localhost"}
