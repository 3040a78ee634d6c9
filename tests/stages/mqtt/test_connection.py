"""Who may connect, and what is said when somebody may not."""

import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiomqtt import MqttCodeError, MqttError
from broker import Broker, Certificates, Listener
from mqtt_parts import HurriedSink, eventful, happening, options, publishing, wait_for_events
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from programs import until

from pipeline.errors import SinkError
from pipeline.secrets import mask
from stages.mqtt.connection import Broker as Address
from stages.mqtt.connection import explain

RIGHT, WRONG = "open sesame", "close sesame"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "broker").mkdir()
    return tmp_path / "broker"


@pytest.fixture
def guarded(folder: Path) -> Iterator[Broker]:
    with Broker(folder, user="me", password=RIGHT) as broker:
        yield broker


def is_told(sink_options: dict[str, Any], broker: Broker, folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Open a sink that cannot connect, and give what is logged."""
    with publishing(broker, folder, **sink_options) as sink:
        sink.write(eventful())
        until(lambda: "tried again" in caplog.text, "nothing was said")
    return caplog.text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_told_in_words_without_the_password(
    guarded: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str
) -> None:
    told = is_told({"user": "me", "password": WRONG, "protocol": protocol}, guarded, tmp_path, caplog)
    assert "refuses user 'me': Not authorized; check `user` and `password`" in told
    assert "close sesame" not in told
    assert mask("it was close sesame") == "it was ***"


def test_no_password_where_one_is_needed_is_told_in_words(
    guarded: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert "refuses a client without `user` and `password`" in is_told({}, guarded, tmp_path, caplog)


def test_a_password_that_is_put_right_in_the_broker_lets_everything_through(
    guarded: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with publishing(guarded, tmp_path, user="me", password=WRONG) as sink:
        for index in range(20):
            sink.write(eventful(index))
        until(lambda: "refuses user" in caplog.text, "nothing was said")
        guarded.password = WRONG
        guarded.restart()
        until(lambda: sink._spool is not None and sink._spool.state.waiting == 0, "not all was delivered")


def test_a_password_may_be_in_a_file(guarded: Broker, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("open sesame\n", encoding="utf-8")
    password_file = str(tmp_path / "password")
    with Listener(guarded) as listener, publishing(guarded, tmp_path, user="me", password_file=password_file):
        listener.wait_for("kinestream/available")


@pytest.mark.parametrize("text", [None, "", "\n", b"\xff\xfe"], ids=["missing", "empty", "line end", "no text"])
def test_a_password_file_without_a_password_is_an_error_at_the_start(text: str | bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "password"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    sink = HurriedSink(options_without_broker(tmp_path, user="me", password_file=str(path)), tmp_path)
    with pytest.raises(SinkError, match=f"password_file: .*{path}"):
        sink.open()
    sink.close()


def options_without_broker(folder: Path, **more: Any) -> Any:
    return options(Broker(folder), folder, **{"port": 1, **more})


def test_tls_keeps_who_is_told_what_from_everybody_else(
    certificates: Certificates, folder: Path, tmp_path: Path
) -> None:
    with Broker(folder, certificates=certificates) as broker, Listener(broker) as listener:
        with publishing(broker, tmp_path) as sink:
            sink.write(eventful())
            assert len(wait_for_events(listener, 1)) == 1
        listener.wait_for("kinestream/available", lambda message: message.text == "offline")


def test_an_authority_that_has_not_signed_the_broker_is_refused_in_words(
    certificates: Certificates, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder, certificates=certificates) as broker:
        told = is_told({"tls": {"ca": str(certificates.other_ca)}}, broker, tmp_path, caplog)
    assert "shows a certificate that is not trusted" in told
    assert "`tls.ca`" in told


def test_a_broker_of_another_name_is_refused(
    certificates: Certificates, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder, certificates=certificates) as broker:
        told = is_told({"host": "127.0.0.2", "tls": {"ca": str(certificates.ca)}}, broker, tmp_path, caplog)
    assert "nobody listens at 127.0.0.2" in told or "not trusted" in told


def test_insecure_takes_any_certificate(certificates: Certificates, folder: Path, tmp_path: Path) -> None:
    with (
        Broker(folder, certificates=certificates) as broker,
        Listener(broker) as listener,
        publishing(broker, tmp_path, tls={"insecure": True}) as sink,
    ):
        sink.write(eventful())
        wait_for_events(listener, 1)


def test_a_client_certificate_opens_the_door_and_none_does_not(
    certificates: Certificates, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = {"ca": str(certificates.ca), "certificate": str(certificates.client), "key": str(certificates.client_key)}
    with (
        Broker(folder, certificates=certificates, require_client=True) as broker,
        Listener(broker) as listener,
    ):
        with publishing(broker, tmp_path, tls=ours) as sink:
            sink.write(eventful())
            wait_for_events(listener, 1)
        told = is_told({}, broker, tmp_path, caplog)
    assert "closed the connection before it answered" in told or "certificate required" in told


def test_plain_words_to_a_broker_that_speaks_tls_are_told_about(
    certificates: Certificates, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder, certificates=certificates) as broker:
        told = is_told({"tls": None}, broker, tmp_path, caplog)
    assert "closed the connection before it answered" in told


def test_tls_to_a_broker_that_does_not_speak_it_is_told_about(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder) as broker:
        told = is_told({"tls": {}}, broker, tmp_path, caplog)
    assert f"no connection to the MQTT broker 127.0.0.1:{broker.port}" in told


def test_a_frozen_broker_that_speaks_tls_does_not_keep_us_from_ending(
    certificates: Certificates, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder, certificates=certificates) as broker:
        broker.pause()
        began = time.monotonic()
        with publishing(broker, tmp_path, close_timeout_seconds=0.5) as sink:
            sink.write(eventful())
        assert time.monotonic() - began < 4
        broker.resume()
    assert "left behind" not in caplog.text


@pytest.mark.parametrize("part", ["ca", "certificate", "key"])
@pytest.mark.parametrize("damage", ["missing", "empty", "nonsense"])
def test_a_file_of_certificates_that_cannot_be_used_is_an_error_at_the_start(
    certificates: Certificates, tmp_path: Path, part: str, damage: str
) -> None:
    bad = tmp_path / "bad.pem"
    if damage != "missing":
        bad.write_text("nonsense" if damage == "nonsense" else "", encoding="utf-8")
    ours = {"ca": str(certificates.ca), "certificate": str(certificates.client), "key": str(certificates.client_key)}
    sink = HurriedSink(options_without_broker(tmp_path, tls={**ours, part: str(bad)}), tmp_path)
    with pytest.raises(SinkError, match=str(bad)):
        sink.open()
    sink.close()
    assert not (tmp_path / "spool.sqlite").exists()


@pytest.mark.parametrize("allowed", ["topic readwrite kinestream/available", "topic readwrite kinestream/+"])
def test_a_message_that_the_broker_refuses_stays_and_is_told_about(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, allowed: str
) -> None:
    rights = tmp_path / "rights"
    rights.write_text(f"{allowed}\ntopic read #\n", encoding="utf-8")
    rights.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with Broker(folder, settings=[f"acl_file {rights}"]) as broker:
        with publishing(broker, tmp_path) as sink:
            sink.write(eventful())
            until(lambda: "refuses a message on kinestream/" in caplog.text, "nothing was said")
            assert "Not authorized; let a client without `user` and `password` write to it" in caplog.text
            assert sink._spool is not None
            assert sink._spool.state.waiting == 1
        rights.write_text("topic readwrite #\n", encoding="utf-8")
        broker.restart()
        with Listener(broker) as listener, publishing(broker, tmp_path):
            assert wait_for_events(listener, 1)[0]["delayed"]


def test_an_event_that_is_too_large_for_the_broker_is_lost_and_told_and_keeps_nothing_back(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Broker(folder, settings=["max_packet_size 2000"]) as broker, Listener(broker) as listener:
        with publishing(broker, tmp_path) as sink:
            packet = eventful(1)
            sink.write(eventful(0))
            sink.write(packet.with_events([happening(packet, values={"much": "x" * 3000})]))
            sink.write(eventful(2))
            told = wait_for_events(listener, 3)
        spool = listener.wait_for("kinestream/spool", lambda message: message.json()["lost"] == 1).json()
    assert [event["sequence"] for event in told] == [1, 2, 4]
    assert spool["waiting"] == 0
    assert "on kinestream/cam/events is lost: the broker takes 2000 at most" in caplog.text


def test_a_password_that_leaves_this_machine_unencrypted_is_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for host, is_warned in (("127.0.0.1", False), ("localhost", False), ("192.0.2.1", True)):
        caplog.clear()
        with HurriedSink(
            options_without_broker(tmp_path, host=host, user="me", password=RIGHT, close_timeout_seconds=0.5),
            tmp_path,
        ):
            assert ("unencrypted" in caplog.text) == is_warned, host


def disconnected(value: int, kind: int = PacketTypes.DISCONNECT) -> MqttError:
    error = MqttError("Disconnected during message iteration")
    error.__cause__ = MqttCodeError(ReasonCode(kind, identifier=value))
    return error


@pytest.mark.parametrize(
    ("error", "words", "is_refusal"),
    [
        (disconnected(142), "another client has logged in to the MQTT broker b:1883 as 'us'", True),
        (disconnected(128), "the connection to the MQTT broker b:1883 is lost", False),
        (disconnected(139), "ended the connection: Server shutting down", False),
        (disconnected(132, PacketTypes.CONNACK), "does not speak MQTT 5; set `protocol` to the other one", True),
        (disconnected(133, PacketTypes.CONNACK), "does not take the client id 'us'; set `client_id`", True),
        (MqttError("Operation timed out"), "the MQTT broker b:1883 does not answer", False),
        (MqttError("[Errno -2] Name or service not known"), "no connection to the MQTT broker b:1883", False),
    ],
)
def test_a_fault_is_explained(error: MqttError, words: str, *, is_refusal: bool) -> None:
    fault = explain(error, Address("b", 1883, "us", "k/available"))
    assert words in fault.text
    assert fault.is_refusal == is_refusal


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("qos", [1, 2])
def test_both_protocols_deliver_with_both_qualities(folder: Path, tmp_path: Path, protocol: str, qos: int) -> None:
    with (
        Broker(folder) as broker,
        Listener(broker) as listener,
        publishing(broker, tmp_path, protocol=protocol, qos=qos) as sink,
    ):
        for index in range(100):
            sink.write(eventful(index))
        told = wait_for_events(listener, 100)
    assert [event["frame"] for event in told] == list(range(100))
