"""The broker and its listener do what they say."""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from broker import Broker, Certificates, Listener
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

StartBroker = Callable[..., Broker]
Listen = Callable[..., Listener]

ME = {"user": "me", "password": "s:e cret"}


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_a_listener_gets_what_is_published_in_order(broker: StartBroker, listener: Listen, protocol: Any) -> None:
    heard = listener(broker(), "a/#", protocol=protocol)
    for number in range(5):
        heard.publish("a/b", f'{{"number": {number}}}', qos=number % 3)
    heard.publish("b", "another topic")

    messages = heard.wait_until(lambda messages: len(messages) == 5)

    assert [(message.order, message.json()["number"]) for message in messages] == [(i, i) for i in range(5)]
    assert [message.qos for message in messages] == [0, 1, 1, 0, 1]  # subscribed with QoS 1
    assert not any(message.retain for message in messages)
    assert heard.on("a/b") == messages


def test_what_is_retained_comes_to_whom_was_not_there(broker: StartBroker, listener: Listen) -> None:
    box = broker()
    listener(box, "nothing").publish("status", "online", retain=True)

    message = listener(box).wait_for("status")

    assert (message.text, message.retain) == ("online", True)


def test_waiting_in_vain_says_what_there_is(broker: StartBroker, listener: Listen) -> None:
    heard = listener(broker())
    heard.publish("there", "1")
    heard.wait_for("there")

    with pytest.raises(TimeoutError, match=r"not within 0\.05 s; of 1 messages the last are .*there"):
        heard.wait_for("elsewhere", timeout_seconds=0.05)
    heard.forget()
    assert heard.messages == []


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_a_broker_comes_back_on_its_port_and_knows_what_it_knew(
    broker: StartBroker, listener: Listen, end: str
) -> None:
    box = broker()
    port, heard = box.port, listener(box)
    heard.publish("status", "online", retain=True)
    heard.wait_for("status")
    box.save()
    heard.forget()

    getattr(box, end)()
    if end == "kill":
        assert not box.is_running
        box.start()
    heard.wait_until_connected()

    assert box.port == port
    assert heard.wait_for("status").retain


def test_a_frozen_broker_acknowledges_nothing_until_it_thaws(broker: StartBroker, listener: Listen) -> None:
    box = broker()
    heard = listener(box)
    box.pause()
    with pytest.raises(TimeoutError):
        heard.publish("a", "1", timeout_seconds=0.2)

    box.resume()

    assert heard.wait_for("a").text == "1"


def test_a_client_that_vanishes_leaves_its_will(
    broker: StartBroker, listener: Listen, fault_proxy: Callable[..., Any]
) -> None:
    box = broker()
    heard, proxy = listener(box), fault_proxy(box.port)
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.will_set("status", "offline", qos=1)
    client.connect("127.0.0.1", proxy.port)
    client.loop_start()
    try:
        proxy.wait_until(lambda proxy: proxy.bytes_down > 0)  # it is acknowledged
        client.reconnect_delay_set(60)
        proxy.cut(reset=True)
        assert heard.wait_for("status").text == "offline"
    finally:
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()


def test_a_password_is_asked_for(broker: StartBroker, listener: Listen) -> None:
    box = broker(**ME)
    assert listener(box).messages == []

    for box.user, box.password in [("me", "wrong"), ("you", ME["password"]), (None, "")]:
        with pytest.raises(ConnectionRefusedError, match=r"the broker refuses the listener: .*[Nn]ot authori[sz]ed"):
            listener(box)


def test_a_listener_speaks_tls(broker: StartBroker, listener: Listen, certificates: Certificates) -> None:
    heard = listener(broker(certificates=certificates))
    heard.publish("a", "1")

    assert heard.wait_for("a").text == "1"


@pytest.mark.parametrize(("client", "outcome"), [("client", "Success"), (None, "lost")])
def test_a_broker_can_ask_for_a_certificate(
    broker: StartBroker, certificates: Certificates, client: str | None, outcome: str
) -> None:
    box = broker(certificates=certificates, require_client=True)
    paired = (str(certificates.client), str(certificates.client_key)) if client else (None, None)
    connection = paho.Client(CallbackAPIVersion.VERSION2)
    connection.tls_set(str(certificates.ca), *paired)

    assert connect(connection, box.port) == outcome


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_only_its_own_authority_vouches_for_a_broker(
    broker: StartBroker, certificates: Certificates, host: str
) -> None:
    box = broker(certificates=certificates)

    def cipher(authority: Path) -> object:
        context = ssl.create_default_context(cafile=authority)
        plain = socket.create_connection(("127.0.0.1", box.port), 5)
        with plain, context.wrap_socket(plain, server_hostname=host) as secure:
            return secure.cipher()

    assert cipher(certificates.ca)
    with pytest.raises(ssl.SSLCertVerificationError):
        cipher(certificates.other_ca)


def connect(client: paho.Client, port: int) -> str:
    """Say how it went."""
    reasons: list[str] = []
    client.on_connect = lambda _client, _userdata, _flags, reason, _more: reasons.append(str(reason))
    try:
        client.connect("127.0.0.1", port)
        while client.loop(0.1) == paho.MQTT_ERR_SUCCESS and not reasons:
            pass
    finally:
        client._reset_sockets()
    return reasons[0] if reasons else "lost"


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"(?s)mosquitto ended: .*Unknown configuration"):
        Broker(tmp_path, settings=["no_such_setting 1"]).start()
