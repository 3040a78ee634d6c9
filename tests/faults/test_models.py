"""A model that breaks on a picture, or is too slow: one frame is lost by name, or old ones are; cameras go on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import odd_parts
import pytest
from live_run import GOOD, camera, running
from rtsp_server import RtspServer

from pipeline.registry import PLUGINS

pytestmark = pytest.mark.slow

Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]


@pytest.fixture(autouse=True)
def _odd_detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in odd_parts.PLUGINS["detector"].items():
        monkeypatch.setitem(PLUGINS["detector"], name, place)


async def test_a_frame_that_breaks_the_model_is_dropped_by_name_and_no_other(
    steady: RtspServer, good: Entries, tmp_path: Path
) -> None:
    sources = [camera("bad", steady.url("/cam")), *good]
    async with running(sources, tmp_path, detect={"kind": "brittle", "breaks_on": 10}) as run:
        await run.until_all_live()
        await run.until_frames("bad", 25)
        counts = run.runner.telemetry.sources
        by_error = {name: one.dropped["detect:ZeroDivisionError"] for name, one in counts.items()}
        assert by_error == {"bad": 1, "good-1": 0, "good-2": 0, "good-3": 0}
    assert 10 not in {frame.index for frame in run.witness.of("bad")}
    assert {9, 11} <= {frame.index for frame in run.witness.of("bad")}
    run.assert_undisturbed(("bad", *GOOD))


async def test_a_slow_detector_gets_fresh_frames_and_the_others_are_counted(
    steady: RtspServer, good: Entries, tmp_path: Path, seconds: Record
) -> None:
    slowness = 0.3
    sources = [camera("bad", steady.url("/cam")), *good]
    async with running(sources, tmp_path, detect={"kind": "sluggish", "seconds": slowness}) as run:
        await run.until_all_live()
        await run.until_frames("bad", 8)
        counts = run.runner.telemetry.sources["bad"]
        dropped = counts.dropped["decode:overflow"] + counts.dropped["detect:stale"]
        assert dropped >= counts.delivered  # it sees 3 of 15 frames a second
    assert max(frame.age for frame in run.witness.frames) <= run.config.run.max_age_seconds + slowness + 0.2
    assert {counts.connections for counts in run.runner.telemetry.sources.values()} == {1}
    seconds("oldest", max(frame.age for frame in run.witness.frames))
