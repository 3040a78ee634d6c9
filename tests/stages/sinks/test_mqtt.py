"""The sink: its options, and what becomes of a packet. Outages, TLS and the rest are in tests/stages/mqtt/."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Listener
from fakes import NOW, ManualClock, make_packet
from mqtt_parts import (
    SCHEMAS,
    HurriedSink,
    complaints,
    eventful,
    happening,
    options,
    publishing,
    state,
    wait_for_events,
)
from programs import until
from pydantic import ValidationError

from pipeline.errors import SinkError
from pipeline.types import Instances, Packet, SourceStatus
from stages.mqtt.account import default_spool
from stages.mqtt.outbox import Outbox
from stages.mqtt.states import States
from stages.mqtt.topics import Topics
from stages.sinks.mqtt import MqttSink, Options


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    (tmp_path / "broker").mkdir()
    with Broker(tmp_path / "broker") as broker:
        yield broker


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    with Listener(broker, "#") as listener:
        yield listener


def people(count: int) -> Instances:
    return Instances.of([[0, 0, 2, 3]] * count, [0.9] * count)


# Options


def test_the_bare_sink_means_a_broker_on_this_machine() -> None:
    bare = Options()
    assert (bare.host, MqttSink(bare, Path())._port, bare.prefix) == ("localhost", 1883, "kinestream")


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("broker", {"host": "broker"}),
        ("broker:1884", {"host": "broker", "port": 1884}),
        ("[::1]:1884", {"host": "::1", "port": 1884}),
        ("mqtt://me@broker/site/k", {"host": "broker", "user": "me", "prefix": "site/k"}),
        ("tcp://broker", {"host": "broker", "tls": None}),
    ],
)
def test_an_address_says_where_the_broker_is(path: str, values: dict[str, Any]) -> None:
    assert {name: getattr(Options(path=path), name) for name in values} == values


def test_an_address_may_ask_for_tls_and_hold_a_password_which_nobody_sees() -> None:
    found = Options(path="mqtts://me:open%20sesame@broker")
    assert found.tls is not None
    assert MqttSink(found, Path())._port == 8883
    assert found.password is not None
    assert found.password.get_secret_value() == "open sesame"
    assert "sesame" not in repr(found)


def test_an_account_that_is_empty_is_none_so_that_variables_may_be_unset() -> None:
    options = Options.model_validate({"host": "broker", "user": "", "password": ""})
    assert (options.user, options.password) == (None, None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"path": "http://broker"}, "is no address of a broker"),
        ({"path": "broker:x"}, "is no address of a broker"),
        ({"path": "mqtt://me:pw@"}, r"'mqtt://\*\*\*@' is no address"),
        ({"path": ""}, "is no address of a broker"),
        ({"path": "broker:1", "port": 2}, "port stands in `path` and beside it"),
        ({"password": "x"}, "a password needs a `user`"),
        ({"user": "me", "password": "x", "password_file": "y"}, "give one of them"),
        ({"tls": {"key": "k"}}, "a key proves nothing without its certificate"),
        ({"qos": 0}, "Input should be 1 or 2"),
        ({"protocol": "4"}, "Input should be '3.1.1' or '5'"),
        ({"port": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Options(**values)


def test_events_wait_in_a_place_of_their_own_for_each_broker_and_prefix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path))
    places = [default_spool("b", 1, "a/b"), default_spool("b", 1, "a-b"), default_spool("b", 2, "a/b")]
    assert len(set(places)) == 3
    assert all(place.parent == tmp_path / "mqtt" for place in places)
    with HurriedSink(Options(port=1, close_timeout_seconds=0.5), tmp_path / "out"):
        assert default_spool("localhost", 1, "kinestream").exists()
    assert not (tmp_path / "out").exists()


def test_two_sinks_of_one_prefix_are_refused_and_the_first_goes_on(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path) as first:
        second = HurriedSink(options(broker, tmp_path), tmp_path)
        with pytest.raises(SinkError, match="publishes under the same prefix"):
            second.open()
        second.close()
        first.write(eventful())
        wait_for_events(listener, 1)


# What becomes of a packet


def test_every_message_is_what_the_schema_says(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    with publishing(broker, tmp_path, tracks=True, tracks_per_second=100) as sink:
        listener.wait_for("kinestream/spool")
        sink.source_changed(SourceStatus("cam", "connecting", NOW, "no route"))
        sink.write(with_everything(0))
        sink.write(state(1, "occupancy", "door", 2))
        sink.write(state(2, "mood", "door", 2))
        sink.write(with_everything(3, "other"))
        sink.write(state(4, "count", "presence", 2, "other"))
        wait_for_events(listener, 2)
        listener.wait_for("kinestream/cam/tracks")
    listener.wait_for("kinestream/available", lambda message: message.text == "offline")
    told = [(kind_of(message.topic), message) for message in listener.messages if "available" not in message.topic]
    assert [
        complaint for kind, message in told for complaint in complaints(message.json(), SCHEMAS["$defs"][kind])
    ] == []
    assert {kind for kind, _ in told} == SCHEMAS["$defs"].keys() - {"time"}


def kind_of(topic: str) -> str:
    """Say which definition of the schema a topic's messages follow."""
    level = topic.removeprefix("kinestream/cam/").removeprefix("kinestream/other/").removeprefix("kinestream/")
    return {"zone": "state", "events": "event"}.get(level.partition("/")[0], level.partition("/")[0])


