"""From packets to what is true now: how each source is, how many people it sees, and where they are."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pipeline.types import Event, Packet, SourceState, SourceStatus
from stages.mqtt.discovery import device_config, device_topic
from stages.mqtt.messages import people_message, state_message, status_message, tracks_message
from stages.mqtt.outbox import Outbox
from stages.mqtt.topics import Topics

__all__ = ["States"]

_RATE_SECONDS: Final = 5.0
"""How often frames per second are told, at most; they are counted over as long."""
_COUNT_SECONDS: Final = 1.0
"""How often a count of people that no rule has smoothed is told, at most."""
_ALIVE: Final = ("live", "reading")


@dataclass(slots=True)
class _Source:
    status: SourceStatus
    rate: float | None = None
    frames: int = 0
    counted_since: float = 0.0
    zones: list[str] = field(default_factory=list)
    presence: str | None = None
    """Which rule says how many people there are; None while none has."""
    people: int | None = None
    """As last told by us."""
    people_at: float = float("-inf")
    tracks_at: float = float("-inf")


class States:
    """Puts into the outbox what has changed.

    Args:
        topics: Where it is told.
        outbox: Where it waits.
        home_assistant: First level of Home Assistant's discovery topics; None without it.
        tracks_per_second: How often positions are told, at most, of each source; 0: never.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        topics: Topics,
        outbox: Outbox,
        home_assistant: str | None = None,
        tracks_per_second: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know no source."""
        self._topics = topics
        self._outbox = outbox
        self._home_assistant = home_assistant
        self._tracks_per_second = tracks_per_second
        self._clock = clock
        self._sources: dict[str, _Source] = {}

    def take_status(self, status: SourceStatus) -> None:
        """Tell how a source is."""
        source = self._sources.get(status.source_id)
        if source is None:
            source = self._sources[status.source_id] = _Source(status)
            self._announce(source)
        source.status = status
        if status.state not in _ALIVE:
            source.rate, source.frames, source.people = None, 0, None
        self._tell_status(source)

    def take(self, packet: Packet, *, is_connected: bool) -> None:
        """Tell what a packet says about now."""
        source = self._source(packet)
        if source.status.state in _ALIVE:  # a source that has finished may have frames on their way
            self._count_frames(source)
        for event in packet.events:
            if event.is_state:
                self._take_state(source, event)
        if source.presence is None:
            self._count_people(source, packet)
        if is_connected and self._tracks_per_second:
            self._tell_tracks(source, packet)

    def end(self, source_id: str) -> None:
        """Say that a source has ended, unless it was said already."""
        source = self._sources.get(source_id)
        if source is not None and source.status.state in _ALIVE:
            self.take_status(SourceStatus(source_id, "finished", datetime.now(UTC)))

    def _source(self, packet: Packet) -> _Source:
        if packet.source_id not in self._sources:
            state: SourceState = "live" if packet.frame.stream.live else "reading"
            self.take_status(SourceStatus(packet.source_id, state, datetime.now(UTC)))
        return self._sources[packet.source_id]

    def _take_state(self, source: _Source, event: Event) -> None:
        if event.kind == "occupancy":
            if event.rule not in source.zones:
                source.zones.append(event.rule)
                self._announce(source)
            topic = self._topics.zone(event.source_id, event.rule)
        elif event.kind == "count" and source.presence in {None, event.rule}:
            source.presence = event.rule
            topic = self._topics.people(event.source_id)
        else:
            topic = self._topics.state(event.source_id, event.rule, event.kind)
        self._outbox.set_state(topic, state_message(event))

    def _count_people(self, source: _Source, packet: Packet) -> None:
        if packet.instances is None or len(packet.instances) == source.people:
            return
        now = self._clock()
        if now - source.people_at >= _COUNT_SECONDS:
            source.people, source.people_at = len(packet.instances), now
            self._outbox.set_state(
                self._topics.people(packet.source_id), people_message(packet.frame, len(packet.instances))
            )

    def _count_frames(self, source: _Source) -> None:
        now = self._clock()
        if source.frames == 0:
            source.counted_since = now
        source.frames += 1
        if now - source.counted_since >= _RATE_SECONDS:
            source.rate = (source.frames - 1) / (now - source.counted_since)
            source.frames, source.counted_since = 1, now
            self._tell_status(source)

    def _tell_status(self, source: _Source) -> None:
        self._outbox.set_state(self._topics.status(source.status.source_id), status_message(source.status, source.rate))

    def _tell_tracks(self, source: _Source, packet: Packet) -> None:
        now = self._clock()
        if now - source.tracks_at >= 1 / self._tracks_per_second:
            source.tracks_at = now
            self._outbox.offer_tracks(self._topics.tracks(packet.source_id), tracks_message(packet))

    def _announce(self, source: _Source) -> None:
        if self._home_assistant is not None:
            source_id = source.status.source_id
            topic = device_topic(self._home_assistant, self._topics, source_id)
            self._outbox.announce(topic, device_config(self._topics, source_id, source.zones))
