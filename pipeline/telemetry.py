"""What happened, counted: packets by source, drops by stage and reason, latencies, sinks.

The accounting identity holds for each source at any moment:

    received == delivered + in_flight + sum(dropped.values())

`in_flight` is not a counter but is counted where the packets are (`Runner.in_flight`), so the identity can fail, and
a packet that got lost would make it fail.
"""

import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from pipeline.types import Packet, SourceState, SourceStatus

__all__ = ["Histogram", "SinkCounts", "SourceCounts", "Telemetry"]

_SHORTEST_SECONDS: Final = 1e-6
_BUCKETS_PER_DOUBLING: Final = 8
"""Each bucket is 9 % wide, so a percentile is right to 4.5 %."""
_BUCKETS: Final = 32 * _BUCKETS_PER_DOUBLING
"""1 microsecond to 71 minutes."""


class Histogram:
    """Durations in buckets of growing width: constant memory however long the run."""

    __slots__ = ("_buckets", "count")

    def __init__(self) -> None:
        """Start empty."""
        self._buckets = [0] * _BUCKETS
        self.count = 0

    def record(self, seconds: float, times: int = 1) -> None:
        """Add a duration."""
        ratio = max(seconds, _SHORTEST_SECONDS) / _SHORTEST_SECONDS
        self._buckets[min(int(math.log2(ratio) * _BUCKETS_PER_DOUBLING), _BUCKETS - 1)] += times
        self.count += times

    def quantile_seconds(self, fraction: float) -> float | None:
        """Give the duration that `fraction` (0..1) of all stayed within; None when there is none."""
        rank = fraction * self.count
        seen = 0
        for bucket, times in enumerate(self._buckets):
            seen += times
            if times and seen >= rank:
                return float(_SHORTEST_SECONDS * 2 ** ((bucket + 0.5) / _BUCKETS_PER_DOUBLING))
        return None


@dataclass(slots=True)
class SourceCounts:
    """What became of the frames of one source."""

    received: int = 0
    delivered: int = 0
    """Given to the channel of every sink."""
    dropped: Counter[str] = field(default_factory=Counter)
    """By `stage:reason`."""
    corrupt_frames: int = 0
    """Damaged frames that the source left out; they were never received."""
    identities: int = 0
    people: int = 0
    """In the frame delivered last."""
    expected_frames: int | None = None
    connections: int = 0
    """How many times a live source began to give frames."""
    state: SourceState = "waiting"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When it came into that state, UTC."""
    error: str | None = None
    """What went wrong last; None while all is well."""
    first_received: float | None = None
    last_delivered: float | None = None

    @property
    def frames_per_second(self) -> float:
        """Frames delivered a second, from the first one read to the last one delivered."""
        if self.first_received is None or self.last_delivered is None or self.last_delivered <= self.first_received:
            return 0.0
        return self.delivered / (self.last_delivered - self.first_received)


@dataclass(slots=True)
class SinkCounts:
    """What became of the packets given to one sink: `received == written + waiting + sum(dropped.values())`."""

    received: int = 0
    written: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    """By reason: `overflow`, `unavailable`, or the type of the error that one packet caused."""
    failures: int = 0
    error: str | None = None
    """The latest one, in words."""


class Telemetry:
    """All counters of a run.

    Args:
        clock: Monotonic seconds; `Frame.arrived_monotonic` is on the same clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the run's clock."""
        self.clock = clock
        self.started = clock()
        self.sources: dict[str, SourceCounts] = {}
        self.sinks: dict[str, SinkCounts] = {}
        self.latency: dict[str, Histogram] = {}
        self.batches_halved = 0
        self.on_status: Callable[[SourceStatus], None] = lambda _status: None
        """Called whenever a source comes into another state."""

    def say(self, source_id: str, state: SourceState, error: str | None = None) -> None:
        """Note how a source is from now on, and why."""
        counts = self.sources[source_id]
        if (counts.state, counts.error) == (state, error):
            return
        if counts.state != state:
            counts.since = datetime.now(UTC)
        counts.state, counts.error = state, error
        self.on_status(self.status(source_id))

    def status(self, source_id: str) -> SourceStatus:
        """Say how a source is."""
        counts = self.sources[source_id]
        return SourceStatus(source_id, counts.state, counts.since, counts.error)

    def histogram(self, stage: str) -> Histogram:
        """Give the latencies of a stage; a new one starts empty."""
        return self.latency.setdefault(stage, Histogram())

    def receive(self, packet: Packet) -> None:
        """Count a frame that was read."""
        counts = self.sources[packet.source_id]
        if counts.first_received is None:
            counts.first_received = self.clock()
        counts.received += 1

    def deliver(self, packet: Packet) -> None:
        """Count a packet that every sink was given."""
        counts = self.sources[packet.source_id]
        counts.delivered += 1
        counts.last_delivered = self.clock()
        if packet.instances is not None:
            counts.people = len(packet.instances)
            ids = packet.instances.track_id
            if ids is not None and len(ids):
                counts.identities = max(counts.identities, int(ids.max()))

    def drop(self, packet: Packet, stage: str, reason: str) -> None:
        """Count a packet that goes no further."""
        self.sources[packet.source_id].dropped[f"{stage}:{reason}"] += 1

    @property
    def elapsed_seconds(self) -> float:
        """Time since the run started."""
        return self.clock() - self.started
