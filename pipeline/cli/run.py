"""`kinestream run` and `kinestream demo`: from arguments to a configuration, then run it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.session import Output, execute
from pipeline.config import PipelineConfig, build_config, presets, read_yaml
from pipeline.errors import ConfigError
from pipeline.registry import resolve, shorthand

__all__ = ["demo", "run"]

_DEFAULT_PRESET = "embedded"
_CONFIG_SUFFIXES = (".yaml", ".yml")

Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log everything, and show where errors come from.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-o", metavar="PATH=VALUE", help="Set one option: `-o pose.confidence=0.4`, `-o run.max_age_seconds=1`."
    ),
]


def run(
    sources: Annotated[list[str], typer.Argument(metavar="CONFIG.yaml | SOURCE...", help="What to run, or watch.")],
    *,
    preset: Annotated[
        str | None, typer.Option(help=f"Start from one of: embedded, balanced, accurate. [default: {_DEFAULT_PRESET}]")
    ] = None,
    detector: Annotated[str | None, typer.Option(metavar="NAME|PATH|none", help="Who finds people.")] = None,
    pose: Annotated[str | None, typer.Option(metavar="NAME|PATH|none", help="Who finds joints.")] = None,
    tracker: Annotated[str | None, typer.Option(metavar="NAME|none", help="Who keeps identities.")] = None,
    sink: Annotated[
        list[str] | None, typer.Option(metavar="KIND[=TARGET]", help="Where results go; may be repeated.")
    ] = None,
    overrides: Overrides = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results. [default: runs/DATE-TIME]")] = None,
    max_frames: Annotated[int | None, typer.Option(min=1, help="End each source after so many frames.")] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda:N", help="Where models run.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Watch files, folders of images or streams; write who is where, in which pose, under which identity.

    **Examples**

    `kinestream run street.mp4`

    `kinestream run 'videos/*.mp4' --sink csv --sink video --out runs/today`

    `kinestream run street.mp4 --pose yolo11n-pose.pt --tracker bytetrack`

    `kinestream run street.mp4 -o sources.0.start_seconds=10 -o sources.0.every=2`

    `kinestream run my.yaml --max-frames 100`

    Ctrl-C stops the sources and finishes what was read; a second one ends at once. Exit code: 0 finished or asked
    to stop, 1 something failed, 2 the configuration is wrong, 130 cancelled.
    """
    tree = _read_or_name(sources, preset)
    given = {"detect": detector, "pose": pose, "track": tracker, "sinks": sink}
    tree |= {section: value for section, value in given.items() if value}
    if pose and not detector and not _uses_boxes(pose):
        tree["detect"] = None
    run_settings = {"out": out and str(out), "max_frames": max_frames, "device": device}
    tree["run"] = {**(tree.get("run") or {}), **{name: value for name, value in run_settings.items() if value}}
    raise typer.Exit(execute(_checked(tree, overrides), Output(as_json, quiet, verbose)))


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


def _read_or_name(sources: list[str], preset: str | None) -> dict[str, Any]:
    """Read the one configuration file that was given, or make a configuration of the sources that were."""
    if any(source.lower().endswith(_CONFIG_SUFFIXES) for source in sources):
        if len(sources) > 1:
            msg = f"give one configuration file or some sources, not both; got: {' '.join(sources)}"
            raise ConfigError(msg)
        tree = read_yaml(Path(sources[0]))
        return tree if preset is None else {"preset": preset, **tree}
    return {"preset": preset or _DEFAULT_PRESET, "sources": list(sources)}


def _uses_boxes(pose: str) -> bool:
    """Say whether a pose model that was asked for wants the preset's detector before it."""
    if pose == "none":
        return True
    return bool(resolve("pose", shorthand("pose", pose)["kind"]).boxes != "unused")


def _checked(tree: dict[str, Any], overrides: list[str] | None) -> PipelineConfig:
    known = presets()
    if tree.get("preset") not in {None, *known}:
        msg = f"unknown preset '{tree['preset']}'; known: {', '.join(known)}"
        raise ConfigError(msg)
    return build_config(tree, overrides or ())
