"""A configuration: which plug-ins, with which options, and how they are run.

    preset: embedded                     # start from configs/embedded.yaml; what stands below replaces it
    sources:
      - {kind: file, path: street.mp4}   # or just: street.mp4
    detect: {kind: ultralytics, weights: yolo11n.pt}
    pose: none
    track: kinesort                      # a bare name means: all options at their defaults
    refine: true                         # look ahead: for files, where identities may come some seconds later
    smooth: light                        # steady the joints: off, light, strong
    rules:
      - {kind: zone, id: door, polygon: [[0.4, 0.5], [0.6, 0.5], [0.6, 1], [0.4, 1]]}
    privacy:
      mask: {street: [[[0, 0], [0.2, 0], [0.2, 0.3], [0, 0.3]]]}
    sinks:
      - jsonl
      - {kind: video, path: "{source}.mp4"}
    run:
      out: runs/street

`${NAME}` in a value is taken from the environment (`${NAME:-default}` if it may be absent or empty) and masked from
then on in every message, log and report. Values given on the command line (`-o detect.confidence=0.4`) come last.
"""

import os
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError
from pipeline.registry import explain, shorthand
from pipeline.secrets import mask_tree, remember_secret

__all__ = [
    "PipelineConfig",
    "PluginConfig",
    "PrivacyConfig",
    "RunConfig",
    "build_config",
    "presets",
    "put",
    "read_yaml",
    "setting",
]

Tree = dict[str, Any]

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\}")
_NONE = "none"
_ROLES = {
    "sources": "source",
    "detect": "detector",
    "pose": "pose",
    "track": "tracker",
    "rules": "rule",
    "sinks": "sink",
}
_LISTS = {"sources", "rules", "sinks"}
_SWITCHES = {"refine": None, "smooth": "strength"}
"""Sections that may be just on or off; some of them one word, which is the option named here."""


class _Masked(BaseModel):
    def __repr__(self) -> str:
        """Show it without its secrets."""
        return f"{type(self).__name__}({self.masked()})"

    __str__ = __repr__

    def masked(self) -> Tree:
        """Give it as a tree for reports, secrets masked."""
        tree = mask_tree(self.model_dump(mode="json", exclude_none=True))
        assert isinstance(tree, dict)
        return tree


class PluginConfig(_Masked):
    """One plug-in: its `kind`, and beside it its options."""

    model_config = ConfigDict(frozen=True, extra="allow")

    kind: str
    id: str | None = None
    """Name of a source, rule or sink in results; by default made from what it reads, or from its kind."""

    @property
    def options(self) -> Tree:
        """What the plug-in itself gets."""
        return dict(self.model_extra or {})


class RunConfig(BaseModel):
    """How the chain is run."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    out: Path | None = None
    """Folder of the results; by default `runs/DATE-TIME`."""
    device: str = "auto"
    """Where models run that can choose: `auto`, `cpu`, `cuda:N`, or `cuda:0,1` where several may share the work."""
    max_frames: int | None = Field(default=None, ge=1)
    """End each source after so many frames."""
    max_age_seconds: float = Field(default=0.5, gt=0)
    """A frame of a live source that is older when its turn comes is dropped."""
    drain_timeout_seconds: float = Field(default=8.0, ge=0)
    """How long a stop may take to finish what was read."""
    max_open_files: int = Field(default=4, ge=1)
    """How many sources that are not live are read at the same time; the others wait."""
    keep_running: bool = False
    """Go on when there is no source (any more): for programs that add sources while it runs."""
    file_buffer_frames: int = Field(default=8, ge=1)
    """How many frames of a file are decoded ahead."""


class PrivacyConfig(BaseModel):
    """What nobody may see."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    mask: dict[str, list[Any]] = Field(default_factory=dict)
    """Name of a source (`*`: every one) -> polygons that are painted over before anybody looks at a picture."""
    skeleton_only: bool = False
    """Sinks get a blank picture: people are drawn, and nothing of what the camera saw."""


class PipelineConfig(_Masked):
    """The whole configuration, checked for shape; `pipeline.graph.build` checks the options of each plug-in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: list[PluginConfig] = Field(default_factory=list)
    detect: PluginConfig | None = None
    pose: PluginConfig | None = None
    track: PluginConfig | None = None
    refine: Tree | None = None
    smooth: Tree | None = None
    rules: list[PluginConfig] = Field(default_factory=list)
    privacy: PrivacyConfig = Field(default_factory=PrivacyConfig)
    sinks: list[PluginConfig] = Field(default_factory=list)
    run: RunConfig = Field(default_factory=RunConfig)

    @classmethod
    def from_tree(cls, tree: Tree) -> Self:
        """Check the shape of a tree.

        Raises:
            ConfigError: With the dotted path, what was got and what is allowed.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            allowed = {
                "": ["preset", *cls.model_fields],
                "privacy": list(PrivacyConfig.model_fields),
                "run": list(RunConfig.model_fields),
            }
            raise ConfigError(explain(error, "", allowed)) from None


def build_config(tree: Tree, overrides: Iterable[str] = ()) -> PipelineConfig:
    """Make a configuration out of a tree as read from YAML.

    Args:
        tree: May name a `preset`, whose values it replaces: mappings are merged, anything else is taken whole.
        overrides: `dotted.path=value` each, values in YAML: `sinks.0.path=out.mp4`, `track=none`.

    Raises:
        ConfigError: With the dotted path, what was got and what is allowed.
    """
    settings = [setting(override) for override in overrides]
    named = {path: value for path, value in settings if path == "preset"}
    full = _in_full(_with_environment(tree | named, ""))
    for path, value in settings:
        if path not in named:
            put(full, path, _with_environment(value, path))
    return PipelineConfig.from_tree(_in_full(full))


