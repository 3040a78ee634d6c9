"""One thread that owns one blocking resource: a model, a container, a client.

`asyncio.to_thread` returns on cancellation while its thread still runs; closing the resource then is a use after
close, which with PyAV and CUDA ends the process. A `Worker` makes calls one after the other on one thread, so a close
queued after a call can never overtake it, cancelled or not.
"""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

__all__ = ["Worker", "abandoned_workers"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)
_abandoned: list[threading.Thread] = []


def abandoned_workers() -> tuple[str, ...]:
    """Name the workers that were left behind in a call, and are in it still: only ending the process ends those."""
    _abandoned[:] = [thread for thread in _abandoned if thread.is_alive()]
    return tuple(thread.name for thread in _abandoned)


class Worker:
    """A thread that makes calls in the order they were asked for.

    The thread is a daemon, so a native call that hangs for ever cannot keep the process alive.

    Args:
        name: Of the thread, and in messages.
    """

    def __init__(self, name: str) -> None:
        """Start nothing yet: the thread comes with the first call."""
        self.name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` on the thread and wait for what it returns or raises.

        Cancelled, it stops waiting; the call itself runs to its end, and whatever is called next comes after it.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to the one who waits
                fault = error if not isinstance(error, StopIteration) else _stop_iteration(self.name, error)
                _post(loop, done, _set_exception, fault)
            else:
                _post(loop, done, _set_result, result)

        self._start()
        self._jobs.put(run)
        return await done

    async def close(self, function: Callable[[], object] | None = None) -> None:
        """Run `function` as the last call, then end the thread. Calls in flight come first. Twice is fine.

        Cancelled (a bounded wait ran out), the thread is left alone and listed by `abandoned_workers`.
        """
        if self._thread is None:
            if function is None:
                return
            self._start()
        try:
            if function is not None:
                await self.call(function)
        except asyncio.CancelledError:
            abandoned_workers()  # forgets those that came to an end after all
            if self._thread is not None:
                _abandoned.append(self._thread)
            _log.warning("'%s' did not finish its last call in time; it was left behind", self.name)
            raise
        finally:
            self._jobs.put(None)
            self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=_serve, args=(self._jobs,), name=self.name, daemon=True)
            self._thread.start()


def _serve(jobs: "queue.SimpleQueue[Callable[[], None] | None]") -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # or a frame would live on in here until the next call


def _post(loop: asyncio.AbstractEventLoop, *call: Any) -> None:  # noqa: ANN401 - a future, a setter and its value
    future, setter, value = call
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(setter, future, value)


def _set_result(future: asyncio.Future[Any], value: object) -> None:
    if not future.done():  # it is done when its waiter was cancelled
        future.set_result(value)


def _set_exception(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _stop_iteration(name: str, error: StopIteration) -> RuntimeError:
    """StopIteration cannot be set on a future (it would hang its waiter), so it becomes another error."""
    fault = RuntimeError(f"a call on worker '{name}' raised StopIteration; give next() a default")
    fault.__cause__ = error
    return fault
