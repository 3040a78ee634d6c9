"""The report of a run: what became of every frame, how long it took, on which versions, with which configuration."""

import json
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from pipeline.config import PipelineConfig
from pipeline.errors import PipelineError, SinkError
from pipeline.runner import Runner
from pipeline.telemetry import Histogram

__all__ = ["make_report", "version", "write_report"]

_PACKAGES = (
    "kinestream",
    "ai-edge-litert",
    "av",
    "numpy",
    "onnxruntime",
    "opencv-python",
    "openvino",
    "scipy",
    "torch",
    "ultralytics",
)
_KIBIBYTE = 1024


def make_report(runner: Runner, config: PipelineConfig, error: PipelineError | None = None) -> dict[str, Any]:
    """Gather the report as a tree of plain values, secrets masked.

    Args:
        runner: Of a run that has ended, or is under way.
        config: What was run.
        error: What ended the run, if it failed.
    """
    in_flight = runner.in_flight()
    telemetry = runner.telemetry
    failures = [str(failure) for failure in runner.failures]
    readers = {loop.source.source_id: loop.source.description for loop in runner.sources.loops}
    return {
        "sources": {
            source_id: {
                "received": counts.received,
                "delivered": counts.delivered,
                "in_flight": in_flight[source_id],
                "dropped": dict(counts.dropped),
                "corrupt_frames": counts.corrupt_frames,
                "frames_per_second": round(counts.frames_per_second, 2),
                "identities": counts.identities,
                "connections": counts.connections,
                "decoder": readers.get(source_id, ""),
                "state": counts.state,
                "since": counts.since.isoformat(timespec="milliseconds"),
                "error": counts.error,
            }
            for source_id, counts in telemetry.sources.items()
        },
        "sinks": {
            name: {
                "received": counts.received,
                "written": counts.written,
                "waiting": runner.waiting(name),
                "dropped": dict(counts.dropped),
                "error": counts.error,
            }
            for name, counts in telemetry.sinks.items()
        },
        "models": {stage.name: stage.description for stage in runner.graph.stages if stage.description},
        "latency_ms": {name: _percentiles(telemetry.histogram(name)) for name in _in_order_of_flow(runner)},
        "channels": {
            name: {"capacity": statistics.capacity, "peak": statistics.peak}
            for name, statistics in runner.channel_statistics().items()
        },
        "errors": failures if error is None else [*failures, str(error)],
        "late": list(runner.late),
        "batches_halved": telemetry.batches_halved,
        "elapsed_seconds": round(telemetry.elapsed_seconds, 3),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIBIBYTE,
        "versions": _versions(),
        "config": config.masked(),
    }


def write_report(report: dict[str, Any], out: Path) -> Path:
    """Write `report.json` below `out`, atomically.

    Raises:
        SinkError: It cannot be written.
    """
    path = out / "report.json"
    part = path.with_name(path.name + ".part")
    try:
        out.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        msg = f"cannot write the report {path}: {error.strerror or error}"
        raise SinkError(msg) from error
    return path


def _in_order_of_flow(runner: Runner) -> list[str]:
    stages = [stage.name for stage in runner.graph.stages]
    return ["decode", *stages, *(f"sink:{sink.name}" for sink in runner.graph.sinks), "total"]


def _percentiles(histogram: Histogram) -> dict[str, float | None]:
    found = {
        name: histogram.quantile_seconds(fraction) for name, fraction in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    return {name: None if seconds is None else round(seconds * 1000, 3) for name, seconds in found.items()}


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "platform": f"{sys.platform} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def version() -> str:
    """Give the version of this distribution."""
    return metadata.version("kinestream")
