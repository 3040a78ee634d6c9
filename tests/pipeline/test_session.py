"""One run from the command line: signals, report, exit code."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeSink, FakeSource, FakeStage, refuse

from pipeline.cli import session
from pipeline.cli.session import Output
from pipeline.config import PipelineConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.graph import Graph

Build = Callable[[PipelineConfig, Path], Graph]


@pytest.fixture
def run_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., "session._Session"]:
    """Make a session that runs a graph of fakes instead of the one its configuration describes."""

    def make(graph: Graph | Exception, output: Output = Output(quiet=True), **run: object) -> "session._Session":  # noqa: B008
        def build(_config: PipelineConfig, _out: Path) -> Graph:
            if isinstance(graph, Exception):
                raise graph
            return graph

        monkeypatch.setattr(session, "build", build)
        config = PipelineConfig.from_tree({"run": run})
        return session._Session(config, tmp_path / "out", output)

    return make


def report_of(tmp_path: Path) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads((tmp_path / "out" / "report.json").read_text())
    return tree


async def test_a_run_that_finishes_ends_with_0_and_a_report(
    run_graph: Callable[..., "session._Session"], tmp_path: Path
) -> None:
    assert await run_graph(Graph((FakeSource(),), (FakeStage(),), (FakeSink(),))).run() == 0
    report = report_of(tmp_path)
    assert report["sources"]["cam"]["delivered"] == 10
    assert list(report["latency_ms"]) == ["decode", "work", "sink:memory", "total"]


async def test_what_works_in_a_stage_is_reported_and_shown(
    run_graph: Callable[..., "session._Session"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = FakeStage("pose")
    stage.description = "HRNet-W32 256x192, openvino bf16 on cpu"
    graph = Graph((FakeSource(),), (stage, FakeStage("track")), (FakeSink(),))
    assert await run_graph(graph, Output()).run() == 0
    assert report_of(tmp_path)["models"] == {"pose": stage.description}
    assert f"pose: {stage.description}" in capsys.readouterr().out


async def test_a_wrong_configuration_ends_with_2_and_leaves_nothing(
    run_graph: Callable[..., "session._Session"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_graph(ConfigError("sinks.0: no such thing")).run() == 2
    assert "sinks.0: no such thing" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "graph",
    [
        Graph((FakeSource(then=SourceError("cut at 3 s")),), (FakeStage(),), (FakeSink(),)),
        Graph((FakeSource(),), (FakeStage(fail_on=lambda _: True),), (FakeSink(),)),
        Graph((FakeSource(),), (FakeStage(),), (FakeSink(fail_on=refuse(3)),)),
    ],
    ids=["source", "stage", "sink"],
)
async def test_a_failure_ends_with_1_and_is_in_the_report(
    graph: Graph, run_graph: Callable[..., "session._Session"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run_graph(graph).run() == 1
    assert report_of(tmp_path)["errors"]
    assert "error:" in capsys.readouterr().err


async def test_a_first_signal_finishes_what_was_read_and_ends_with_0(
    run_graph: Callable[..., "session._Session"], tmp_path: Path
) -> None:
    source, sink = FakeSource(count=5, hang=True), FakeSink()
    running = run_graph(Graph((source,), (FakeStage(),), (sink,)))
    task = asyncio.create_task(running.run())
    while len(sink.written) < 3:
        await asyncio.sleep(0)
    running._on_signal()
    assert await task == 0
    assert sink.log[-1] == "close complete"
    assert report_of(tmp_path)["sources"]["cam"]["state"] == "stopped"


async def test_a_second_signal_ends_at_once_with_130(
    run_graph: Callable[..., "session._Session"], tmp_path: Path
) -> None:
    stuck, sink = FakeStage(gate=asyncio.Event()), FakeSink()
    running = run_graph(Graph((FakeSource(),), (stuck,), (sink,)), drain_timeout_seconds=60)
    task = asyncio.create_task(running.run())
    while running._runner is None or not running._runner.in_flight():
        await asyncio.sleep(0)
    running._on_signal()
    running._on_signal()
    assert await task == 130
    assert sink.log[-1] == "close"
    source = report_of(tmp_path)["sources"]["cam"]
    assert isinstance(source["dropped"], dict)
    assert source["received"] == source["in_flight"] + sum(source["dropped"].values())
    assert source["in_flight"]


async def test_a_report_that_cannot_be_written_is_a_failure(
    run_graph: Callable[..., "session._Session"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file stands where the folder should be")
    assert await run_graph(Graph((FakeSource(),), (FakeStage(),), (FakeSink(),))).run() == 1
    assert "cannot write the report" in capsys.readouterr().err


async def test_json_output_is_the_report_and_nothing_else(
    run_graph: Callable[..., "session._Session"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = Graph((FakeSource(),), (FakeStage(),), (FakeSink(),))
    assert await run_graph(graph, Output(as_json=True)).run() == 0
    assert json.loads(capsys.readouterr().out) == report_of(tmp_path)


async def test_progress_is_plain_lines_where_there_is_no_terminal(
    run_graph: Callable[..., "session._Session"], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.cli.console._PLAIN_INTERVAL_SECONDS", 0.0)
    source = FakeSource(count=200)
    await run_graph(Graph((source,), (FakeStage(),), (FakeSink(),)), Output(), max_frames=150).run()
    printed = capsys.readouterr()
    assert "/150 frames" in printed.err
    assert "identities" in printed.out
