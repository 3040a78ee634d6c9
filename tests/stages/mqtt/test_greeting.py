"""What is told after each connect, in which order; and Home Assistant."""

import json
from pathlib import Path

import pytest
from broker import Broker, Listener
from fakes import NOW
from fault_proxy import FaultProxy, Pass, Refuse
from hypothesis import given
from hypothesis import strategies as st
from mqtt_parts import eventful, publishing, state, wait_for_events

from pipeline.types import SourceStatus
from stages.mqtt.discovery import device_config, device_topic
from stages.mqtt.outbox import Outbox
from stages.mqtt.topics import Topics

TOPICS = Topics("kinestream")
DEVICE = device_topic("homeassistant", TOPICS, "cam")


def test_after_a_reconnect_birth_comes_first_then_discovery_then_states_then_events(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, port=proxy.port, home_assistant=True) as sink:
        sink.source_changed(SourceStatus("cam", "live", NOW))
        sink.write(state(0, "occupancy", "door", 1))
        sink.write(eventful(1))
        wait_for_events(listener, 1)
        proxy.apply(Refuse())
        proxy.cut()
        listener.wait_for("kinestream/available", lambda message: message.text == "offline")
        sink.source_changed(SourceStatus("cam", "stalled", NOW, "no frame"))
        for index in range(2, 20):
            sink.write(eventful(index))
        listener.forget()
        proxy.apply(Pass())
        wait_for_events(listener, 18)
        topics = [message.topic for message in listener.messages]
    assert topics[:2] == ["kinestream/available", DEVICE]
    first_event = topics.index("kinestream/cam/events")
    assert {"kinestream/cam/status", "kinestream/cam/zone/door", "kinestream/spool"} <= set(topics[2:first_event])
    status = next(message for message in listener.messages if message.topic == "kinestream/cam/status").json()
    assert (status["state"], status["error"], status["fps"]) == ("stalled", "no frame", None)


def test_everything_that_is_retained_is_there_for_who_comes_later_also_after_the_broker_was_restarted(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, home_assistant=True) as sink:
        sink.source_changed(SourceStatus("cam", "live", NOW))
        sink.write(state(0, "occupancy", "door", 3))
        sink.write(state(1, "count", "presence", 4))
        sink.write(eventful(2))
        wait_for_events(listener, 1)
        listener.wait_for("kinestream/cam/people")
        broker.save()
        broker.kill()
        broker.start()
        with Listener(broker, "#") as late:
            kept = {
                topic: late.wait_for(topic)
                for topic in ("kinestream/available", "kinestream/cam/status", "kinestream/cam/people", DEVICE)
            }
            assert late.wait_for("kinestream/cam/zone/door").json()["count"] == 3
            late.wait_for("kinestream/available", lambda message: message.text == "online")
    assert kept["kinestream/cam/people"].json()["count"] == 4
    assert all(message.retain for message in kept.values())


def test_home_assistant_is_told_again_when_it_says_that_it_has_started(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, home_assistant=True) as sink:
        sink.source_changed(SourceStatus("cam", "live", NOW))
        listener.wait_for(DEVICE)
        listener.wait_for("kinestream/cam/status")
        listener.forget()
        listener.publish("homeassistant/status", "offline")
        listener.publish("homeassistant/status", "online")
        assert listener.wait_for(DEVICE).json()["dev"]["name"] == "cam"
    assert len(listener.on(DEVICE)) == 1


def test_without_discovery_nothing_is_said_below_the_prefix_of_home_assistant(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as sink:
        sink.source_changed(SourceStatus("cam", "live", NOW))
        listener.wait_for("kinestream/cam/status")
        listener.publish("homeassistant/status", "online")
    listener.wait_for("kinestream/available", lambda message: message.text == "offline")
    assert {message.topic for message in listener.messages if "homeassistant" in message.topic} == {
        "homeassistant/status"
    }


def test_a_zone_that_turns_up_later_is_discovered_before_its_value_is_told(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, home_assistant=True) as sink:
        sink.source_changed(SourceStatus("cam", "live", NOW))
        listener.wait_for("kinestream/cam/status")
        sink.write(state(0, "occupancy", "back door", 1))
        value = listener.wait_for("kinestream/cam/zone/back%20door")
        device = listener.on(DEVICE)[-1]
    assert device.order < value.order
    (zone,) = [part for name, part in device.json()["cmps"].items() if name.startswith("zone_")]
    assert zone["state_topic"] == "kinestream/cam/zone/back%20door"
    assert zone["name"] == "Zone back door"


def test_a_device_has_all_that_home_assistant_asks_for() -> None:
    config = json.loads(device_config(TOPICS, "cam", ["door"]))
    assert config["dev"]["ids"]
    assert config["o"]["name"] == "kinestream"
    parts = config["cmps"]
    assert {part["p"] for part in parts.values()} == {"sensor", "binary_sensor"}
    assert len({part["unique_id"] for part in parts.values()}) == len(parts) == 5
    assert all(part["availability"][0] == {"topic": "kinestream/available"} for part in parts.values())
    assert parts["fall"]["state_topic"] == "kinestream/cam/events"
    assert parts["fall"]["off_delay"] == 60


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_no_two_sources_share_a_device(places: list[tuple[str, str]]) -> None:
    (one, source), (other, another) = places
    assert device_topic("ha", Topics(one), source) != device_topic("ha", Topics(other), another)


@given(st.text(), st.lists(st.text(), unique=True))
def test_every_device_and_part_has_a_name_that_home_assistant_takes(source: str, zones: list[str]) -> None:
    identity = device_topic("ha", TOPICS, source).split("/")[2]
    parts = json.loads(device_config(TOPICS, source, zones))["cmps"]
    for name in (identity, *parts):
        assert name.isascii()
        assert name.replace("_", "").isalnum()
    assert len(parts) == 4 + len(zones)


def test_an_outbox_forgets_what_is_overtaken_and_says_nothing_twice() -> None:
    wakes: list[None] = []
    outbox = Outbox(lambda: wakes.append(None))
    outbox.set_state("s", "1")
    outbox.set_state("s", "2")
    outbox.set_state("s", "2")
    outbox.announce("a", "x")
    assert len(wakes) == 3
    assert list(outbox.take_changed().items()) == [("a", "x"), ("s", "2")]
    assert outbox.take_changed() == {}
    assert list(outbox.take_everything()) == ["a", "s"]
    outbox.offer_tracks("t", "1")
    outbox.offer_tracks("t", "2")
    assert outbox.take_tracks() == {"t": "2"}
    assert outbox.dropped_tracks == 1


@pytest.mark.parametrize("way", ["everything", "tracks"])
def test_tracks_from_before_a_connection_are_old_news(way: str) -> None:
    outbox = Outbox()
    outbox.offer_tracks("t", "1")
    assert (outbox.take_everything() if way == "everything" else outbox.take_tracks()) is not None
    assert outbox.take_tracks() == {}
