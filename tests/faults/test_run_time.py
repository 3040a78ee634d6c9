"""Cameras that come, pause and go while others are watched: nobody notices, and nothing is left behind."""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from clips import Clip
from fault_proxy import FaultProxy, Stall
from live_run import GOOD, LiveRun, camera, running
from rtsp_server import RtspServer

from pipeline.config import build_config
from pipeline.graph import build
from pipeline.runner import Runner

pytestmark = pytest.mark.slow

Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]


def census() -> tuple[int, int]:
    """Count this process' threads and open files."""
    gc.collect()
    process = psutil.Process()
    return process.num_threads(), process.num_fds()


async def cycle(run: LiveRun, url: str, other_url: str) -> None:
    """Add a camera, pause it, let it go on, put another one in its place, remove that."""
    since = time.monotonic()
    run.runner.sources.add(*run.make(camera("guest", url)))
    await run.until_state("guest", "live", since=since)
    since = time.monotonic()
    run.runner.sources.pause("guest")
    await run.until_state("guest", "paused", since=since)
    run.runner.sources.resume("guest")
    await run.until_state("guest", "live", since=since)
    since = time.monotonic()
    (replacement,) = run.make(camera("guest", other_url))
    await run.runner.sources.replace(replacement)
    seen = await run.until_frames("guest", 3, since=since)
    assert seen[-1].size == (640, 384)
    await run.runner.sources.remove("guest")


async def test_cameras_come_pause_and_go_beside_others_and_leave_nothing_behind(
    steady: RtspServer, rtsp_server: Callable[..., RtspServer], make_clip: Callable[..., Clip], good: Entries,
    tmp_path: Path,
) -> None:  # fmt: skip
    other = rtsp_server({"/cam": make_clip(width=640, height=384, fps=15, gop=5, first=1000)})
    async with running(good, tmp_path) as run:
        await run.until_all_live()
        await cycle(run, steady.url("/cam"), other.url("/cam"))
        threads, files = census()
        for _ in range(4):
            await cycle(run, steady.url("/cam"), other.url("/cam"))
        await run.until(lambda: census() <= (threads, files), f"there are more than {threads} threads, {files} files")
        assert run.runner.sources.ids == GOOD
    run.assert_undisturbed(GOOD)


async def test_a_camera_that_hangs_is_removed_within_seconds(
    steady: RtspServer, good: Entries, fault_proxy: Callable[[int], FaultProxy], tmp_path: Path, seconds: Record
) -> None:
    proxy = fault_proxy(steady.port)
    async with running([camera("bad", proxy.through(steady.url("/cam"))), *good], tmp_path) as run:
        await run.until_all_live()
        proxy.apply(Stall())
        asked = time.monotonic()
        await run.runner.sources.remove("bad")
        took = time.monotonic() - asked
        assert took <= 5
        await run.until_frames("good-1", 15, since=asked)
        assert run.runner.sources.ids == GOOD
    run.assert_undisturbed(GOOD)
    seconds("gone", took)


async def test_a_run_that_was_asked_to_stop_before_it_began_ends_at_once(good: Entries, tmp_path: Path) -> None:
    config = build_config({"sources": good, "sinks": ["null"]})
    runner = Runner(build(config, tmp_path), config.run)
    runner.stop()
    await asyncio.wait_for(runner.run(), 3)
