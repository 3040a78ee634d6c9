import asyncio
import threading

import pytest
from programs import until

from pipeline.worker import Worker, _idle, abandoned_workers


async def test_calls_and_close_run_in_order_on_one_thread() -> None:
    worker = Worker("one")
    seen: list[tuple[str, int]] = []

    def note(what: str) -> None:
        seen.append((what, threading.get_ident()))

    await asyncio.gather(*(worker.call(note, str(n)) for n in range(5)))
    await worker.close(lambda: note("close"))
    assert [what for what, _ in seen] == ["0", "1", "2", "3", "4", "close"]
    assert len({ident for _, ident in seen}) == 1
    assert seen[0][1] != threading.get_ident()


async def test_close_comes_after_a_call_whose_waiter_was_cancelled() -> None:
    worker = Worker("slow")
    started, release = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow() -> None:
        started.set()
        release.wait(5)
        seen.append("call ended")

    call = asyncio.create_task(worker.call(slow))
    await asyncio.sleep(0)
    started.wait(5)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    closing = asyncio.create_task(worker.close(lambda: seen.append("closed")))
    await asyncio.sleep(0)
    assert seen == []
    release.set()
    await closing
    assert seen == ["call ended", "closed"]


async def test_an_error_reaches_the_one_who_called() -> None:
    worker = Worker("bad")

    def fail() -> None:
        msg = "no"
        raise LookupError(msg)

    with pytest.raises(LookupError, match="no"):
        await worker.call(fail)
    assert await worker.call(lambda: 3) == 3
    await worker.close()


async def test_stop_iteration_does_not_hang_its_waiter() -> None:
    worker = Worker("iterator")
    with pytest.raises(RuntimeError, match="StopIteration"):
        await worker.call(next, iter(()))
    await worker.close()


async def test_closing_twice_or_unused_is_fine_and_leaves_no_thread_of_that_name() -> None:
    worker = Worker("closed-twice")
    await worker.close()
    await worker.call(int)
    await worker.close()
    await worker.close()
    until(lambda: "closed-twice" not in {thread.name for thread in threading.enumerate()}, "it was not given back")


async def test_a_thread_that_is_given_back_serves_the_next_worker() -> None:
    first = Worker("first")
    thread = await first.call(threading.current_thread)
    assert thread.name == "first"
    await first.close()
    until(lambda: thread.name == "idle worker", "it was not given back")
    second = Worker("second")
    assert await second.call(threading.current_thread) is thread
    assert thread.name == "second"
    await second.close()


async def test_two_workers_never_share_a_thread_and_few_idle_ones_are_kept() -> None:
    workers = [Worker(f"one-of-many-{number}") for number in range(40)]
    threads = {await worker.call(threading.get_ident) for worker in workers}
    assert len(threads) == 40
    for worker in workers:
        await worker.close()
    names = [thread.name for thread in threading.enumerate()]
    until(lambda: not any(t.name.startswith("one-of-many") for t in threading.enumerate()), f"left: {names}")
    until(lambda: len(_idle) < 30, "too many idle threads are kept")


async def test_a_call_that_never_returns_is_left_behind_and_named() -> None:
    worker = Worker("stuck-forever")
    release = threading.Event()
    call = asyncio.create_task(worker.call(release.wait, 5))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await worker.close(lambda: None)
    assert "stuck-forever" in abandoned_workers()
    release.set()
    await call
