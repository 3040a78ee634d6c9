"""One connection, from `online` to `offline`: what is told, and in which order.

First `online`, what Home Assistant needs for discovery, all states, and the events that wait. From then on states,
events and tracks go out as they come, each on a task of its own, so that none waits for another.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pipeline.errors import SinkError
from stages.mqtt.connection import OFFLINE, ONLINE, WINDOW, Connection
from stages.mqtt.messages import event_message, spool_message
from stages.mqtt.outbox import Outbox
from stages.mqtt.spool import Spool, Waiting
from stages.mqtt.topics import Topics

__all__ = ["Mail", "Session"]

_log = logging.getLogger(__name__)

_FAREWELL_SECONDS: Final = 0.5
"""Of the time for closing: for the last states, and `offline`."""
_DELAYED_SECONDS: Final = 5.0
"""An event that waited longer than this for its turn is delayed, though the connection never broke."""
_SWEEP_SECONDS: Final = 60.0
"""How often events are looked through for ones that are too old."""
_ENVELOPE_BYTES: Final = 16
"""What the protocol puts around a topic and a payload, at most."""
_RETRY_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Mail:
    """What is to be published, and how."""

    topics: Topics
    spool: Spool
    """Open."""
    outbox: Outbox
    events_qos: int = 1
    birth_topic: str | None = None
    """Where Home Assistant says that it has started; None where discovery is not wanted."""

    def expire(self) -> None:
        """Drop events that are too old; a disk that does not take that is asked again later."""
        _try("events that are too old cannot be dropped", self.spool.expire)


class Session:
    """Publishes over one connection, until it breaks or we are asked to stop."""

    def __init__(self, client: Connection, mail: Mail) -> None:
        """Take a client that is connected."""
        self.is_ready = False
        """Whether all that waited has been told, but for events."""
        self._client = client
        self._mail = mail
        self._window = asyncio.Semaphore(WINDOW)
        self._stopping = asyncio.Event()
        self._close_by = float("inf")
        self._states, self._events, self._tracks = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._acknowledged = asyncio.Event()

    def wake(self) -> None:
        """There is something to publish."""
        for event in (self._states, self._events, self._tracks):
            event.set()

    def stop(self, close_by: float) -> None:
        """Publish what is left until `close_by` (`time.monotonic()`), then say `offline`."""
        self._close_by = close_by - _FAREWELL_SECONDS
        self._stopping.set()
        self.wake()

    async def serve(self) -> None:
        """Publish until `stop`.

        Raises:
            ExceptionGroup: Of MqttError when the connection broke, of SinkError when the spool cannot be read.
        """
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._listen())
            await self._greet()
            delivering = tasks.create_task(self._deliver())
            ways = (self._tell_states(), self._tell_tracks(), self._tidy(), self._sweep())
            serving = [tasks.create_task(way) for way in ways]
            await self._stopping.wait()
            await asyncio.wait((delivering,), timeout=max(self._close_by - time.monotonic(), 0))
            for task in (listening, delivering, *serving):
                task.cancel()
        await self._say_farewell()

    async def _greet(self) -> None:
        self._watermark = self._mail.spool.last_sequence
        self._has_backlog = self._mail.spool.state.waiting > 0
        await self._client.publish(self._mail.topics.available, ONLINE, qos=1, retain=True)
        if self._mail.birth_topic is not None:
            await self._client.subscribe(self._mail.birth_topic, qos=1)
        self._tell_spool()
        await self._tell(self._mail.outbox.take_everything())
        self.is_ready = True

    async def _listen(self) -> None:
        """Hear Home Assistant start; this is also who notices that the connection is gone."""
        async for message in self._client.messages:
            if message.payload == ONLINE.encode() and not message.retain:
                await self._tell(self._mail.outbox.announcements())

    async def _tell_states(self) -> None:
        while True:
            self._states.clear()
            await self._tell(self._mail.outbox.take_changed())
            await self._states.wait()

    async def _tell(self, states: Mapping[str, str]) -> None:
        """Publish states, retained, several at a time."""
        async with asyncio.TaskGroup() as publishing:
            for topic, payload in states.items():
                await self._window.acquire()
                publishing.create_task(self._publish(topic, payload, qos=1, retain=True))

    async def _publish(self, topic: str, payload: str, *, qos: int, retain: bool = False) -> None:
        """Publish when there is room in the window, for which the caller has waited."""
        try:
            if self._fits(topic, payload):
                await self._client.publish(topic, payload, qos=qos, retain=retain)
            else:
                _log.error(
                    "a message of %d bytes on %s is lost: the broker takes %d at most",
                    len(payload),
                    topic,
                    self._client.largest_bytes,
                )
        finally:
            self._window.release()

    def _fits(self, topic: str, payload: str) -> bool:
        """Tell whether the broker takes something so large; if not, it would end the connection, each time anew."""
        return len(topic.encode()) + len(payload.encode()) + _ENVELOPE_BYTES <= self._client.largest_bytes

    async def _tell_tracks(self) -> None:
        while True:
            self._tracks.clear()
            tracks = self._mail.outbox.take_tracks()
            for topic, payload in tracks.items():
                if self._fits(topic, payload):
                    await self._client.publish(topic, payload, qos=0)  # it returns when the socket has taken it all
            await self._tracks.wait()

    async def _deliver(self) -> None:
        """Publish events in order, several on their way at a time, until we are asked to stop and none is left."""
        sent = 0
        async with asyncio.TaskGroup() as publishing:
            while True:
                self._events.clear()
                batch = self._mail.spool.after(sent, WINDOW)
                for event in batch:
                    await self._window.acquire()
                    sent = self._mail.spool.in_flight = event.sequence
                    publishing.create_task(self._publish_event(event))
                if not batch and self._stopping.is_set():
                    return
                if not batch:
                    await self._events.wait()

    async def _publish_event(self, event: Waiting) -> None:
        now, spool = datetime.now(UTC), self._mail.spool
        delayed = event.sequence <= self._watermark or now.timestamp() - event.made_at > _DELAYED_SECONDS
        message = event_message(event, spool.identity, now, delayed=delayed)
        if not self._fits(event.topic, message):
            spool.lose(event.sequence)
            self._has_backlog = True  # so that the loss is told
        await self._publish(event.topic, message, qos=self._mail.events_qos)
        spool.acknowledge(event.sequence)
        self._acknowledged.set()

    async def _tidy(self) -> None:
        while True:
            if not _try("delivered events cannot be taken off the disk", self._mail.spool.tidy):
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            if self._has_backlog and self._mail.spool.state.waiting == 0:
                self._has_backlog = False
                self._tell_spool()
            await self._acknowledged.wait()
            self._acknowledged.clear()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._mail.expire()
            self._tell_spool()

    def _tell_spool(self) -> None:
        self._mail.outbox.set_state(self._mail.topics.spool, spool_message(self._mail.spool.state))

    async def _say_farewell(self) -> None:
        self._tell_spool()
        await self._tell(self._mail.outbox.take_changed())
        await self._client.publish(self._mail.topics.available, OFFLINE, qos=1, retain=True)


def _try(what: str, change: Callable[[], object]) -> bool:
    """Change the spool, and tell whether that worked; where it did not, nothing is lost."""
    try:
        change()
    except SinkError as error:
        _log.warning("%s: %s", what, error)
        return False
    return True
