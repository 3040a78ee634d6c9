"""One source onto one item of the platform."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import Status
from dataloop_server import DataloopServer
from dataloop_setup import set_up
from dataloop_walk import FPS, walk

from pipeline.config import build_config
from pipeline.errors import ConfigError, PipelineError, SinkError
from pipeline.graph import build
from pipeline.runner import Runner
from pipeline.types import SourceState, SourceStatus
from stages.dataloop.errors import PlatformError
from stages.sinks.dataloop import DataloopSink, Options

FRAMES = 40


@pytest.fixture
def item_id(dataloop: DataloopServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An item in a dataset that is set up for people."""
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    (tmp_path / "walk.mp4").write_bytes(b"nobody reads this")
    set_up(dataloop)
    return dataloop.add_item(tmp_path / "walk.mp4", width=320, height=240, fps=FPS, frame_count=FRAMES)


def status(source_id: str, state: SourceState) -> SourceStatus:
    return SourceStatus(source_id, state, datetime.now(UTC))


def annotate(
    item_id: str, out: Path, people: int = 2, ends: SourceState = "finished", *, live: bool = False, **options: Any
) -> None:
    with DataloopSink(Options(item=item_id, **options), out) as sink:
        sink.source_changed(status("cam", "reading"))
        for packet in walk(FRAMES, people, live=live):
            sink.write(packet)
        sink.source_changed(status("cam", ends))
        sink.end_source("cam")
        sink.finish()


def poses(server: DataloopServer, item_id: str) -> list[dict[str, Any]]:
    return [one for one in server.annotations(item_id) if one["type"] == "pose"]


def test_an_item_that_is_not_there_is_an_error_before_anything_is_read(item_id: str, tmp_path: Path) -> None:
    sink = DataloopSink(Options(item=item_id[:-1] + "f"), tmp_path)
    with pytest.raises(PlatformError, match="404"):
        sink.open()
    sink.close()


def test_what_is_no_id_is_refused(item_id: str, tmp_path: Path) -> None:
    assert item_id
    sink = DataloopSink(Options(item="../../etc"), tmp_path)
    with pytest.raises(PipelineError, match="etc"):
        sink.open()
    sink.close()


