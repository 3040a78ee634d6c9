"""The thread that talks to the broker: connects, and connects again."""

import asyncio
import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiomqtt import MqttError

from pipeline.backoff import Backoff
from pipeline.errors import SinkError
from stages.mqtt.connection import Broker, Fault, connected, explain
from stages.mqtt.session import Mail, Session
from stages.mqtt.threads import DaemonThreads

__all__ = ["Pace", "Publisher"]

_log = logging.getLogger(__name__)

_GRACE_SECONDS: Final = 1.0
"""How much longer than it was given the thread may take to end."""
_SHORT_SECONDS: Final = 5.0
"""A connection that broke within this did not last."""
_LAST_CALL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient we are, in seconds."""

    first: float = 1.0
    """The first waiting time before connecting again, at most; doubled each time ..."""
    longest: float = 60.0
    """... up to this. A connection that held for half of it starts over."""
    refused: float = 30.0
    """Before knocking again at a broker that does not want us, at least."""
    answer: float = 10.0
    """A broker that does not acknowledge for so long counts as gone."""


class Publisher:
    """Delivers mail to a broker, on a thread of its own.

    Args:
        broker: Where to, and as whom.
        mail: What; the spool must be open.
        pace: How patient to be.
    """

    def __init__(self, broker: Broker, mail: Mail, pace: Pace) -> None:
        """Start nothing."""
        self._broker = broker
        self._mail = mail
        self._pace = pace
        self._backoff = Backoff(pace.first, pace.longest)
        self._told = ""
        self._short_ones = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._started = threading.Event()
        self._close_by = float("inf")
        self._thread = threading.Thread(target=self._serve, name="mqtt", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs; it ends only after `stop`, or by a fault that is told elsewhere."""
        return self._thread.is_alive()

    @property
    def is_connected(self) -> bool:
        """Whether what is published now goes out at once."""
        session = self._session
        return session is not None and session.is_ready

    def start(self) -> None:
        """Begin to connect, in the background."""
        self._thread.start()
        self._started.wait()

    def wake(self) -> None:
        """There is something to publish."""
        self._call(self._wake_session)

    def stop(self, seconds: float) -> bool:
        """Deliver what is left for at most `seconds`, say `offline`, and end the thread; tell whether it has ended."""
        self._close_by = time.monotonic() + seconds
        self._call(self._stop_session)
        if self._thread.ident is not None:
            self._thread.join(seconds + _GRACE_SECONDS)
        return not self._thread.is_alive()

    def _call(self, function: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is there to be told
                self._loop.call_soon_threadsafe(function)

    def _wake_session(self) -> None:
        if self._session is not None:
            self._session.wake()

    def _stop_session(self) -> None:
        self._stopping.set()
        if self._session is not None:
            self._session.stop(self._close_by)

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        finally:
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = DaemonThreads()
        self._loop.set_default_executor(self._threads)
        self._stopping = asyncio.Event()
        self._started.set()
        connecting = asyncio.create_task(self._keep_connected())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((connecting,), timeout=max(self._close_by - time.monotonic(), 0))
        for task in (connecting, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await connecting
        self._threads.wait(_LAST_CALL_SECONDS)

    async def _keep_connected(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            fault = await self._connect()
            if fault is None:
                return
            if time.monotonic() - began > self._pace.longest / 2:
                self._backoff.reset()
            seconds = self._backoff.next_seconds()
            if fault.is_refusal:
                seconds = max(seconds, self._pace.refused * random.uniform(1, 1.5))
            self._warn(fault, seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _connect(self) -> Fault | None:
        """Serve one connection; tell why it broke, or None when we were asked to stop."""
        fault, began = None, time.monotonic()
        self._mail.expire()
        try:
            async with connected(self._broker, self._threads, self._pace.answer) as client:
                self._session = Session(client, self._mail)
                self._told = ""
                _log.info(
                    "connected to %s as '%s'; %d event(s) wait",
                    self._broker, self._broker.client_id, self._mail.spool.state.waiting,
                )  # fmt: skip
                if self._stopping.is_set():
                    self._session.stop(self._close_by)
                await self._session.serve()
        except* (MqttError, OSError) as errors:
            is_short = self._session is not None and time.monotonic() - began < _SHORT_SECONDS
            self._short_ones = self._short_ones + 1 if is_short else 0
            fault = explain(_first(errors), self._broker, self._short_ones)
        except* SinkError as errors:
            fault = Fault(f"events cannot be read: {_first(errors)}")
        finally:
            self._session = None
            self._mail.spool.in_flight = 0
        return fault

    def _warn(self, fault: Fault, seconds: float) -> None:
        """Say what is wrong, once; while it stays the same, only whoever debugs wants to know."""
        level = logging.DEBUG if fault.text == self._told else logging.WARNING
        waiting = self._mail.spool.state.waiting
        _log.log(level, "%s; tried again, next in %.1f s; %d event(s) wait", fault.text, seconds, waiting)
        self._told = fault.text


def _first(errors: BaseException) -> BaseException:
    """Find the first real error in groups of groups."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
