"""What tests of MQTT share: packets in which something happens, a sink in a hurry, and a check of messages' schemas."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from broker import Broker, Listener, Message
from fakes import make_packet

from pipeline.types import Event, Instances, Packet
from stages.mqtt.publisher import Pace
from stages.sinks.mqtt import MqttSink, Options

HURRY = Pace(first=0.02, longest=0.1, refused=0.1, answer=0.5)
SCHEMAS = json.loads((Path(__file__).resolve().parents[1] / "docs" / "mqtt-schema.json").read_text(encoding="utf-8"))


class HurriedSink(MqttSink):
    """Tries again soon, and gives up on a silent broker soon."""

    pace = HURRY


def happening(packet: Packet, kind: str = "enter", rule: str = "door", **more: Any) -> Event:
    frame = packet.frame
    return Event(frame.source_id, rule, kind, frame.index, frame.pts_seconds, frame.captured_at, "because", **more)


def eventful(index: int = 0, source: str = "cam", kind: str = "enter", *, people: Instances | None = None) -> Packet:
    """Make a packet in which one thing happens."""
    packet = make_packet(index, source, people)
    return packet.with_events([happening(packet, kind)])


def state(index: int, kind: str, rule: str, count: int, source: str = "cam") -> Packet:
    """Make a packet in which a rule says how many there are."""
    packet = make_packet(index, source)
    return packet.with_events([happening(packet, kind, rule, values={"count": count}, is_state=True)])


def options(broker: Broker, folder: Path, **more: Any) -> Options:
    if broker.certificates is not None:
        more.setdefault("tls", {"ca": str(broker.certificates.ca)})
    return Options(**{"host": broker.host, "port": broker.port, "spool": str(folder / "spool.sqlite"), **more})


@contextmanager
def publishing(broker: Broker, folder: Path, **more: Any) -> Iterator[HurriedSink]:
    """Open a sink to a broker."""
    with HurriedSink(options(broker, folder, **more), folder) as sink:
        yield sink


def wait_for_events(listener: Listener, count: int, timeout_seconds: float = 20.0) -> list[dict[str, Any]]:
    """Wait for so many different events, and give all in order of arrival."""

    def are_there(messages: Sequence[Message]) -> bool:
        return len(messages) >= count and len({one["event_id"] for one in events(messages)}) >= count

    listener.wait_until(are_there, timeout_seconds)
    return events(listener.messages)


def events(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [message.json() for message in messages if message.topic.endswith("/events")]


def complaints(value: Any, schema: dict[str, Any], path: str = "$") -> Iterator[str]:
    """Check the part of JSON Schema that our schemas use: what is wrong, and where."""
    if "$ref" in schema:
        yield from complaints(value, SCHEMAS["$defs"][schema["$ref"].rpartition("/")[2]], path)
    if "const" in schema and value != schema["const"]:
        yield f"{path} is {value!r}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r}, none of {schema['enum']}"
    wanted = schema.get("type", [])
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if kinds and not any(TYPES[kind](value) for kind in kinds):
        yield f"{path} is {value!r}, no {' or '.join(kinds)}"
        return
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path} is {value!r}, which does not match {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path} is {value!r}, less than {schema['minimum']}"
    yield from _complaints_inside(value, schema, path)


def _complaints_inside(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{path} has no {name}" for name in schema.get("required", ()) if name not in value)
        known = schema.get("properties", {})
        yield from (f"{path}.{name} is not described" for name in value if known and name not in known)
        for name in value.keys() & known.keys():
            yield from complaints(value[name], known[name], f"{path}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from complaints(item, schema["items"], f"{path}[{index}]")


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}
