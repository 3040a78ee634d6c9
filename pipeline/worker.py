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
from typing import Any, Final, ParamSpec, TypeVar

__all__ = ["Worker", "abandoned_workers"]

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)

_MOST_IDLE: Final = 16


class _Thread(threading.Thread):
    """Makes the calls of one worker, then waits to serve another one.

    Threads are used again because a library may keep something for each thread that it ever saw: PyAV and FFmpeg leave
    some 60 KiB behind for each one that read a stream, and a camera may be connected to for months.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.owner: Worker | None = None

    def run(self) -> None:
        while True:
            job = self.jobs.get()
            if job is not None:
                job()
                del job  # or a frame would live on in here until the next call
                continue
            self.owner, self.name = None, "idle worker"
            if len(_idle) >= _MOST_IDLE:
                return
            _idle.append(self)


_idle: list[_Thread] = []
_abandoned: list[tuple[_Thread, "Worker"]] = []


def abandoned_workers() -> tuple[str, ...]:
    """Name the workers that were left behind in a call, and are in it still: only ending the process ends those."""
    _abandoned[:] = [(thread, worker) for thread, worker in _abandoned if thread.owner is worker]
    return tuple(worker.name for _, worker in _abandoned)


class Worker:
    """A thread that makes calls in the order they were asked for.

    The thread is a daemon, so a native call that hangs for ever cannot keep the process alive.

    Args:
        name: Of the thread, and in messages.
    """

    def __init__(self, name: str) -> None:
        """Start nothing yet: the thread comes with the first call."""
        self.name = name
        self._thread: _Thread | None = None

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

        self._take_thread().jobs.put(run)
        return await done

    async def close(self, function: Callable[[], object] | None = None) -> None:
        """Run `function` as the last call, then give the thread back. Calls in flight come first. Twice is fine.

        Cancelled (a bounded wait ran out), the thread is left alone and listed by `abandoned_workers`.
        """
        if self._thread is None and function is None:
            return
        thread = self._take_thread()
        try:
            if function is not None:
                await self.call(function)
        except asyncio.CancelledError:
            abandoned_workers()  # forgets those that came to an end after all
            _abandoned.append((thread, self))
            _log.warning("'%s' did not finish its last call in time; it was left behind", self.name)
            raise
        finally:
            thread.jobs.put(None)
            self._thread = None

    def _take_thread(self) -> _Thread:
        if self._thread is None:
            try:
                thread = _idle.pop()
            except IndexError:
                thread = _Thread()
                thread.start()
            thread.owner, thread.name = self, self.name
            self._thread = thread
        return self._thread


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