def read_yaml(path: Path) -> Tree:
    """Read a configuration file; nothing in it is checked but that it is a mapping.

    Raises:
        ConfigError: It cannot be read, or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the configuration {path}: {error}"
        raise ConfigError(msg) from error
    return _parse(text, str(path))


def presets() -> list[str]:
    """Name the configurations that come with Kinestream."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _configs().iterdir() if entry.name.endswith(".yaml"))


def _configs() -> resources.abc.Traversable:
    return resources.files("configs")


def _preset(name: str) -> Tree:
    if name not in presets():
        msg = f"unknown preset '{name}'; known: {', '.join(presets())}"
        raise ConfigError(msg)
    entry = _configs() / f"{name}.yaml"
    return _in_full(_with_environment(_parse(entry.read_text(encoding="utf-8"), f"preset {name}"), ""))


def _in_full(tree: Tree) -> Tree:
    """Write out what is short: plug-ins given as a bare text, `none`, and the preset that is built upon."""
    full = dict(tree)
    preset = full.pop("preset", None)
    for section, role in _ROLES.items():
        if section not in full:
            continue
        value = full[section]
        if isinstance(value, list):
            full[section] = [_entry_in_full(role, entry) for entry in value]
        elif section not in _LISTS:
            full[section] = _entry_in_full(role, value)
    full |= {section: _switch_in_full(section, full[section]) for section in _SWITCHES if section in full}
    return full if preset is None else _merge(_preset(str(preset)), full)


def _entry_in_full(role: str, entry: object) -> object:
    if entry is None and role == "sink":
        return {"kind": "null"}  # what YAML makes of a bare null, which is a sink's name
    if entry == _NONE:
        return None
    return shorthand(role, entry) if isinstance(entry, str) else entry


def _switch_in_full(section: str, value: object) -> object:
    word = _SWITCHES[section]
    if isinstance(value, dict):
        return value
    if value in (None, False, _NONE, "off"):  # YAML reads a bare off as False
        return None
    if value in (True, "on"):
        return {}
    if word and isinstance(value, str):
        return {word: value}
    msg = f"{section} must be on, off{f', its {word}' if word else ''} or options by name, got {value!r}"
    raise ConfigError(msg)


def _parse(text: str, where: str) -> Tree:
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"{where} is not valid YAML: {_fault(error)}"
        raise ConfigError(msg) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        msg = f"{where} must be a mapping (sources:, detect:, ...), got a {type(tree).__name__}"
        raise ConfigError(msg)
    return tree


def _fault(error: yaml.YAMLError) -> str:
    """Say what is wrong and where, but quote nothing of the text: that may be a password."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    problem = re.sub(r"'[^']{2,}'", "...", error.problem or "")
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"


def _merge(base: Tree, over: Tree) -> Tree:
    """Lay `over` on `base`. A plug-in of another kind replaces the whole entry: its options mean something else."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and value.get("kind") in {None, below.get("kind")}:
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def setting(override: str) -> tuple[str, Any]:
    """Take `dotted.path=value` apart; the value is YAML.

    Raises:
        ConfigError: It is of another form.
    """
    path, equals, text = override.partition("=")
    if not equals or not all(path.split(".")):
        msg = f"an override must be dotted.path=value, got '{override}'; for example -o detect.confidence=0.4"
        raise ConfigError(msg)
    try:
        return path, yaml.safe_load(text)
    except yaml.YAMLError as error:
        msg = f"-o {path}: the value is not valid YAML: {_fault(error)}; put it in quotes"
        raise ConfigError(msg) from None


def put(tree: Tree, path: str, value: object) -> None:
    """Put a value at a dotted path, in place.

    Raises:
        ConfigError: The path goes to an entry of a list that is not there.
    """
    keys = path.split(".")
    node: Any = tree
    for depth, key in enumerate(keys[:-1]):
        node = _step(node, key, ".".join(keys[: depth + 1]))
    if isinstance(node, list):
        _step(node, keys[-1], path)
        node[int(keys[-1])] = value
    else:
        node[keys[-1]] = value


def _step(node: Any, key: str, path: str) -> Any:  # noqa: ANN401 - a node of a YAML tree
    """Go one key down; what is not there yet becomes a mapping."""
    if isinstance(node, list):
        if not key.isdecimal() or int(key) >= len(node):
            msg = f"-o {path}: there are {len(node)} entries, numbered from 0; got '{key}'"
            raise ConfigError(msg)
        index: Any = int(key)
    else:
        index = key
        node.setdefault(key, {})
    if not isinstance(node[index], dict | list):
        node[index] = {}
    return node[index]


def _with_environment(value: Any, path: str) -> Any:  # noqa: ANN401 - a node of a YAML tree
    """Replace `${NAME}` in every string; what came from the environment is a secret from then on."""
    if isinstance(value, dict):
        return {key: _with_environment(item, f"{path}.{key}" if path else str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_environment(item, f"{path}.{index}") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def look_up(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = os.environ.get(name)
        if default is not None and not found:
            return default
        if found is None:
            msg = f"{path}: the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
            raise ConfigError(msg)
        remember_secret(found)
        return found

    return _VARIABLE.sub(look_up, value)