def with_everything(index: int, source: str = "cam") -> Packet:
    packet = make_packet(index, source, people(2).with_columns(track_id=[1, -1], predicted=[False, True]))
    return packet.with_events([happening(packet, "fall", track_id=1, xyxy=(0, 1, 2, 3), values={"seconds": 1.5})])


def test_a_check_of_schemas_finds_what_is_wrong() -> None:
    message = {"schema_version": 2, "waiting": "1", "lost": 0, "more": 0}
    assert sorted(complaints(message, SCHEMAS["$defs"]["spool"])) == [
        "$ has no waiting_bytes",
        "$.more is not described",
        "$.schema_version is 2, not 1",
        "$.waiting is '1', no integer",
    ]


def test_an_event_carries_its_own_time_identity_and_reason(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    with publishing(broker, tmp_path) as sink:
        listener.wait_for("kinestream/spool")
        sink.write(with_everything(7))
        (event,) = wait_for_events(listener, 1)
    (message,) = listener.on("kinestream/cam/events")
    assert (message.qos, message.retain) == (1, False)
    assert (event["frame"], event["pts"], event["captured_at"]) == (7, 0.28, "2026-01-02T03:04:05.678900Z")
    assert (event["kind"], event["id"], event["box"], event["values"]) == ("fall", 1, [0, 1, 2, 3], {"seconds": 1.5})
    assert event["event_id"].endswith("-1")
    assert event["sequence"] == 1


def test_an_event_is_with_the_broker_at_once(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    delays = []
    with publishing(broker, tmp_path) as sink:
        listener.wait_for("kinestream/spool")
        for index in range(60):
            began = time.monotonic()
            sink.write(eventful(index))
            event = listener.wait_for("kinestream/cam/events", lambda message: f'"frame":{index},' in message.text)  # noqa: B023 - called at once
            delays.append(event.at - began)
    assert sorted(delays)[int(0.95 * len(delays))] < 0.1, sorted(delays)


def test_sources_that_would_break_topics_have_topics_of_their_own(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    names = ["a/b", "a+b", "#", "a b", "a%2Fb"]
    with publishing(broker, tmp_path) as sink:
        for name in names:
            sink.write(eventful(0, name))
        told = wait_for_events(listener, 5)
    assert [event["source"] for event in told] == names
    assert len({message.topic for message in listener.messages if message.topic.endswith("/events")}) == 5


def test_tracks_are_told_only_where_asked_for_and_not_too_often(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    for tracks in (False, True):
        with publishing(broker, tmp_path, tracks=tracks, tracks_per_second=0.1) as sink:
            publisher = sink._publisher
            assert publisher is not None
            until(lambda: publisher.is_connected, "it did not connect")  # noqa: B023 - at once
            for index in range(20):
                sink.write(with_everything(index))
            if tracks:
                listener.wait_for("kinestream/cam/tracks")
        listener.wait_for("kinestream/available", lambda message: message.text == "offline")
        assert len(listener.on("kinestream/cam/tracks")) == int(tracks)
        listener.forget()


# States


class Told:
    """States with a clock, and what they have put into the outbox."""

    def __init__(self, **more: Any) -> None:
        self.clock = ManualClock()
        self.outbox = Outbox()
        self.states = States(Topics("k"), self.outbox, clock=self.clock, **more)

    def take(self, packet: Packet, seconds: float = 0.04) -> dict[str, Any]:
        self.clock.now += seconds
        self.states.take(packet, is_connected=True)
        return {topic: json.loads(text) for topic, text in self.outbox.take_changed().items()}


def test_without_a_rule_people_in_the_picture_are_counted_at_most_once_a_second() -> None:
    told = Told()
    counts = [told.take(make_packet(index, "c", people(index % 3))).get("k/c/people") for index in range(100)]
    said = [(index, count["count"]) for index, count in enumerate(counts) if count]
    assert said[0] == (0, 0)
    assert 3 <= len(said) <= 5
    told.take(make_packet(100, "c", people(5)), 1.0)
    assert "k/c/people" not in told.take(make_packet(101, "c", people(5)), 1.0)


def test_a_chain_that_looks_for_nobody_counts_nobody() -> None:
    assert "k/c/people" not in Told().take(make_packet(0, "c"))


def test_a_presence_rule_counts_instead_and_only_the_first_one_does() -> None:
    told = Told()
    assert told.take(state(0, "count", "hall", 1, "c"))["k/c/people"]["count"] == 1
    assert "k/c/people" not in told.take(make_packet(1, "c", people(7)), 2.0)
    assert told.take(state(2, "count", "yard", 9, "c"))["k/c/state/yard/count"]["count"] == 9
    assert told.take(state(3, "count", "hall", 2, "c"))["k/c/people"]["count"] == 2


def test_frames_per_second_are_counted_told_now_and_then_and_forgotten_when_frames_stop() -> None:
    told = Told()
    rates = [told.take(make_packet(index, "c")).get("k/c/status", {}).get("fps") for index in range(300)]
    assert [rate for rate in rates if rate is not None] == [25.0] * sum(rate is not None for rate in rates)
    assert 1 <= sum(rate is not None for rate in rates) <= 3
    told.states.take_status(SourceStatus("c", "stalled", NOW, "no frame for 5 s"))
    (status,) = told.outbox.take_changed().values()
    assert '"fps":null' in status
    assert '"error":"no frame for 5 s"' in status


def test_frames_that_come_after_the_end_of_their_source_have_no_rate() -> None:
    told = Told()
    told.states.take_status(SourceStatus("c", "finished", NOW))
    statuses = [told.take(make_packet(index, "c")).get("k/c/status") for index in range(300)]
    assert [status for status in statuses[1:] if status] == []


def test_a_source_nobody_told_about_is_live_or_reading_and_finished_at_its_end() -> None:
    told = Told()
    assert told.take(make_packet(0, "c"))["k/c/status"]["state"] == "reading"
    told.states.end("c")
    assert '"state":"finished"' in told.outbox.take_changed()["k/c/status"]
    told.states.take_status(SourceStatus("c", "failed", datetime.now(UTC), "gone"))
    told.states.end("c")
    told.states.end("nobody")
    assert '"state":"failed"' in told.outbox.take_changed()["k/c/status"]


# Errors


def test_a_sink_whose_thread_has_ended_says_so_at_the_next_write(broker: Broker, tmp_path: Path) -> None:
    with publishing(broker, tmp_path) as sink:
        assert sink._publisher is not None
        sink._publisher.stop(0.5)
        with pytest.raises(SinkError, match="thread that talks to the broker has ended"):
            sink.write(eventful())


def test_a_sink_can_be_opened_again(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    sink = HurriedSink(options(broker, tmp_path), tmp_path)
    for index in range(2):
        sink.open()
        sink.write(eventful(index))
        wait_for_events(listener, index + 1)
        sink.close()
    sink.close()
