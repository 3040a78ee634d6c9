"""Events while the broker is absent, dies, freezes, comes back; and while our own process dies."""

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Listener
from fault_proxy import FaultProxy, Pass, Refuse, Silent
from mqtt_parts import HurriedSink, eventful, events, options, publishing, state, wait_for_events
from programs import Program, until

from stages.mqtt.publisher import Pace
from stages.sinks.mqtt import MqttSink

PATIENT = Pace(answer=60)
ROOT = Path(__file__).resolve().parents[3]


def sequences(told: list[dict[str, Any]]) -> list[int]:
    return [event["sequence"] for event in told]


def frames(told: list[dict[str, Any]]) -> list[int]:
    return [event["frame"] for event in told]


def mqtt_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "mqtt"]


def test_a_broker_that_is_absent_fails_nothing_and_gets_everything_when_it_comes(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path
) -> None:
    go_down(broker, proxy)
    with publishing(broker, tmp_path, port=proxy.port) as sink:
        for index in range(50):
            sink.write(eventful(index))
        come_back(broker, proxy, listener)
        told = wait_for_events(listener, 50)
    assert frames(told) == list(range(50))


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=pytest.mark.slow)])
def test_events_of_an_outage_come_in_order_each_once_with_their_own_time_and_delayed(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path, count: int
) -> None:
    with publishing(broker, tmp_path, port=proxy.port) as sink:
        listener.wait_for("kinestream/spool")
        for index in range(50):
            sink.write(eventful(index))
        wait_for_events(listener, 50)
        wait_until_delivered(sink)
        go_down(broker, proxy)
        for index in range(50, 50 + count):
            sink.write(eventful(index))
        come_back(broker, proxy, listener)
        told = wait_for_events(listener, 50 + count, 60)
        wait_until_delivered(sink)
    assert frames(told) == list(range(50 + count))
    assert sequences(told) == list(range(1, 51 + count))
    assert [event["delayed"] for event in told] == [False] * 50 + [True] * count
    assert {event["captured_at"] for event in told} == {"2026-01-02T03:04:05.678900Z"}
    assert told[-1]["delay_seconds"] > 0


def go_down(broker: Broker, proxy: FaultProxy) -> None:
    proxy.apply(Refuse())
    broker.kill()
    proxy.wait_until(lambda proxy: proxy.open == 0)


def come_back(broker: Broker, proxy: FaultProxy, listener: Listener) -> None:
    """Start the broker again, and let us through only when the listener is there, or it would miss something."""
    broker.start()
    listener.wait_until_connected()
    proxy.apply(Pass())


def wait_until_delivered(sink: MqttSink) -> None:
    until(lambda: sink._spool is not None and sink._spool.state.waiting == 0, "not all was acknowledged")


def test_a_broker_that_dies_again_and_again_loses_no_event_and_what_comes_twice_can_be_told(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, port=proxy.port) as sink:
        for index in range(600):
            sink.write(eventful(index))
            if index % 200 == 50:
                go_down(broker, proxy)
            if index % 200 == 150:
                come_back(broker, proxy, listener)
        wait_for_events(listener, 600 - 3 * 8)
        wait_until_delivered(sink)
        told = events(listener.messages)
    # A broker that is killed may have acknowledged what it had no time to pass on; that is not ours to mend.
    first_time = list(dict.fromkeys(sequences(told)))
    assert first_time == sorted(first_time)
    assert len(first_time) >= 600 - 3 * 8


def test_a_connection_that_is_cut_again_and_again_loses_nothing_and_what_comes_twice_has_the_same_id(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, port=proxy.port) as sink:
        for index in range(500):
            sink.write(eventful(index))
            if index % 50 == 25:
                proxy.cut(reset=True)
        told = wait_for_events(listener, 500)
        wait_until_delivered(sink)
    by_id = {event["event_id"]: event["frame"] for event in told}
    assert list(by_id.values()) == list(range(500))
    assert all(by_id[event["event_id"]] == event["frame"] for event in told)
    assert len(told) - len(by_id) <= 10 * 8


