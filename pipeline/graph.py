"""Configuration -> checked chain. A pure function: nothing is opened, read or written.

    sources -> [detect] -> [pose] -> [track] -> [refine] -> [smooth] -> [rules] -> [blank] -> sinks

Every plug-in is found, its options are checked, and each part must get the columns it needs from the parts before it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from pipeline.config import PipelineConfig, PluginConfig
from pipeline.errors import ConfigError
from pipeline.registry import options_model, resolve, shorthand, validate_options
from pipeline.stage import Sink, Source, Stage
from pipeline.types import Frame

__all__ = ["Graph", "build", "make_sources"]

_PROVIDER = {"xyxy": "detect", "keypoints": "pose", "track_id": "track", "events": "rules"}
"""Which section of a configuration to add when a column is missing."""


_PIXELS = "pixels"
"""What a sink needs that draws, and a stage provides that gives frames other pictures."""


def nothing_hidden(frame: Frame) -> Frame:
    """Give a frame as it is."""
    return frame


@dataclass(frozen=True, slots=True)
class Graph:
    """A chain that fits together, not yet opened."""

    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    sinks: tuple[Sink, ...]
    hide: Callable[[Frame], Frame] = nothing_hidden
    """What each frame goes through as soon as it was read, also of sources that come later: privacy masks."""


def build(config: PipelineConfig, out: Path) -> Graph:
    """Make the chain that a configuration describes.

    Args:
        config: Checked for shape.
        out: Folder of the run; sinks write below it.

    Raises:
        ConfigError: A plug-in or option is unknown or wrong, something is missing, two parts are in each other's way.
        SourceError: A source's path matches nothing.
    """
    sources = _sources(config)
    graph = Graph(sources, _stages(config), _sinks(config, out), _masks(config, sources))
    _check_columns(graph)
    _say_who_looks(graph)
    return graph


def make_sources(config: PipelineConfig, entry: PluginConfig | str, *, where: str = "source") -> list[Source]:
    """Make the sources that one entry stands for, to be added to a run (`Runner.add`).

    Args:
        config: Of the run: device and masks are taken from there.
        entry: As in the section `sources` of a configuration; a bare text too.
        where: Where it stands, for messages.

    Raises:
        ConfigError: A plug-in or option is unknown or wrong.
        SourceError: The path matches nothing.
    """
    if isinstance(entry, str):
        entry = PluginConfig.model_validate(shorthand("source", entry))
    plugin = resolve("source", entry.kind)
    options = validate_options(plugin, _with_device(plugin, entry, config), where)
    decode = resolve("stage", "decode")
    sources = [decode(expanded) for expanded in plugin.expand(options, entry.id)]
    if config.refine is not None:
        _refuse_live(sources, where)
    return sources


def _sources(config: PipelineConfig) -> tuple[Source, ...]:
    if not config.sources and not config.run.keep_running:
        msg = "sources: nothing to watch; name at least one file, folder, URL or camera"
        raise ConfigError(msg)
    sources: list[Source] = []
    for position, entry in enumerate(config.sources):
        sources += make_sources(config, entry, where=f"sources.{position}")
    _make_unique(sources)
    return tuple(sources)


def _refuse_live(sources: Iterable[Source], where: str) -> None:
    """Refinement looks ahead: of a camera, everything would come seconds late."""
    for source in sources:
        if source.live:
            msg = (
                f"{where}: '{source.source_id}' is live, but refine looks some seconds ahead, so all results and "
                "alarms would come that late; refine recordings only, or set refine to off"
            )
            raise ConfigError(msg)


def _masks(config: PipelineConfig, sources: Iterable[Source]) -> Callable[[Frame], Frame]:
    """Make what hides parts of pictures; a mask must have its source, unless more sources may come."""
    if not config.privacy.mask:
        return nothing_hidden
    known = None if config.run.keep_running else [source.source_id for source in sources]
    hide: Callable[[Frame], Frame] = resolve("stage", "mask")(config.privacy.mask, known).hide
    return hide


def _make_unique(sources: list[Source]) -> None:
    """Number sources that would share a name: street, street-2, ..."""
    taken: set[str] = set()
    for source in sources:
        name = _free_name(source.source_id, taken)
        if name != source.source_id:
            source.rename(name)
        taken.add(name)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Number a name that is taken: jsonl, jsonl-2, ..."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(choice for choice in chain([name], numbered) if choice not in taken)


def _stages(config: PipelineConfig) -> tuple[Stage, ...]:
    stages: list[Stage] = []
    sections = (
        ("detect", "detector", config.detect),
        ("pose", "pose", config.pose),
        ("track", "tracker", config.track),
    )
    for verb, role, entry in sections:
        if entry is None:
            continue
        plugin = resolve(role, entry.kind)
        options = validate_options(plugin, _with_device(plugin, entry, config), verb)
        if verb == "pose" and plugin.boxes == "unused" and config.detect is not None:
            msg = (
                f"pose '{entry.kind}' finds people by itself, so the boxes of detector '{config.detect.kind}' would be "
                "thrown away: set detect to none, or choose a pose model that uses boxes"
            )
            raise ConfigError(msg)
        stages.append(resolve("stage", verb)(_maker(plugin, options)))
    for verb, switched in (("refine", config.refine), ("smooth", config.smooth)):
        if switched is not None:
            plugin = resolve("stage", verb)
            stages.append(plugin(validate_options(plugin, switched, verb)))
    if config.rules:
        stages.append(resolve("stage", "rules")(_rules(config)))
    if config.privacy.skeleton_only:
        stages.append(resolve("stage", "blank")())
    return tuple(stages)


def _rules(config: PipelineConfig) -> list[Callable[[], Any]]:
    """Say how each rule is made; two of one name would make events that nobody can tell apart."""
    makers: dict[str, Callable[[], Any]] = {}
    for position, entry in enumerate(config.rules):
        plugin = resolve("rule", entry.kind)
        options = validate_options(plugin, entry.options, f"rules.{position}")
        name = entry.id or entry.kind
        if name in makers:
            msg = f"rules.{position}: there is a rule '{name}' already; give each an id of its own"
            raise ConfigError(msg)
        makers[name] = _maker(plugin, options, name)
    return list(makers.values())


def _maker(plugin: type[Any], *arguments: object) -> Callable[[], Any]:
    return lambda: plugin(*arguments)


def _sinks(config: PipelineConfig, out: Path) -> tuple[Sink, ...]:
    write = resolve("stage", "sink")
    sinks: list[Sink] = []
    target_owner: dict[str, str] = {}
    for position, entry in enumerate(config.sinks):
        plugin = resolve("sink", entry.kind)
        options = validate_options(plugin, _with_device(plugin, entry, config), f"sinks.{position}")
        instance = plugin(options, out)
        name = _free_name(entry.id or entry.kind, {sink.name for sink in sinks})
        for target in instance.targets():
            other = target_owner.setdefault(target, name)
            if other != name:
                msg = f"sinks.{position}: '{name}' would write to {target}, as '{other}' does; give one another path"
                raise ConfigError(msg)
        sinks.append(write(instance, name))
    if not sinks:
        msg = "sinks: results would go nowhere; name at least one (jsonl, video, ...; null to only measure)"
        raise ConfigError(msg)
    return tuple(sinks)


def _with_device(plugin: type[Any], entry: PluginConfig, config: PipelineConfig) -> dict[str, Any]:
    """Give the run's device to a plug-in that has such an option and was not told otherwise."""
    options = entry.options
    if "device" in options_model(plugin).model_fields:
        options.setdefault("device", config.run.device)
    return options


def _say_who_looks(graph: Graph) -> None:
    """Tell each stage whether pictures are still looked at after it."""
    anybody = any(_PIXELS in sink.needs for sink in graph.sinks)
    for stage in reversed(graph.stages):
        stage.keeps_pixels = anybody
        anybody = (anybody and _PIXELS not in stage.provides) or _PIXELS in stage.needs


def _check_columns(graph: Graph) -> None:
    there = {_PIXELS}
    for stage in graph.stages:
        _require(stage.name, stage.needs, there)
        there |= stage.provides
    for sink in graph.sinks:
        _require(f"sink '{sink.name}'", sink.needs, there)


def _require(who: str, needs: Iterable[str], there: set[str]) -> None:
    for column in sorted(set(needs) - there):
        msg = f"{who} needs {column}, but no earlier stage provides it: add '{_PROVIDER[column]}' before it"
        raise ConfigError(msg)
