"""`kinestream run` and `kinestream demo`: from arguments to a configuration, then run it."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.arguments import (
    DetectorName,
    Device,
    Json,
    MaxFrames,
    Overrides,
    PoseName,
    Preset,
    Quiet,
    TrackerName,
    Verbose,
    checked,
    models,
    read_or_name,
    run_settings,
)
from pipeline.cli.session import Output, execute
from pipeline.config import build_config

__all__ = ["demo", "run"]


def run(
    sources: Annotated[list[str], typer.Argument(metavar="CONFIG.yaml | SOURCE...", help="What to run, or watch.")],
    *,
    preset: Preset = None,
    detector: DetectorName = None,
    pose: PoseName = None,
    tracker: TrackerName = None,
    rule: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What to watch for, by default options; may be repeated.")
    ] = None,
    sink: Annotated[
        list[str] | None, typer.Option(metavar="KIND[=TARGET]", help="Where results go; may be repeated.")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results. [default: runs/DATE-TIME]")] = None,
    max_frames: MaxFrames = None,
    device: Device = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Watch cameras, streams, files or folders of images; write who is where, in which pose, under which identity.

    **Examples**

    `kinestream run street.mp4`

    `kinestream run 'videos/*.mp4' --sink csv --sink video --out runs/today`

    `kinestream run street.mp4 --pose yolo11n-pose.pt -o refine=true`

    `kinestream run street.mp4 --rule presence --rule fall --sink events --sink video`

    `kinestream run rtsp://10.0.0.7/stream --rule fall --sink mqtt=broker.local --sink events`

    `kinestream run 0 --sink window`

    `kinestream run street.mp4 -o sources.0.start_seconds=10 -o sources.0.every=2`

    `kinestream run my.yaml --max-frames 100`

    Ctrl-C stops the sources and finishes what was read; a second one ends at once. Exit code: 0 finished or asked
    to stop, 1 something failed, 2 the configuration is wrong, 130 cancelled.
    """
    tree = read_or_name(sources, preset)
    tree |= models(detector, pose, tracker)
    tree |= {section: value for section, value in (("rules", rule), ("sinks", sink)) if value}
    tree["run"] = run_settings(tree, out=out and str(out), max_frames=max_frames, device=device)
    raise typer.Exit(execute(checked(tree, overrides), Output(as_json, quiet, verbose)))


def demo(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("runs/demo"),
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each virtual camera films.")] = 10.0,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Show what it does, without camera, GPU or video: two virtual cameras pan over photographs.

    Writes overlay videos, tables and a contact sheet, and prints what it found.
    """
    tree = {"preset": "demo", "run": {"out": str(out)}}
    config = build_config(tree, [f"sources.0.seconds={seconds}"])
    raise typer.Exit(execute(config, Output(as_json, quiet, verbose)))
