"""The report of a run: the keys that scripts read, plain values, no secrets, and a file that is whole or not there."""

import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSink, FakeSource, FakeStage, refuse

from pipeline import secrets
from pipeline.config import build_config
from pipeline.errors import PipelineError, SinkError, SourceError, StageError
from pipeline.graph import Graph
from pipeline.report import make_report, version, write_report
from pipeline.runner import Runner
from pipeline.secrets import remember_secret
from pipeline.stage import Sink, Source, Stage

CONFIG = build_config(
    {
        "sources": [{"kind": "file", "path": "rtsp://me:hunter2@cam/1"}],
        "sinks": [{"kind": "mqtt", "password": "hunter2"}],
        "run": {"out": "runs/x"},
    }
)


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_remembered", set())


async def report_of(
    *sources: Source, stages: tuple[Stage, ...] = (), sinks: tuple[Sink, ...] = (), error: PipelineError | None = None
) -> dict[str, Any]:
    runner = Runner(Graph(sources, stages or (FakeStage("detect"),), sinks or (FakeSink(),)))
    await runner.run()
    return make_report(runner, CONFIG, error)


# What it says


async def test_the_keys_are_those_promised() -> None:
    report = await report_of(FakeSource("cam", 3))
    assert set(report) == {
        "sources",
        "sinks",
        "models",
        "latency_ms",
        "channels",
        "errors",
        "late",
        "batches_halved",
        "elapsed_seconds",
        "peak_rss_bytes",
        "versions",
        "config",
    }
    assert set(report["sources"]["cam"]) == {
        "received",
        "delivered",
        "in_flight",
        "dropped",
        "frames_per_second",
        "corrupt_frames",
        "identities",
        "connections",
        "decoder",
        "state",
        "since",
        "error",
    }
    assert set(report["sinks"]["memory"]) == {"received", "written", "waiting", "dropped", "error"}
    assert set(report["latency_ms"]["detect"]) == {"p50", "p95", "p99"}


async def test_every_value_is_plain_json() -> None:
    report = await report_of(FakeSource("cam", 3), FakeSource("tür", 0))
    assert json.loads(json.dumps(report, allow_nan=False)) == report


async def test_frames_are_accounted_for_by_source() -> None:
    stage = FakeStage("pose", max_batch=4, fail_on=lambda packet: packet.frame.index == 3)
    report = await report_of(FakeSource("cam", 10), FakeSource("door", 2), stages=(stage,))
    cam, door = report["sources"]["cam"], report["sources"]["door"]
    assert (cam["received"], cam["delivered"], cam["in_flight"], cam["dropped"]) == (10, 9, 0, {"pose:RuntimeError": 1})
    assert (door["received"], door["delivered"], door["in_flight"], door["dropped"]) == (2, 2, 0, {})
    for counts in report["sources"].values():
        assert counts["received"] == counts["delivered"] + counts["in_flight"] + sum(counts["dropped"].values())
    assert report["sinks"]["memory"] == {"received": 11, "written": 11, "waiting": 0, "dropped": {}, "error": None}
    assert report["errors"] == []


async def test_latencies_are_milliseconds_in_order() -> None:
    report = await report_of(
        FakeSource("cam", 50, clock=time.monotonic), stages=(FakeStage("detect"), FakeStage("pose"))
    )
    assert {"detect", "pose"} <= set(report["latency_ms"])
    for found in report["latency_ms"].values():
        assert 0 < found["p50"] <= found["p95"] <= found["p99"] < 60_000


async def test_a_stage_that_saw_nothing_has_no_latency() -> None:
    report = await report_of(FakeSource("cam", 0), stages=(FakeStage("detect"),))
    assert report["latency_ms"].get("detect", {"p50": None})["p50"] is None
    assert report["sources"]["cam"]["frames_per_second"] == 0.0


async def test_failures_on_the_way_and_the_one_that_ended_the_run_are_listed() -> None:
    report = await report_of(
        FakeSource("bad", then=SourceError("cut off at 3 s")),
        FakeSource("good", 30),
        sinks=(FakeSink("full", fail_on=refuse(2), open_errors=[None, *[SinkError("still full")] * 9]), FakeSink()),
        error=StageError("pose keeps failing"),
    )
    assert report["sources"]["bad"]["state"] == "failed"
    assert report["sources"]["bad"]["error"] == "cut off at 3 s"
    assert report["sources"]["good"]["state"] == "finished"
    assert report["sinks"]["full"]["error"] is not None
    assert report["errors"][0] == "cut off at 3 s"
    assert report["errors"][-1] == "pose keeps failing"
    assert len(report["errors"]) == 3


async def test_resources_and_versions_are_those_of_this_process() -> None:
    report = await report_of(FakeSource("cam", 1))
    assert report["peak_rss_bytes"] > 10 * 2**20
    assert 0 <= report["elapsed_seconds"] < 60
    assert report["versions"]["numpy"] == metadata.version("numpy")
    assert report["versions"]["kinestream"] == version()
    assert {"python", "platform"} < set(report["versions"])


async def test_no_secret_is_in_it() -> None:
    remember_secret("s3cr3t-path")
    report = await report_of(
        FakeSource("cam", then=OSError("401 for http://me:hunter2@cam/s3cr3t-path")),
        sinks=(FakeSink("full", fail_on=lambda _: SinkError("mqtt://me:hunter2@broker is gone")), FakeSink()),
        error=StageError("token=hunter2 is wrong"),
    )
    assert "hunter2" not in json.dumps(report)
    assert "s3cr3t" not in json.dumps(report)
    assert report["config"]["sources"] == [{"kind": "file", "path": "rtsp://***@cam/1"}]
    assert report["config"]["sinks"] == [{"kind": "mqtt", "password": "***"}]


def test_a_run_that_never_began_has_a_report_too() -> None:
    runner = Runner(Graph((FakeSource("cam"),), (FakeStage(),), (FakeSink(),)))
    report = make_report(runner, CONFIG, StageError("no weights"))
    assert report["sources"]["cam"]["received"] == report["sources"]["cam"]["in_flight"] == 0
    assert report["sources"]["cam"]["state"] == "waiting"
    assert report["errors"] == ["no weights"]


# How it is written


async def test_it_is_written_below_the_runs_folder_which_is_made(tmp_path: Path) -> None:
    report = await report_of(FakeSource("cam", 1))
    path = write_report(report, tmp_path / "runs" / "x")
    assert path == tmp_path / "runs" / "x" / "report.json"
    assert json.loads(path.read_text(encoding="utf-8")) == report
    assert [entry.name for entry in path.parent.iterdir()] == ["report.json"]


def test_an_older_report_is_replaced(tmp_path: Path) -> None:
    write_report({"run": 1, "more": "x" * 1000}, tmp_path)
    write_report({"run": 2}, tmp_path)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == {"run": 2}


def test_when_it_cannot_be_written_an_older_report_stays_whole(tmp_path: Path) -> None:
    write_report({"run": 1}, tmp_path)
    (tmp_path / "report.json.part").mkdir()
    with pytest.raises(SinkError, match=r"cannot write the report .*report\.json: Is a directory") as caught:
        write_report({"run": 2}, tmp_path)
    assert isinstance(caught.value.__cause__, OSError)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == {"run": 1}


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_made_is_named(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(SinkError, match=r"cannot write the report .*file.*report\.json: ") as caught:
        write_report({}, tmp_path / below)
    assert caught.value.exit_code == 1
