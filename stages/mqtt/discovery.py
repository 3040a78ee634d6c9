"""Home Assistant's MQTT discovery: one device a source, described by one retained message."""

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from stages.mqtt.messages import to_json
from stages.mqtt.topics import Topics

__all__ = ["device_config", "device_topic"]

_FALL_SECONDS: Final = 60
"""How long a fall stays on when nobody is seen to get up."""
_SEES: Final = "{{ 'online' if value_json.state in ('live', 'reading') else 'offline' }}"
"""What is said of people is worth something while frames come, and not from the time before."""
_FALL: Final = (
    f"{{% if value_json.kind == 'fall' and value_json.delay_seconds < {_FALL_SECONDS} %}}ON"
    "{% elif value_json.kind == 'recover' %}OFF{% endif %}"
)
"""What neither is a fall nor ends one gives an empty text, which Home Assistant ignores. A fall that is told long after
it happened is among the events, but rings no alarm now."""


def device_topic(home_assistant: str, topics: Topics, source_id: str) -> str:
    """Name the topic that describes the device of a source."""
    return f"{home_assistant}/device/{_identity(topics, source_id)}/config"


def device_config(topics: Topics, source_id: str, zones: Iterable[str]) -> str:
    """Describe a source: how many people, who is in its zones, falls, frames per second, its state.

    Args:
        topics: Where the values are told.
        source_id: Name of the source.
        zones: Names of the zones that it has.
    """
    identity = _identity(topics, source_id)
    parts = {"people": _people(topics, source_id), "fall": _fall(topics, source_id), **_states(topics, source_id)}
    parts |= {f"zone_{_slug(zone)}": _zone(topics, source_id, zone) for zone in zones}
    config = {
        "dev": {"ids": [identity], "name": source_id, "mf": "Kinestream", "mdl": "camera"},
        "o": {"name": "kinestream"},
        "cmps": {name: part | {"unique_id": f"{identity}_{name}"} for name, part in parts.items()},
        "qos": 1,
    }
    return to_json(config)


def _people(topics: Topics, source_id: str) -> dict[str, Any]:
    return _count("People", topics.people(source_id)) | _while_it_sees(topics, source_id)


def _zone(topics: Topics, source_id: str, zone: str) -> dict[str, Any]:
    return _count(f"Zone {zone}", topics.zone(source_id, zone)) | _while_it_sees(topics, source_id)


def _count(name: str, topic: str) -> dict[str, Any]:
    values = {"value_template": "{{ value_json.count }}", "state_class": "measurement", "icon": "mdi:account-group"}
    return {"p": "sensor", "name": name, "state_topic": topic, **values}


def _fall(topics: Topics, source_id: str) -> dict[str, Any]:
    values = {"value_template": _FALL, "device_class": "safety", "off_delay": _FALL_SECONDS}
    part = {"p": "binary_sensor", "name": "Fall", "state_topic": topics.events(source_id), **values}
    return part | _while_it_sees(topics, source_id)


def _states(topics: Topics, source_id: str) -> dict[str, dict[str, Any]]:
    """Describe what is told even while no frames come."""
    common: dict[str, Any] = {"p": "sensor", "state_topic": topics.status(source_id), "entity_category": "diagnostic"}
    common |= {"availability": [{"topic": topics.available}]}
    rate = {"name": "Frames per second", "value_template": "{{ value_json.fps }}", "state_class": "measurement"}
    state = {"name": "Status", "value_template": "{{ value_json.state }}"}
    error = {"json_attributes_topic": topics.status(source_id)}
    return {"fps": common | rate | {"unit_of_measurement": "fps"}, "status": common | state | error}


def _while_it_sees(topics: Topics, source_id: str) -> dict[str, Any]:
    seen = {"topic": topics.status(source_id), "value_template": _SEES}
    return {"availability": [{"topic": topics.available}, seen], "availability_mode": "all"}


def _identity(topics: Topics, source_id: str) -> str:
    return f"{_slug(topics.prefix)}_{_slug(source_id, topics.prefix)}"


def _slug(name: str, *more: str) -> str:
    """Make a name that Home Assistant takes in ids, `a-z 0-9 _`; different names stay different."""
    digest = hashlib.sha256("\0".join((name, *more)).encode(errors="surrogatepass")).hexdigest()[:8]
    readable = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    return f"{readable}_{digest}" if readable else digest
