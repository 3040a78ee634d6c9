"""Large bodies go to the platform compressed, for as long as it takes them so: annotations shrink to a tenth.

Nowhere is it said that it does; dtlpy never sends any. A server that does not may answer 415, as it should (RFC 9110,
section 15.5.16), read the bytes as bad JSON (400), not know what to do (501), break (500), or find nothing in it.
"""

import gzip
import logging
from collections.abc import Callable
from typing import Any, Final

from stages.dataloop.errors import PlatformError, ReplyLost

__all__ = ["Compression"]

_log = logging.getLogger(__name__)

_WORTHWHILE_BYTES: Final = 32_768
"""Below, there is little to save."""
_LEVEL: Final = 6
_REFUSALS: Final = frozenset({400, 415, 501})

Send = Callable[[bytes, dict[str, str]], Any]


class Compression:
    """Whether one platform gets compressed bodies: until one of them does harm. Safe to use from any thread."""

    def __init__(self) -> None:
        """Know nothing yet of the platform."""
        self._is_off = False
        self._is_known_to_work = False

    def send(self, data: bytes, send: Send) -> Any:  # noqa: ANN401 - a JSON value
        """Send a body, compressed if that is worth it.

        Of one that is refused nothing was done, so it is sent once more as it is. Where that goes otherwise, it was the
        compression that was refused, and no other body is compressed. Until a first one was taken, compression is also
        given up where the platform breaks, or takes a body and finds nothing in it; then nothing is sent again here.

        Args:
            data: The body.
            send: Sends a body with some headers, and gives what the platform says.

        Raises:
            PlatformError: What `send` raises.
        """
        if self._is_off or len(data) < _WORTHWHILE_BYTES:
            return send(data, {})
        try:
            reply = send(gzip.compress(data, _LEVEL, mtime=0), {"Content-Encoding": "gzip"})
        except PlatformError as refusal:
            if refusal.status in _REFUSALS:
                return self._send_plain(data, send, refusal)
            if isinstance(refusal, ReplyLost) and not self._is_known_to_work:
                self._turn_off(str(refusal))
            raise
        if reply:
            self._is_known_to_work = True
        elif not self._is_known_to_work:
            self._turn_off("the answer is empty")
        return reply

    def _send_plain(self, data: bytes, send: Send, refusal: PlatformError) -> Any:  # noqa: ANN401 - as above
        try:
            reply = send(data, {})
        except PlatformError as error:
            if error.status != refusal.status:
                self._turn_off(str(refusal))
            raise
        self._turn_off(str(refusal))
        return reply

    def _turn_off(self, why: str) -> None:
        self._is_off = True
        _log.info("bodies are no longer compressed: %s", why)
