"""Names of topics: which message goes where, and how a name becomes a level of a topic."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator

__all__ = ["Prefix", "Topics", "level"]

_UNSAFE = re.compile(r"[^\w.-]|\A\Z")
"""Whatever is no letter, digit, `_`, `.` or `-`; nothing at all."""
_LONGEST: Final = 160
"""Bytes of UTF-8 that a name may take up: topics are kept in memory by brokers and dashboards."""


def level(name: str) -> str:
    """Turn a name into one level of a topic; different names stay different.

    Letters and digits of every script, `_`, `.` and `-` stay; all else becomes `%` and its UTF-8 bytes in hex, as in
    URLs: `hall/door #2` is `hall%2Fdoor%20%232`. What is too long is cut and ends in `~` and a hash of the whole name
    (`~` itself is escaped, so no other name looks like that).
    """
    safe = _UNSAFE.sub(_escape, name)
    encoded = safe.encode()
    if len(encoded) <= _LONGEST:
        return safe
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[:_LONGEST].decode(errors='ignore')}~{digest}"


def _escape(found: re.Match[str]) -> str:
    # A file name that is no UTF-8 reaches Python as lone surrogates: those have bytes too.
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass")) or "%"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics below one prefix."""

    prefix: str

    @property
    def available(self) -> str:
        """`online` while the process is connected, `offline` otherwise; retained."""
        return f"{self.prefix}/available"

    @property
    def spool(self) -> str:
        """How many events wait, and how many were lost; retained."""
        return f"{self.prefix}/spool"

    def status(self, source_id: str) -> str:
        """How a source is; retained."""
        return f"{self.prefix}/{level(source_id)}/status"

    def people(self, source_id: str) -> str:
        """How many people a source sees; retained."""
        return f"{self.prefix}/{level(source_id)}/people"

    def zone(self, source_id: str, name: str) -> str:
        """How many people are in a zone; retained."""
        return f"{self.prefix}/{level(source_id)}/zone/{level(name)}"

    def state(self, source_id: str, rule: str, kind: str) -> str:
        """Any other state that a rule tells; retained."""
        return f"{self.prefix}/{level(source_id)}/state/{level(rule)}/{level(kind)}"

    def events(self, source_id: str) -> str:
        """What happened; each message counts."""
        return f"{self.prefix}/{level(source_id)}/events"

    def tracks(self, source_id: str) -> str:
        """Who is where, now."""
        return f"{self.prefix}/{level(source_id)}/tracks"


def _checked(prefix: str) -> str:
    if not prefix or prefix.startswith("$") or re.search(r"[+#\0\s]|//|\A/|/\Z", prefix):
        msg = "a prefix is one or more names joined by '/', without spaces, '+', '#' or a '$' in front: site/kinestream"
        raise ValueError(msg)
    return prefix


Prefix = Annotated[str, AfterValidator(_checked)]
"""The first levels of all topics, in a plug-in's options."""