def test_a_frozen_broker_slows_nothing_down_and_closing_takes_no_longer_than_asked(
    broker: Broker, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HurriedSink, "pace", PATIENT)
    with publishing(broker, tmp_path, close_timeout_seconds=0.5, tracks=True, tracks_per_second=100) as sink:
        sink.write(eventful(0))
        wait_for_events(listener, 1)
        broker.pause()
        times = []
        for index in range(1, 300):
            began = time.monotonic()
            sink.write(eventful(index))
            times.append(time.monotonic() - began)
        began = time.monotonic()
        sink.close()
        took = time.monotonic() - began
    broker.resume()
    assert sorted(times)[150] < 0.1
    assert took < 4
    assert mqtt_threads() == []
    # The broker has not heard a farewell, so it publishes the will.
    listener.wait_for("kinestream/available", lambda message: message.text == "offline")
    with publishing(broker, tmp_path):
        told = wait_for_events(listener, 300)
    assert list(dict.fromkeys(frames(told))) == list(range(300))


def test_a_frozen_broker_counts_as_gone_and_everything_is_there_when_it_thaws(
    broker: Broker, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publishing(broker, tmp_path) as sink:
        sink.write(eventful(0))
        wait_for_events(listener, 1)
        broker.pause()
        for index in range(1, 100):
            sink.write(eventful(index))
        until(lambda: "does not answer" in caplog.text, "nobody noticed")
        broker.resume()
        told = wait_for_events(listener, 100)
    assert list(dict.fromkeys(frames(told))) == list(range(100))


def test_a_frozen_broker_at_the_start_does_not_keep_us_from_ending(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HurriedSink, "pace", PATIENT)
    broker.pause()
    began = time.monotonic()
    with publishing(broker, tmp_path, close_timeout_seconds=0.5) as sink:
        sink.write(eventful(0))
    assert time.monotonic() - began < 4
    assert mqtt_threads() == []
    broker.resume()


def test_connections_that_nobody_answers_are_closed_before_the_next_one(
    broker: Broker, proxy: FaultProxy, tmp_path: Path
) -> None:
    proxy.apply(Silent())
    with publishing(broker, tmp_path, port=proxy.port, close_timeout_seconds=0.5):
        proxy.wait_for_connections(4)
        proxy.wait_until(lambda proxy: proxy.open <= 1)


def test_no_more_than_a_few_messages_are_on_their_way_to_a_frozen_broker(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with publishing(broker, tmp_path, close_timeout_seconds=0.5) as sink:
        sink.write(eventful())
        wait_for_events(listener, 1)
        wait_until_delivered(sink)
        broker.pause()
        for index in range(1, 200):
            sink.write(eventful(index))
            assert sink._spool is not None
            assert sink._spool.in_flight <= 50  # 8, and those that it still took before it froze
        broker.resume()


WRITER = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from fault_proxy import FaultProxy, Pass, Refuse, Silent
from mqtt_parts import HurriedSink, eventful
from stages.sinks.mqtt import Options

sink = HurriedSink(Options(host="127.0.0.1", port=int(sys.argv[3]), spool=sys.argv[4]), Path())
sink.open()
for line in sys.stdin:
    sink.write(eventful(int(line)))
    print(line.strip(), flush=True)
"""


def writer(broker: Broker, folder: Path) -> Program:
    paths = (ROOT, ROOT / "tests")
    return Program(sys.executable, "-c", WRITER, *paths, str(broker.port), folder / "spool.sqlite")


def test_events_outlive_the_process_that_was_killed_and_the_next_one_delivers_them_delayed(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with writer(broker, tmp_path) as program:
        program.say("0")
        assert program.hear() == "0"
        wait_for_events(listener, 1)
        broker.kill()
        for index in range(1, 20):
            program.say(str(index))
            assert program.hear() == str(index)
        program.kill()
    broker.start()
    listener.wait_until_connected()
    with publishing(broker, tmp_path) as sink:
        sink.write(eventful(20))
        told = wait_for_events(listener, 21)
    by_id = {
        event["event_id"]: event for event in told
    }  # the first one may have been killed before its acknowledgement
    assert frames(list(by_id.values())) == list(range(21))
    assert [event["delayed"] for event in by_id.values()][1:20] == [True] * 19
    assert len({event["event_id"].partition("-")[0] for event in told}) == 1


def test_the_broker_says_offline_for_a_process_that_was_killed(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    with writer(broker, tmp_path) as program:
        listener.wait_for("kinestream/available", lambda message: message.text == "online")
        program.kill()
    listener.wait_for("kinestream/available", lambda message: message.text == "offline")
    with Listener(broker, "#") as late:
        assert late.wait_for("kinestream/available").retain


def test_what_is_left_is_delivered_while_closing(broker: Broker, listener: Listener, tmp_path: Path) -> None:
    with publishing(broker, tmp_path) as sink:
        for index in range(200):
            sink.write(eventful(index))
    told = wait_for_events(listener, 200)
    assert frames(told) == list(range(200))
    last = listener.wait_for("kinestream/available", lambda message: message.text == "offline")
    assert last.order > max(message.order for message in listener.messages if message.topic.endswith("/events"))
    with Listener(broker, "#") as late:
        assert late.wait_for("kinestream/available").text == "offline"


def test_how_many_stay_on_disk_is_told(broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broker.stop()
    with publishing(broker, tmp_path) as sink:
        for index in range(3):
            sink.write(eventful(index))
    assert f"3 event(s) wait in {tmp_path / 'spool.sqlite'}; the next run delivers them" in caplog.text


def test_what_an_overfull_spool_has_lost_is_told_to_everybody(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go_down(broker, proxy)
    with publishing(broker, tmp_path, port=proxy.port, spool_bytes=4096) as sink:
        for index in range(100):
            sink.write(eventful(index))
        come_back(broker, proxy, listener)
        spool = listener.wait_for("kinestream/spool", lambda message: message.json()["waiting"] == 0).json()
    told = events(listener.messages)
    assert spool["lost"] == 100 - len(told) > 50
    assert sequences(told) == list(range(spool["lost"] + 1, 101))
    assert "dropped undelivered" in caplog.text


def test_writing_costs_the_same_whether_the_broker_is_there_or_not(
    broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    def median_seconds(sink: HurriedSink, first: int) -> float:
        times = []
        for index in range(first, first + 101):
            began = time.monotonic()
            sink.write(eventful(index))
            times.append(time.monotonic() - began)
        return sorted(times)[50]

    with publishing(broker, tmp_path) as sink:
        listener.wait_for("kinestream/available")
        up = median_seconds(sink, 0)
        broker.kill()
        down = median_seconds(sink, 200)
    assert down < up + 0.02


def test_the_log_says_once_what_is_wrong_not_at_each_attempt(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broker.stop()
    with caplog.at_level(logging.DEBUG, "stages.mqtt"), publishing(broker, tmp_path):
        until(lambda: caplog.text.count("nobody listens at 127.0.0.1") >= 3, "it did not try again")
    levels = [record.levelname for record in caplog.records if "nobody listens" in record.getMessage()]
    assert levels.count("WARNING") == 1


def test_a_second_client_of_the_same_id_is_suspected_in_words(
    broker: Broker, listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "other"
    with publishing(broker, tmp_path, client_id="twin"):
        listener.wait_for("kinestream/available")
        with HurriedSink(options(broker, other, client_id="twin", prefix="other"), other):
            until(lambda: "does another client log in as 'twin'?" in caplog.text, "nobody noticed")


def test_a_client_id_stays_the_same_from_run_to_run_and_is_another_one_elsewhere(
    broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ids = []
    with caplog.at_level(logging.INFO, "stages.mqtt"):
        for folder in (tmp_path, tmp_path, tmp_path / "elsewhere"):
            with publishing(broker, folder):
                until(lambda: "connected to" in caplog.text, "no connection")
                (message,) = [one.getMessage() for one in caplog.records if "connected to" in one.getMessage()]
                caplog.clear()
            ids.append(message.split("'")[1])
    assert ids[0] == ids[1] != ids[2]


def test_states_of_an_outage_are_told_by_their_last_value_only(
    broker: Broker, listener: Listener, proxy: FaultProxy, tmp_path: Path
) -> None:
    go_down(broker, proxy)
    with publishing(broker, tmp_path, port=proxy.port) as sink:
        for count in range(1000):
            sink.write(state(count, "occupancy", "door", count))
        come_back(broker, proxy, listener)
        listener.wait_for("kinestream/cam/zone/door")
    assert [message.json()["count"] for message in listener.on("kinestream/cam/zone/door")] == [999]
