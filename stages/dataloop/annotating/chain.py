"""From what was asked for to the chain that annotates: models, options, and the recordings that let a run go on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from pipeline.config import PipelineConfig, PluginConfig, build_config, presets
from pipeline.errors import ConfigError
from pipeline.graph import Graph, build
from pipeline.registry import explain, resolve, shorthand
from pipeline.stage import Sink
from stages.dataloop.timeline.annotations import AnnotationOptions

__all__ = ["WEIGHT_CONFIGS", "annotation_options", "configuration", "decisive", "make_chain"]

_PRESET: Final = "dataloop"
_NONE: Final = "none"
_ANNOTATIONS: Final = "annotations."
"""What overrides of the annotations begin with; all others are those of a configuration."""

WEIGHT_CONFIGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "hrnet_w48_384x288": {"detect": "yolo11m", "pose": {"kind": "hrnet", "weights": "hrnet-w48-384x288"}},
    "hrnet_w32_256x192": {"detect": "yolo11n", "pose": {"kind": "hrnet", "weights": "hrnet-w32-256x192"}},
    "hrnet_w32_256x256": {"detect": "yolo11n", "pose": {"kind": "hrnet", "weights": "hrnet-w32-256x256-mpii"}},
}
"""Names of the former adapter. The last one's weights are those of MPII, with 16 joints of their own."""

_DECISIVE: Final = ("detect", "pose", "track", "refine", "smooth", "privacy")


def configuration(
    asked: Mapping[str, str | None], overrides: Sequence[str] = (), *, workers: int, device: str | None = None
) -> PipelineConfig:
    """Make the configuration of a run that items are added to.

    Args:
        asked: `preset`, `weight_config`, `detect`, `pose`, `track`; None or absent: as the preset has it.
        overrides: `dotted.path=value`, as `kinestream run -o` takes them; those of the annotations are passed over.
        workers: How many items are read at once.
        device: Where models run that can choose.

    Raises:
        ConfigError: Something is unknown or wrong, or two wishes exclude each other.
    """
    tree = _models(asked) | {"preset": _preset(asked.get("preset"))}
    if device:
        tree["run"] = {"device": device}
    config = build_config(tree, [one for one in overrides if not one.startswith(_ANNOTATIONS)])
    run = config.run.model_copy(update={"keep_running": True, "max_open_files": workers})
    nowhere = [PluginConfig(kind="null")]
    return config.model_copy(update={"sources": [], "rules": [], "sinks": nowhere, "run": run})


def _preset(name: str | None) -> str:
    if name not in {None, *presets()}:
        msg = f"unknown preset '{name}'; known: {', '.join(presets())}"
        raise ConfigError(msg)
    return name or _PRESET


def _models(asked: Mapping[str, str | None]) -> dict[str, Any]:
    weights, sections = asked.get("weight_config"), {}
    if weights is not None:
        if weights not in WEIGHT_CONFIGS:
            msg = f"unknown --weight-config '{weights}'; known: {', '.join(WEIGHT_CONFIGS)}"
            raise ConfigError(msg)
        if asked.get("pose"):
            msg = f"--weight-config {weights} says which pose model, and so does --pose {asked['pose']}: leave one out"
            raise ConfigError(msg)
        sections = dict(WEIGHT_CONFIGS[weights])
    sections |= {verb: name for verb in ("detect", "pose", "track") if (name := asked.get(verb))}
    if asked.get("track") == _NONE:
        sections |= {"refine": _NONE, "smooth": _NONE}  # both look at people through time
    pose = asked.get("pose")
    if pose and not asked.get("detect") and pose != _NONE:
        finds_people = resolve("pose", shorthand("pose", pose)["kind"]).boxes == "unused"
        sections |= {"detect": _NONE} if finds_people else {}
    return sections


def annotation_options(overrides: Iterable[str], *, tracked: bool) -> AnnotationOptions:
    """Read the options of the annotations out of `annotations.NAME=VALUE`; overrides of anything else are passed over.

    Args:
        overrides: As on the command line.
        tracked: Whether somebody keeps identities; if not, each person of each frame is annotated alone.

    Raises:
        ConfigError: A name is misspelt or a value is wrong.
    """
    given = [one.removeprefix(_ANNOTATIONS).partition("=") for one in overrides if one.startswith(_ANNOTATIONS)]
    try:
        values = {name: yaml.safe_load(value) for name, _, value in given}
        return AnnotationOptions.model_validate({"tracked": tracked, **values})
    except yaml.YAMLError as error:
        msg = "-o annotations: a value is not valid YAML; put it in quotes"
        raise ConfigError(msg) from error
    except ValidationError as error:
        raise ConfigError(explain(error, "annotations", {"": list(AnnotationOptions.model_fields)})) from None


def decisive(config: PipelineConfig) -> dict[str, Any]:
    """Give what of a configuration decides the people that are found, as plain values."""
    tree = config.masked()
    return {section: tree.get(section) for section in _DECISIVE}


def make_chain(config: PipelineConfig, sink: Sink) -> Graph:
    """Build the chain, with one sink of ours.

    Raises:
        ConfigError: The parts do not fit together, or nobody looks for joints.
    """
    if config.pose is None:
        msg = "annotations need joints: set pose, as --pose does"
        raise ConfigError(msg)
    graph = build(config, Path())
    return replace(graph, sinks=(sink,))
