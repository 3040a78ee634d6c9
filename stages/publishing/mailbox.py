"""What lies between who makes pictures and who sends them: a few packets, and never an old one."""

import threading
from collections import deque
from dataclasses import replace
from typing import Final

from pipeline.types import Packet

__all__ = ["Mailbox"]

_PLACES: Final = 2
"""One would be enough, but then two packets that come a little close together would lose one."""
_MOST_EVENTS: Final = 64
"""How many events of forgotten packets are kept."""


class Mailbox:
    """Keeps the newest packets for a reader that may be slow. What happened in a forgotten one moves to the next.

    Safe between one writer and one reader.
    """

    def __init__(self) -> None:
        """Make an empty, open mailbox."""
        self._packets: deque[Packet] = deque()
        self._words: str | None = None
        self._changed = threading.Condition()
        self._closed = False

    def put(self, packet: Packet) -> None:
        """Leave a packet, at once; whatever was said no longer holds."""
        with self._changed:
            if len(self._packets) == _PLACES:
                oldest = self._packets.popleft()
                events = (*oldest.events, *self._packets[0].events)[-_MOST_EVENTS:]
                self._packets[0] = replace(self._packets[0], events=events)
            self._packets.append(packet)
            self._words = None
            self._changed.notify()

    def say(self, words: str | None) -> None:
        """Leave words that explain why no packet comes; None when there is nothing to explain."""
        with self._changed:
            self._words = words
            self._changed.notify()

    def close(self) -> None:
        """Say that nothing more will come. Twice is fine."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    @property
    def is_closed(self) -> bool:
        """True after `close`."""
        return self._closed

    def take(self) -> tuple[Packet | None, str | None]:
        """Take the oldest packet, if there is one, and the words behind the last."""
        with self._changed:
            packet = self._packets.popleft() if self._packets else None
            return packet, None if self._packets else self._words

    def wait_for_packet(self) -> None:
        """Wait until there is one, or the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._packets or self._closed)

    def wait_for_close(self, seconds: float) -> None:
        """Wait for so long, or until the mailbox is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, seconds)
