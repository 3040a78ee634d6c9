"""One connection to a broker: who we are, what the broker says when we are gone, and what went wrong, in words."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import aiomqtt
from aiomqtt import Client, MqttCodeError, MqttError
from paho.mqtt.reasoncodes import ReasonCode

from stages.mqtt.threads import DaemonThreads

__all__ = ["OFFLINE", "ONLINE", "WINDOW", "Broker", "Connection", "Fault", "MessageRefused", "connected", "explain"]

ONLINE, OFFLINE = "online", "offline"
WINDOW: Final = 8
"""How many messages may be on their way to the broker unacknowledged: the fewest that public brokers allow is 10."""

_wire = logging.getLogger("stages.mqtt.wire")
_wire.setLevel(logging.CRITICAL)  # what it complains of reaches us as an exception too, and is logged in words

_SUSPICIOUS: Final = 3
"""After so many short connections in a row another client of our id is likely; not every broker says so."""
_LOST: Final = 128
_BAD_ACCOUNT: Final = (134, 135)
_WRONG_VERSION: Final = 132
_WRONG_CLIENT_ID: Final = 133
_TAKEN_OVER: Final = 142


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who we are."""

    host: str
    port: int
    client_id: str
    available_topic: str
    """Where `online` and `offline` are told."""
    protocol: Literal["3.1.1", "5"] = "5"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_seconds: int = 30
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    def __str__(self) -> str:
        """Name it in messages."""
        return f"the MQTT broker {self.host}:{self.port}"

    @property
    def who(self) -> str:
        """Name us in messages."""
        return f"user '{self.user}'" if self.user else "a client without `user` and `password`"


class MessageRefused(MqttCodeError):
    """The broker does not take a message on a topic, its argument; with MQTT 5 it says so."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a connection failed."""

    text: str
    is_refusal: bool = False
    """True when the broker knows us and does not want us: no use in asking often."""


class Connection(Client):
    """Notices what aiomqtt overlooks: refused messages, a broker that leaves before it answered, how much it takes."""

    largest_bytes = 2**28
    """The largest message that the broker takes, all included; with MQTT 5 it may say less than the protocol allows."""

    def _on_connect(self, *args: Any) -> None:  # noqa: ANN401 - client, userdata, flags, reason, properties
        self.largest_bytes = getattr(args[4], "MaximumPacketSize", self.largest_bytes)
        super()._on_connect(*args)

    def _on_publish(self, *args: Any) -> None:  # noqa: ANN401 - client, userdata, message id, reason, properties
        paho, _, message_id, reason, _ = args
        if reason.is_failure:
            _fail(self._disconnected, MessageRefused(reason, paho._out_messages[message_id].topic))  # noqa: SLF001
        else:
            super()._on_publish(*args)

    def _on_disconnect(self, *args: Any) -> None:  # noqa: ANN401 - client, userdata, flags, reason, properties
        _fail(self._connected, MqttError("the broker closed the connection before it answered"))
        super()._on_disconnect(*args)


@asynccontextmanager
async def connected(broker: Broker, threads: DaemonThreads, answer_seconds: float) -> AsyncIterator[Connection]:
    """Connect, and say farewell at the end; after an error there is none, so that the broker publishes the will.

    Raises:
        MqttError: No connection, or it broke.
    """
    client = _client(broker, answer_seconds)
    try:
        await client.__aenter__()
        yield client
        await client.__aexit__(None, None, None)
    finally:
        threads.afterwards(lambda: _drop(client))


def _client(broker: Broker, answer_seconds: float) -> Connection:
    is_v5 = broker.protocol == "5"
    client = Connection(
        broker.host,
        broker.port,
        identifier=broker.client_id,
        username=broker.user,
        password=broker.password,
        protocol=aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311,
        will=aiomqtt.Will(broker.available_topic, OFFLINE, qos=1, retain=True),
        # What is not acknowledged is in the spool, and states are told anew: the broker need not remember us.
        clean_session=None if is_v5 else True,
        keepalive=broker.keepalive_seconds,
        timeout=answer_seconds,
        max_queued_incoming_messages=64,
        max_inflight_messages=4 * WINDOW,
        tls_context=broker.tls,
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        logger=_wire,
    )
    client.pending_calls_threshold = 8 * WINDOW
    return client


def _fail(future: asyncio.Future[None], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _drop(client: Client) -> None:
    """Close the socket, whatever state it is in; aiomqtt leaves it open when the broker did not answer."""
    with contextlib.suppress(RuntimeError):  # the event loop is closed already, and with it what watched the socket
        client._client._sock_close()  # noqa: SLF001 - there is no public way without a farewell
    for future in (client._connected, client._disconnected):  # noqa: SLF001
        if future.done() and not future.cancelled():
            future.exception()  # it was told already: asyncio need not complain that nobody looked


def explain(error: BaseException, broker: Broker, short_ones: int = 0) -> Fault:
    """Say why a connection failed, and what to do.

    Args:
        error: What ended it, or kept it from beginning.
        broker: To whom.
        short_ones: How many in a row did not last.
    """
    reason = _reason(error)
    if reason is None:
        return Fault(_explain_text(str(error.__cause__ or error), broker))
    if reason.value == _LOST:
        twin = f", soon after it was made, again and again; does another client log in as '{broker.client_id}'?"
        return Fault(f"the connection to {broker} is lost{twin if short_ones >= _SUSPICIOUS else ''}")
    refusal = _explain_refusal(error, reason, broker)
    return Fault(refusal or f"{broker} ended the connection: {reason}", is_refusal=refusal is not None)


def _explain_refusal(error: BaseException, reason: ReasonCode, broker: Broker) -> str | None:
    match reason.value:
        case value if isinstance(error.__cause__, MessageRefused):
            return f"{broker} refuses a message on {error.__cause__.args[0]}: {reason}; let {broker.who} write to it"
        case value if value in _BAD_ACCOUNT:
            return f"{broker} refuses {broker.who}: {reason}; check `user` and `password`"
        case value if value == _TAKEN_OVER:
            who = f"another client has logged in to {broker} as '{broker.client_id}', which throws us out"
            return f"{who}; give one of them another `client_id`"
        case value if value == _WRONG_VERSION:
            return f"{broker} does not speak MQTT {broker.protocol}; set `protocol` to the other one"
        case value if value == _WRONG_CLIENT_ID:
            return f"{broker} does not take the client id '{broker.client_id}'; set `client_id`"
    return None


def _reason(error: BaseException) -> ReasonCode | None:
    for one in (error, error.__cause__):
        if isinstance(one, MqttCodeError) and isinstance(one.rc, ReasonCode):
            return one.rc
    return None


def _explain_text(text: str, broker: Broker) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return (
            f"{broker} shows a certificate that is not trusted: {text}; give the authority that signed it in `tls.ca`"
        )
    if "Connection refused" in text:
        return f"nobody listens at {broker.host}:{broker.port}; is the broker running?"
    if "timed out" in text:
        return f"{broker} does not answer"
    return f"no connection to {broker}: {text}"
