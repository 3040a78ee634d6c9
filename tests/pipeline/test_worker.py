import asyncio
import threading

import pytest

from pipeline.worker import Worker, abandoned_workers


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


async def test_closing_twice_or_unused_is_fine_and_leaves_no_thread() -> None:
    worker = Worker("idle")
    await worker.close()
    await worker.call(int)
    await worker.close()
    await worker.close()
    for thread in threading.enumerate():
        if thread.name == "idle":
            thread.join(5)
    assert "idle" not in {thread.name for thread in threading.enumerate()}


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