def test_a_dataset_that_is_not_set_up_is_an_error_that_says_how_to(
    dataloop: DataloopServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    (tmp_path / "walk.mp4").write_bytes(b"nobody reads this")
    with pytest.raises(SinkError, match="kinestream dataloop setup"):
        annotate(dataloop.add_item(tmp_path / "walk.mp4", fps=FPS), tmp_path)


def test_the_people_of_a_source_are_on_its_item_when_the_source_has_ended(
    dataloop: DataloopServer, item_id: str, tmp_path: Path
) -> None:
    annotate(item_id, tmp_path)
    assert {one["metadata"]["system"]["endFrame"] for one in poses(dataloop, item_id)} == {FRAMES - 1}
    assert len(poses(dataloop, item_id)) == 2
    types = [one["type"] for one in dataloop.annotations(item_id)]
    assert (types.count("point"), types.count("box")) == (34, 2)


def test_options_decide_what_is_annotated(dataloop: DataloopServer, item_id: str, tmp_path: Path) -> None:
    annotate(item_id, tmp_path, boxes=False, model="mine")
    there = dataloop.annotations(item_id)
    assert {one["type"] for one in there} == {"pose", "point"}
    assert {one["metadata"]["system"]["model"]["name"] for one in there} == {"mine"}


def test_a_second_run_takes_the_place_of_the_first(dataloop: DataloopServer, item_id: str, tmp_path: Path) -> None:
    annotate(item_id, tmp_path, people=3)
    annotate(item_id, tmp_path, people=1)
    assert len(poses(dataloop, item_id)) == 1


@pytest.mark.parametrize(
    ("ends", "live"), [("stopped", False), ("failed", False), ("failed", True)], ids=["stopped", "broken", "lost"]
)
def test_with_a_source_that_was_cut_short_all_is_as_it_was(
    dataloop: DataloopServer, item_id: str, tmp_path: Path, ends: SourceState, caplog: pytest.LogCaptureFixture,
    *, live: bool,
) -> None:  # fmt: skip
    annotate(item_id, tmp_path, people=3)
    before = dataloop.annotations(item_id)
    with caplog.at_level(logging.WARNING):
        annotate(item_id, tmp_path, people=1, ends=ends, live=live, segment_seconds=0.2)
    assert dataloop.annotations(item_id) == before
    assert "did not come to its end; nothing was replaced" in caplog.text


def test_a_camera_that_is_stopped_has_come_to_its_end(dataloop: DataloopServer, item_id: str, tmp_path: Path) -> None:
    annotate(item_id, tmp_path, people=3)
    annotate(item_id, tmp_path, people=1, ends="stopped", live=True)
    assert len(poses(dataloop, item_id)) == 1


def test_a_run_that_failed_replaces_nothing(dataloop: DataloopServer, item_id: str, tmp_path: Path) -> None:
    annotate(item_id, tmp_path, people=3)
    sink = DataloopSink(Options(item=item_id), tmp_path)
    sink.open()
    for packet in walk(FRAMES, 1):
        sink.write(packet)
    sink.close()
    assert len(poses(dataloop, item_id)) >= 3


def test_a_part_of_a_source_is_not_taken_for_the_whole(item_id: str, tmp_path: Path) -> None:
    sink = DataloopSink(Options(item=item_id), tmp_path)
    sink.open()
    sink.write(next(walk(1, 1)))
    sink.close()
    with pytest.raises(SinkError, match="a part only; nothing was replaced"):
        sink.open()


def test_two_sources_are_refused_at_once(item_id: str, tmp_path: Path) -> None:
    with DataloopSink(Options(item=item_id), tmp_path) as sink:
        sink.source_changed(status("cam", "waiting"))
        with pytest.raises(ConfigError, match=r"with 'cam', and cannot put 'door' onto the same item: give it one"):
            sink.source_changed(status("door", "waiting"))


def test_two_runs_on_the_same_item_at_once_are_refused(item_id: str, tmp_path: Path) -> None:
    other = DataloopSink(Options(item=item_id), tmp_path)
    with DataloopSink(Options(item=item_id), tmp_path), pytest.raises(SinkError, match="annotates the same item"):
        other.open()
    other.close()


def test_a_refusal_of_the_platform_is_an_error_of_the_sink(
    dataloop: DataloopServer, item_id: str, tmp_path: Path
) -> None:
    dataloop.inject(Status(400, "not this label"), "POST", "/annotations$")
    with pytest.raises(SinkError, match=r"is not annotated, nothing was replaced, run it again: .*not this label"):
        annotate(item_id, tmp_path)


@pytest.fixture
def entries(item_id: str) -> Callable[[int], dict[str, Any]]:
    """Give a configuration with so many sources."""

    def make(sources: int) -> dict[str, Any]:
        picture = {"kind": "synthetic", "frames": 12, "width": 320, "height": 240}
        return {
            "sources": [{**picture, "id": f"cam-{number}"} for number in range(sources)],
            "pose": "blazepose",
            "track": "sort",
            "sinks": [{"kind": "dataloop", "item": item_id, "min_seconds": 0}],
        }

    return make


def test_it_needs_joints_and_identities(entries: Callable[[int], dict[str, Any]], tmp_path: Path) -> None:
    for section, missing in (("track", "track_id"), ("pose", "keypoints")):
        config = build_config(entries(1) | {section: "none"})
        with pytest.raises(ConfigError, match=rf"sink .dataloop. needs {missing}|needs xyxy"):
            build(config, tmp_path)


async def test_a_run_of_two_sources_ends_at_once_as_wrongly_configured(
    entries: Callable[[int], dict[str, Any]], tmp_path: Path
) -> None:
    config = build_config(entries(2))
    graph = build(config, tmp_path)
    with pytest.raises(ConfigError, match="give it one source"):
        await asyncio.wait_for(Runner(graph, config.run).run(), 60)
