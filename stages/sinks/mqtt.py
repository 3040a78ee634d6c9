"""MQTT: what happens as messages that are not lost, how things are as retained values, and Home Assistant's discovery.

The messages and topics are described in `docs/mqtt.md`.
"""

import logging
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from pipeline import plugin
from pipeline.errors import SinkError
from pipeline.secrets import remember_secret
from pipeline.types import Packet, SourceStatus
from stages.mqtt.account import default_spool, is_this_machine, read_password
from stages.mqtt.address import read_address
from stages.mqtt.connection import Broker
from stages.mqtt.messages import event_body
from stages.mqtt.outbox import Outbox
from stages.mqtt.publisher import Pace, Publisher
from stages.mqtt.session import Mail
from stages.mqtt.spool import Spool
from stages.mqtt.states import States
from stages.mqtt.tls import Tls, make_context
from stages.mqtt.topics import Prefix, Topics
from stages.sinks.base import FrameSink

__all__ = ["MqttSink", "Options"]

_log = logging.getLogger(__name__)


class Options(plugin.Options):
    """Options of `mqtt`."""

    path: str | None = None
    """Where the broker is, in short: `host`, `host:1883`, `mqtt://user@host/prefix`, `mqtts://host` (TLS). What it says
    stands for `host`, `port`, `user`, `password`, `prefix` and `tls`, which must not be given beside it."""
    host: str = Field(default="localhost", min_length=1)
    """Name or address of the broker."""
    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port; by default 1883, with TLS 8883."""
    prefix: Prefix = "kinestream"
    """First levels of all topics; another one for each process that publishes to the broker."""
    user: str | None = None
    """Name to log in with; by default, and where it is empty, nobody's."""
    password: SecretStr | None = None
    """Password of the user: better `${MQTT_PASSWORD}`, or in a file. Empty is none."""
    password_file: str | None = None
    """File that holds the password and nothing else."""
    client_id: str | None = Field(default=None, min_length=1)
    """How the broker knows us: two clients of the same id throw each other out. By default `kinestream-` and what names
    the spool, so each installation has its own and keeps it."""
    protocol: Literal["3.1.1", "5"] = "5"
    """Version of MQTT. With 5 a broker says why it refuses something; 3.1.1 is for brokers that know nothing else."""
    keepalive: int = Field(default=30, ge=5, le=65535)
    """Seconds of silence after which each side asks whether the other is there; 1.5 times as long, and the broker says
    `offline` for us."""
    tls: Tls | None = None
    """Encrypt: `{}`, or `ca`, `certificate`, `key`, `insecure`. By default there is none."""
    qos: Literal[1, 2] = 1
    """How events are delivered: 1, at least once; 2 takes two round trips and avoids some doubles."""
    tracks: bool = False
    """Tell who is where, too."""
    tracks_per_second: float = Field(default=5.0, gt=0, le=100, allow_inf_nan=False)
    """How often, at most, of each source."""
    home_assistant: bool = False
    """Let Home Assistant find each source as a device."""
    home_assistant_prefix: Prefix = "homeassistant"
    """First levels of Home Assistant's own topics."""
    spool: str | None = None
    """File in which events wait for the broker. By default one for each broker and prefix, in `KINESTREAM_STATE` or the
    user's state folder (`~/.local/state/kinestream/mqtt`), not in the run's: the next run delivers what is left."""
    spool_bytes: int = Field(default=64 * 2**20, ge=4096)
    """How much may wait; beyond it the oldest events are dropped, counted and told."""
    spool_age_hours: float = Field(default=24 * 7, gt=0, allow_inf_nan=False)
    """How long an event may wait; older ones are dropped, counted and told."""
    close_timeout_seconds: float = Field(default=2.0, ge=0.5, le=30)
    """How long to deliver what is left when the run ends; the rest stays on disk for the next one."""

    @model_validator(mode="before")
    @classmethod
    def _read_path(cls, values: Any) -> Any:  # noqa: ANN401 - whatever stands in a configuration
        if not isinstance(values, dict):
            return values
        values = {name: value for name, value in values.items() if name not in {"user", "password"} or value != ""}
        if not isinstance(values.get("path"), str):
            return values
        found = read_address(values["path"])
        if both := sorted(found.keys() & values.keys() - {"tls"}):
            msg = f"{', '.join(both)} stands in `path` and beside it: give one of them"
            raise ValueError(msg)
        return {**found, **values, "path": None}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.password is not None and self.password_file is not None:
            msg = "there are a `password` and a `password_file`: give one of them"
            raise ValueError(msg)
        if self.user is None and (self.password is not None or self.password_file is not None):
            msg = "a password needs a `user`"
            raise ValueError(msg)
        return self


