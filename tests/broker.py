"""A real MQTT broker for tests: mosquitto, on 127.0.0.1 and a port that was free; and a second client that listens.

with Broker(folder) as broker, Listener(broker, "kinestream/#") as listener:
    ...  # publish to 127.0.0.1:broker.port
    message = listener.wait_for(topic="kinestream/cam/status")
    assert message.json()["state"] == "live"
    broker.kill()     # gone without a goodbye; broker.start() comes back on the same port, knowing what it knew
    broker.pause()    # frozen: connections stay open, nothing is acknowledged; broker.resume()
    broker.restart()

Broker(folder, user="me", password="secret")
Broker(folder, certificates=certificates)                 # TLS; certificates: the fixture, or make_certificates()
Broker(folder, certificates=certificates, require_client=True)   # mutual TLS
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from programs import Program, Startable, require, until

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Certificates:
    """Files (PEM) of an authority, what it has signed, and one that nobody trusts."""

    ca: Path
    server: Path
    """For 127.0.0.1 and localhost."""
    server_key: Path
    client: Path
    client_key: Path
    other_ca: Path
    """Another authority: it has signed none of these."""


def make_certificates(folder: Path) -> Certificates:
    """Make an authority, a server's and a client's certificate, good for two days."""
    require("openssl")

    def make(name: str, *words: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        command = ("openssl", "req", "-x509", *key, "-out", f"{name}.pem", "-days", "2", "-subj", f"/CN={name}", *words)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, done.stderr

    authority = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE")
    make("ca", *authority)
    make("other", *authority)
    make("server", *signed, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost")
    make("client", *signed)
    names = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key", "other.pem")
    return Certificates(*(folder / name for name in names))


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on; it is not kept free."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Broker(Startable):
    """One mosquitto.

    Args:
        folder: An empty one, for its configuration and for what it remembers.
        user: Who may connect; None for everybody.
        password: Of that user.
        certificates: Speak TLS with these; None for plain TCP.
        require_client: Of TLS: refuse who has no certificate of `certificates.ca`.
        settings: More lines of mosquitto.conf: `["max_packet_size 2000"]`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        user: str | None = None,
        password: str = "",
        certificates: Certificates | None = None,
        require_client: bool = False,
        settings: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.user, self.password = user, password
        self.certificates, self.require_client = certificates, require_client
        self.settings = tuple(settings)
        self.port = 0
        self._program = Program("mosquitto", "-c", folder / "mosquitto.conf")

    @property
    def host(self) -> str:
        return HOST

    def start(self) -> None:
        """Start, and wait until it listens; on the port it had before, if it had one."""
        require("mosquitto")
        is_new = self.port == 0
        for _ in range(5):
            self.port = free_port() if is_new else self.port
            self._configure()
            self._program.start()
            until(self._has_spoken, "mosquitto did not start")
            if self._program.is_running:
                return
            if not is_new or "in use" not in self.log:  # else somebody has taken the port in between
                break
        msg = f"mosquitto ended: {self.log}"
        self.stop()
        raise RuntimeError(msg)

    def _has_spoken(self) -> bool:
        return not self._program.is_running or " running" in self._program.errors()

    def _configure(self) -> None:
        lines = [
            f"listener {self.port} {HOST}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "log_type notice",
            "log_type information",
            "persistence true",
            f"persistence_location {self.folder}/",
            f"allow_anonymous {'true' if self.user is None else 'false'}",
            *self.settings,
        ]
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes somebody who cannot write here, and is not ours to end
        if self.user is not None:
            lines.append(f"password_file {self._write_passwords()}")
        if (certificates := self.certificates) is not None:
            lines += [
                f"cafile {certificates.ca}",
                f"certfile {certificates.server}",
                f"keyfile {certificates.server_key}",
                f"require_certificate {'true' if self.require_client else 'false'}",
            ]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _write_passwords(self) -> Path:
        path = self.folder / "passwords"
        command = ("mosquitto_passwd", "-b", "-c", str(path), str(self.user), self.password)
        subprocess.run(command, check=True, capture_output=True, timeout=10)
        return path

    @property
    def log(self) -> str:
        """What it has said since it was started."""
        return self._program.errors()

    @property
    def is_running(self) -> bool:
        return self._program.is_running

    def stop(self) -> None:
        """End it properly: it says goodbye, and writes down what it knows."""
        self._program.stop()

    def kill(self) -> None:
        """End it the hard way: it forgets what has come since the last `save`."""
        self._program.kill()

    def save(self) -> None:
        """Let it write down retained messages and sessions, now."""
        path = self.folder / "mosquitto.db"
        before = path.stat().st_ino if path.exists() else None
        self._program.process.send_signal(signal.SIGUSR1)
        until(lambda: path.exists() and path.stat().st_ino != before, "mosquitto did not write its database")

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing is acknowledged."""
        self._program.pause()

    def resume(self) -> None:
        self._program.resume()

    def restart(self) -> None:
        """Stop and start again, on the same port, with retained messages and sessions."""
        self.stop()
        self.start()


@dataclass(frozen=True)
class Message:
    """What a listener got."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    """It was kept by the broker from before we subscribed (a live copy of a retained message says False)."""
    order: int
    """0 for the first message that this listener got."""
    at: float
    """`time.monotonic()` of its arrival."""

    def json(self) -> Any:
        return json.loads(self.payload)

    @property
    def text(self) -> str:
        return self.payload.decode()


class Listener:
    """A client of the broker with a thread of its own; it collects messages, and can publish.

    It connects again by itself when the broker was away, and subscribes again.

    Args:
        broker: Whom to listen to; with its user, password and certificates.
        topic: What to subscribe to, QoS 1.
        protocol: MQTTv5 or MQTTv311.
        port: Of a proxy in between.
    """

    def __init__(
        self,
        broker: Broker,
        topic: str = "#",
        *,
        protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5,
        port: int | None = None,
    ) -> None:
        self._topic = topic
        self._changed = threading.Condition()
        self._messages: list[Message] = []
        self._ready = False
        self._refusal = ""
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, protocol=protocol)
        client.reconnect_delay_set(0.05, 0.05)  # type: ignore[arg-type] # a fraction of a second works as well
        if broker.user is not None:
            client.username_pw_set(broker.user, broker.password)
        if (tls := broker.certificates) is not None:
            client.tls_set(str(tls.ca), str(tls.client), str(tls.client_key))
        client.on_connect = self._connected
        client.on_disconnect = lambda *_: self._set_ready(ready=False)
        client.on_subscribe = lambda *_: self._set_ready(ready=True)
        client.on_message = self._take
        self._port = port or broker.port

    def _connected(self, client: paho.Client, _userdata: object, _flags: object, reason: Any, _more: object) -> None:
        if not reason.is_failure:
            client.subscribe(self._topic, qos=1)
            return
        with self._changed:
            self._refusal = str(reason)
            self._changed.notify_all()

    def _set_ready(self, *, ready: bool) -> None:
        with self._changed:
            self._ready = ready
            self._changed.notify_all()

    def _take(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        with self._changed:
            order = len(self._messages)
            at = time.monotonic()
            got = Message(message.topic, bytes(message.payload), message.qos, message.retain, order, at)
            self._messages.append(got)
            self._changed.notify_all()

    @property
    def messages(self) -> list[Message]:
        """All so far, in order of arrival."""
        with self._changed:
            return list(self._messages)

    def on(self, topic: str) -> list[Message]:
        """All so far on one topic."""
        return [message for message in self.messages if message.topic == topic]

    def wait_until(self, condition: Callable[[list[Message]], object], timeout_seconds: float = 10.0) -> list[Message]:
        """Wait until the messages fulfil a condition, and give them.

        Raises:
            TimeoutError: With what there is.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._messages), timeout_seconds):
                last = [(message.topic, message.payload[:100], message.retain) for message in self._messages[-10:]]
                msg = f"not within {timeout_seconds:g} s; of {len(self._messages)} messages the last are {last}"
                raise TimeoutError(msg)
            return list(self._messages)

    def wait_for(
        self, topic: str, where: Callable[[Message], object] = lambda _: True, timeout_seconds: float = 10.0
    ) -> Message:
        """Wait for the first message on a topic that fulfils a condition; one that is there already counts."""

        def first(messages: list[Message]) -> Message | None:
            return next((message for message in messages if message.topic == topic and where(message)), None)

        found = first(self.wait_until(first, timeout_seconds))
        return cast("Message", found)

    def forget(self) -> None:
        """Forget all messages so far."""
        with self._changed:
            self._messages.clear()

    def wait_until_connected(self, timeout_seconds: float = 10.0) -> None:
        """Wait until it is subscribed; after the broker was away, say."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._refusal, timeout_seconds)
            if self._refusal:
                msg = f"the broker refuses the listener: {self._refusal}"
                raise ConnectionRefusedError(msg)
            if not self._ready:
                msg = f"the listener is not connected to port {self._port} within {timeout_seconds:g} s"
                raise TimeoutError(msg)

    def publish(
        self,
        topic: str,
        payload: bytes | str = b"",
        *,
        qos: int = 1,
        retain: bool = False,
        timeout_seconds: float = 10.0,
    ) -> None:
        """Publish, and wait until the broker has acknowledged it."""
        sent = self._client.publish(topic, payload, qos, retain)
        sent.wait_for_publish(timeout_seconds)
        if not sent.is_published():
            msg = f"the broker has not acknowledged {topic} within {timeout_seconds:g} s"
            raise TimeoutError(msg)

    def open(self) -> None:
        """Connect and subscribe, and wait for that."""
        self._client.connect(HOST, self._port, keepalive=10)
        self._client.loop_start()
        self.wait_until_connected()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        # It would close its own pair of sockets when it is collected, which may be after they are: a ResourceWarning.
        self._client._reset_sockets()

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            with suppress(Exception):
                self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
