"""Blocking calls of the event loop on threads that keep no process alive."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

__all__ = ["DaemonThreads"]

P = ParamSpec("P")
T = TypeVar("T")


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call on a daemon thread of its own.

    An event loop resolves names, and paho connects, on the loop's executor. The usual one is joined when the
    interpreter ends, so a name server that does not answer would keep the process for half a minute.
    """

    def __init__(self) -> None:
        """Start nothing."""
        super().__init__(max_workers=1)
        self._running: list[threading.Thread] = []
        self._calls: list[Future[Any]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Begin a call."""
        future: Future[T] = Future()
        thread = threading.Thread(target=_run, args=(future, fn, args, kwargs), name="mqtt connect", daemon=True)
        self._running = [one for one in self._running if one.is_alive()] + [thread]
        self._calls = [one for one in self._calls if not one.done()] + [future]
        thread.start()
        return future

    def afterwards(self, function: Callable[[], object]) -> None:
        """Call `function` as soon as no call is under way: now, or on the thread of the one that is."""
        pending = [call for call in self._calls if not call.done()]
        if pending:
            pending[-1].add_done_callback(lambda _: function())
        else:
            function()

    def wait(self, seconds: float) -> bool:
        """Wait until all calls have come back; tell whether they have."""
        deadline = time.monotonic() + seconds
        for thread in self._running:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in self._running)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - as inherited
        """Leave calls that run alone: each ends by itself, and its thread with it."""
        super().shutdown(wait=False)


def _run(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:  # noqa: ANN401
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn(*args, **kwargs)
    except BaseException as error:  # noqa: BLE001 - handed to the one who waits
        future.set_exception(error)
    else:
        future.set_result(result)
