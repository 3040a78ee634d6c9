"""What is to be told besides events: the last value of each topic, handed from one thread to another."""

import threading
from collections.abc import Callable

__all__ = ["Outbox"]


class Outbox:
    """Keeps the last value of each topic; what is overtaken is never sent. Safe to use from any thread.

    Its size is bounded by the number of topics, however long the broker is away.

    Args:
        wake: Called, by whoever puts something in, when there is something to send.
    """

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """Begin empty."""
        self.wake = wake
        self.dropped_tracks = 0
        """How many positions were overtaken before they could be sent."""
        self._mutex = threading.Lock()
        self._announcements: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._tracks: dict[str, str] = {}

    def announce(self, topic: str, payload: str) -> None:
        """Describe something to be discovered; sent before the states."""
        self._keep(self._announcements, topic, payload)

    def set_state(self, topic: str, payload: str) -> None:
        """Say how something is now."""
        self._keep(self._states, topic, payload)

    def _keep(self, values: dict[str, str], topic: str, payload: str) -> None:
        with self._mutex:
            if values.get(topic) == payload:
                return
            values[topic] = payload
            self._changed[topic] = None
        self.wake()

    def offer_tracks(self, topic: str, payload: str) -> None:
        """Say where people are; forgotten if it cannot be sent at once."""
        with self._mutex:
            self.dropped_tracks += topic in self._tracks
            self._tracks[topic] = payload
        self.wake()

    def announcements(self) -> dict[str, str]:
        """Give all that is to be discovered."""
        with self._mutex:
            return dict(self._announcements)

    def take_everything(self) -> dict[str, str]:
        """Give every announcement and every state, as after a reconnect; tracks from before are forgotten."""
        with self._mutex:
            self._changed.clear()
            self.dropped_tracks += len(self._tracks)
            self._tracks.clear()
            return self._announcements | self._states

    def take_changed(self) -> dict[str, str]:
        """Give what has changed since it was last taken, announcements first."""
        with self._mutex:
            changed, self._changed = self._changed, {}
            everything = self._announcements | self._states
            return {topic: everything[topic] for topic in sorted(changed, key=lambda topic: topic in self._states)}

    def take_tracks(self) -> dict[str, str]:
        """Give the positions that were last told."""
        with self._mutex:
            tracks, self._tracks = self._tracks, {}
            return tracks
