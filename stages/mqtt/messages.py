"""What the messages say: plain values for JSON. `docs/mqtt-schema.json` describes each of them."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from pipeline.types import Event, Frame, Packet, SourceStatus
from stages.mqtt.spool import SpoolState, Waiting
from stages.rows import FRAME_COLUMNS, event_object, frame_object, frame_values, utc

__all__ = [
    "SCHEMA_VERSION",
    "event_body",
    "event_message",
    "people_message",
    "spool_message",
    "state_message",
    "status_message",
    "to_json",
    "tracks_message",
]

SCHEMA_VERSION: Final = 1
"""Goes up when a field changes its meaning or vanishes; new fields may come at any time."""

to_json = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def status_message(status: SourceStatus, frames_per_second: float | None) -> str:
    """Say how a source is; `fps` is null while no frames come."""
    return _message(
        source=status.source_id,
        state=status.state,
        since=_utc(status.since),
        error=status.error,
        fps=None if frames_per_second is None else round(frames_per_second, 1),
    )


def people_message(frame: Frame, count: int) -> str:
    """Say how many people a source sees."""
    return _message(**dict(zip(FRAME_COLUMNS, frame_values(frame), strict=True)), count=count)


def state_message(event: Event) -> str:
    """Say what a rule says about now: `count`, and what else is in its values."""
    when = (event.source_id, event.frame_index, round(event.pts_seconds, 6), utc(event))
    values = {"rule": event.rule, "kind": event.kind, **event.values}
    return _message(**(values | dict(zip(FRAME_COLUMNS, when, strict=True))))


def tracks_message(packet: Packet) -> str:
    """Say who is where."""
    return _message(**{name: value for name, value in frame_object(packet).items() if name != "events"})


def spool_message(state: SpoolState) -> str:
    """Say how many events wait, and how many were lost."""
    return _message(waiting=state.waiting, waiting_bytes=state.waiting_bytes, lost=state.lost)


def event_body(event: Event) -> str:
    """Give the part of an event's message that is known when it happens."""
    return to_json(event_object(event))


def event_message(waiting: Waiting, spool: str, now: datetime, *, delayed: bool) -> str:
    """Complete an event's message: which one it is, and how it was delivered.

    Args:
        waiting: The event.
        spool: Identity of the spool it was in; with its number, that names it for ever.
        now: UTC.
        delayed: True when it had to wait for the broker. For how long is in `delay_seconds`.
    """
    head = _message(
        event_id=f"{spool}-{waiting.sequence}",
        sequence=waiting.sequence,
        delayed=delayed,
        delay_seconds=round(max(now.timestamp() - waiting.made_at, 0.0), 3),
        published_at=_utc(now),
    )
    return f"{head[:-1]},{waiting.body[1:]}"


def _message(**values: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    return to_json({"schema_version": SCHEMA_VERSION, **values})


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
