"""An output that fails: an encoder that dies, a disk that is full. It alone is down; and it comes back."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from live_run import GOOD, running
from programs import until
from rtsp_server import RtspServer

from stages.sink import Write
from stages.sinks.publish import PublishSink

pytestmark = pytest.mark.slow

Server = Callable[..., RtspServer]
Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]


async def test_an_encoder_that_is_killed_is_started_again_and_the_other_streams_go_on(
    rtsp_server: Server, good: Entries, tmp_path: Path, seconds: Record
) -> None:
    box = rtsp_server(inlets=[f"/{name}" for name in GOOD])
    publish = {"kind": "publish", "url": box.url("/{source}"), "preset": "ultrafast"}
    async with running(good, tmp_path, sinks=[publish]) as run:
        part = next(sink for sink in run.runner.graph.sinks if sink.name == "publish")
        assert isinstance(part, Write)
        sink = part._plugin
        assert isinstance(sink, PublishSink)
        await run.until(lambda: all(box.published(f"/{name}").frames >= 15 for name in GOOD), "nothing was published")
        victim = sink.pids[GOOD[0]]
        assert victim is not None
        others = {name: sink.pids[name] for name in GOOD[1:]}
        before = box.published(f"/{GOOD[0]}").sessions
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        again = await run.until(lambda: box.published(f"/{GOOD[0]}").sessions > before, "it was not started again")
        frames = box.published(f"/{GOOD[0]}").frames
        await run.until(lambda: box.published(f"/{GOOD[0]}").frames >= frames + 15, "it publishes nothing")
        assert sink.restarts == {GOOD[0]: 1, GOOD[1]: 0, GOOD[2]: 0}
        assert {name: sink.pids[name] for name in GOOD[1:]} == others
        assert [box.published(f"/{name}").sessions for name in GOOD[1:]] == [1, 1]
        assert run.runner.telemetry.sinks["publish"].error is None
    until(lambda: not any(box.published(f"/{name}").open for name in GOOD), "a stream was not ended")
    run.assert_undisturbed(GOOD)
    seconds("back", again - killed)


async def test_a_full_disk_stops_one_sink_until_there_is_space_and_no_other(
    good: Entries, tmp_path: Path, seconds: Record
) -> None:
    full = [tmp_path / name for name in ("full.jsonl.part", "full-2.jsonl.part")]
    for path in full:
        path.symlink_to("/dev/full")  # says what a full disk says, at each write
    sinks = [{"kind": "jsonl", "path": "full.jsonl", "id": "full"}, "jsonl", "video"]
    async with running(good, tmp_path, sinks=sinks) as run:
        counts = run.runner.telemetry.sinks["full"]
        down = await run.until(lambda: counts.failures >= 2, "it did not fail")
        assert counts.error is not None
        assert "No space left on device; free some space" in counts.error
        dropped = counts.dropped["unavailable"]
        back = await run.until(lambda: counts.written >= 10, "it did not come back")
        await run.until_frames("good-1", 30)
        assert dropped > 0
        assert counts.failures == 2
        assert [run.runner.telemetry.sinks[name].error for name in ("jsonl", "video")] == [None, None]
        assert "No space left" in str(run.runner.failures)  # so the exit code is not 0
    lines = (tmp_path / "people.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == sum(len(run.witness.of(name)) for name in GOOD)
    assert len((tmp_path / "full-3.jsonl").read_text(encoding="utf-8").splitlines()) == counts.written
    run.assert_undisturbed(GOOD)
    seconds("back", back - down)
