"""What `run` and `extract` have in common: their options, and the way from arguments to a configuration."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.config import PipelineConfig, build_config, presets, read_yaml
from pipeline.errors import ConfigError
from pipeline.registry import resolve, shorthand

__all__ = [
    "DetectorName",
    "Device",
    "Json",
    "MaxFrames",
    "Overrides",
    "PoseName",
    "Preset",
    "Quiet",
    "TrackerName",
    "Verbose",
    "checked",
    "models",
    "read_or_name",
    "run_settings",
]

_DEFAULT_PRESET = "embedded"
_CONFIG_SUFFIXES = (".yaml", ".yml")

Preset = Annotated[
    str | None,
    typer.Option(help=f"Start from one of: embedded, balanced, accurate, live, rtsp. [default: {_DEFAULT_PRESET}]"),
]
DetectorName = Annotated[str | None, typer.Option(metavar="NAME|PATH|none", help="Who finds people.")]
PoseName = Annotated[str | None, typer.Option(metavar="NAME|PATH|none", help="Who finds joints.")]
TrackerName = Annotated[str | None, typer.Option(metavar="NAME|none", help="Who keeps identities.")]
MaxFrames = Annotated[int | None, typer.Option(min=1, help="End each source after so many frames.")]
Device = Annotated[
    str | None,
    typer.Option(metavar="auto|cpu|cuda:N", help="Where models run; `cuda:0,1` shares the people among two GPUs."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log everything, and show where errors come from.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "-o", metavar="PATH=VALUE", help="Set one option: `-o pose.confidence=0.4`, `-o run.max_age_seconds=1`."
    ),
]


def read_or_name(sources: list[str], preset: str | None) -> dict[str, Any]:
    """Read the one configuration file that was given, or make a configuration of the sources that were.

    Raises:
        ConfigError: It cannot be read, or there is a source beside it.
    """
    if any(source.lower().endswith(_CONFIG_SUFFIXES) for source in sources):
        if len(sources) > 1:
            msg = f"give one configuration file or some sources, not both; got: {' '.join(sources)}"
            raise ConfigError(msg)
        tree = read_yaml(Path(sources[0]))
        return tree if preset is None else {"preset": preset, **tree}
    return {"preset": preset or _DEFAULT_PRESET, "sources": list(sources)}


def models(detector: str | None, pose: str | None, tracker: str | None) -> dict[str, Any]:
    """Give the sections of a configuration for the models that were named; the others are the preset's.

    A pose model that finds people by itself takes the place of the preset's detector as well.
    """
    given = {"detect": detector, "pose": pose, "track": tracker}
    sections: dict[str, Any] = {section: value for section, value in given.items() if value}
    if pose and not detector and not _uses_boxes(pose):
        sections["detect"] = None
    return sections


def _uses_boxes(pose: str) -> bool:
    if pose == "none":
        return True
    return bool(resolve("pose", shorthand("pose", pose)["kind"]).boxes != "unused")


def run_settings(tree: dict[str, Any], **settings: object) -> dict[str, Any]:
    """Give the section `run` of a configuration, with the settings that were given laid on it."""
    return {**(tree.get("run") or {}), **{name: value for name, value in settings.items() if value}}


def checked(tree: dict[str, Any], overrides: list[str] | None) -> PipelineConfig:
    """Make the configuration.

    Raises:
        ConfigError: With the dotted path, what was got and what is allowed.
    """
    known = presets()
    if tree.get("preset") not in {None, *known}:
        msg = f"unknown preset '{tree['preset']}'; known: {', '.join(known)}"
        raise ConfigError(msg)
    return build_config(tree, overrides or ())