class MqttSink(FrameSink):
    """Publishes below `prefix`: `available`, and of each source `status`, `people`, `zone/NAME`, `events`, `tracks`.

    Nothing here waits for the broker. Events go to a file first, and from there to the broker in order; when it is
    away they wait in the file, also for the next run. Of states only the last value counts, tracks are told or
    forgotten. A broker that is absent is looked for again and again.
    """

    options: Options
    pace = Pace()

    def __init__(self, options: Options, out: Path) -> None:
        """Keep the options; nothing is opened."""
        super().__init__(options, out)
        self._topics = Topics(options.prefix)
        self._spool: Spool | None = None
        self._publisher: Publisher | None = None
        self._outbox = Outbox()
        home_assistant = options.home_assistant_prefix if options.home_assistant else None
        rate = options.tracks_per_second if options.tracks else 0.0
        self._states = States(self._topics, self._outbox, home_assistant, rate)

    def open(self) -> None:
        """Take the spool, and begin to connect in the background: the broker may be absent.

        Raises:
            SinkError: What waiting never mends: the spool cannot be written, a file of certificates cannot be read.
        """
        options = self.options
        context = None if options.tls is None else make_context(options.tls)
        password = self._password()
        spool = self._spool = Spool(self._spool_path, options.spool_bytes, options.spool_age_hours * 3600)
        spool.open()
        broker = Broker(
            options.host,
            self._port,
            options.client_id or f"kinestream-{spool.identity}",
            self._topics.available,
            options.protocol,
            options.user,
            password,
            options.keepalive,
            context,
        )
        birth = f"{options.home_assistant_prefix}/status" if options.home_assistant else None
        mail = Mail(self._topics, spool, self._outbox, options.qos, birth)
        self._publisher = Publisher(broker, mail, self.pace)
        self._outbox.wake = self._publisher.wake
        self._publisher.start()
        self.description = f"MQTT {options.protocol} to {options.host}:{self._port}, topics {options.prefix}/#"

    def write(self, packet: Packet) -> None:
        """Take note of a packet; what happened in it is on disk when this returns.

        Raises:
            SinkError: The disk does not take the events.
        """
        assert self._spool is not None
        assert self._publisher is not None
        if not self._publisher.is_alive:
            msg = "the thread that talks to the broker has ended; its error was told when it happened"
            raise SinkError(msg)
        self._states.take(packet, is_connected=self._publisher.is_connected)
        events = [event for event in packet.events if not event.is_state]
        if events:
            self._spool.add([(self._topics.events(event.source_id), event_body(event)) for event in events])
            self._publisher.wake()

    def source_changed(self, status: SourceStatus) -> None:
        """Tell how a source is."""
        self._states.take_status(status)

    def end_source(self, source_id: str) -> None:
        """Say that a source has ended."""
        self._states.end(source_id)

    def close(self) -> None:
        """Deliver what is left for a short time, say `offline`, and let go of the spool."""
        publisher, self._publisher = self._publisher, None
        spool, self._spool = self._spool, None
        if publisher is not None and not publisher.stop(self.options.close_timeout_seconds):
            _log.error("the thread that talks to the broker did not end in time; it was left behind")
        if spool is not None:
            spool.close()
            if spool.state.waiting:
                _log.warning("%d event(s) wait in %s; the next run delivers them", spool.state.waiting, spool.path)

    @property
    def _port(self) -> int:
        return self.options.port or (1883 if self.options.tls is None else 8883)

    @property
    def _spool_path(self) -> Path:
        if self.options.spool is None:
            return default_spool(self.options.host, self._port, self.options.prefix)
        return Path(self.options.spool).expanduser()

    def _password(self) -> str | None:
        options = self.options
        if options.password_file is not None:
            password = read_password(options.password_file)
        elif options.password is not None:
            password = options.password.get_secret_value()
            remember_secret(password)
        else:
            return None
        if options.tls is None and not is_this_machine(options.host):
            _log.warning("the password goes to %s unencrypted: give `tls` if the broker speaks it", options.host)
        return password
