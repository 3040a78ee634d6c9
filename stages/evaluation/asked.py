"""From the words of the command line to a pose plug-in and its options."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from pipeline.config import build_config
from pipeline.errors import ConfigError
from pipeline.plugin import Options
from pipeline.registry import options_model, resolve, shorthand, validate_options
from stages.zoo import find_weights

__all__ = ["Asked", "asked_model", "image_size", "weights_hashes"]

_PEOPLE_AT_ONCE: Final = "max_batch"
_PICTURES_AT_ONCE: Final = "batch"


class Asked(NamedTuple):
    """A pose plug-in that was asked for."""

    kind: str
    plugin: type[Any]
    options: Options


def asked_model(weights: str, kind: str | None, given: Mapping[str, Any], overrides: Sequence[str]) -> Asked:
    """Find the plug-in for some weights, and check its options.

    Args:
        weights: A file, a name of the zoo, or the name of a plug-in that needs none.
        kind: The plug-in; None to tell it from the weights, as `kinestream run --pose` does.
        given: Options; those that are None were not given.
        overrides: `pose.option=value`, in YAML.

    Raises:
        ConfigError: No plug-in takes the weights, an option is unknown or wrong, or a package is missing.
    """
    for override in overrides:
        if not override.startswith("pose."):
            msg = f"an override must be pose.option=value here, got '{override}'; for example -o pose.padding=1.3"
            raise ConfigError(msg)
    entry = shorthand("pose", weights) if kind is None else {"kind": kind, "weights": weights}
    plugin = resolve("pose", entry["kind"])
    fields = options_model(plugin).model_fields
    options = {name: value for name, value in given.items() if value is not None}
    if _PEOPLE_AT_ONCE in options and _PEOPLE_AT_ONCE not in fields:
        options[_PICTURES_AT_ONCE] = options.pop(_PEOPLE_AT_ONCE)
    config = build_config({"pose": entry | options}, overrides).pose
    if config is None or config.kind != entry["kind"]:
        msg = f"the plug-in is '{entry['kind']}', an override must not change that: use --kind"
        raise ConfigError(msg)
    return Asked(config.kind, plugin, validate_options(plugin, config.options, "pose"))


def image_size(text: str | None) -> int | tuple[int, int] | None:
    """Read `256x192`, height and width; or one number, for networks whose input is a square.

    Raises:
        ConfigError: It is neither.
    """
    if text is None:
        return None
    sides = text.lower().split("x")
    if not all(side.isdecimal() for side in sides) or len(sides) > 2:
        msg = f"--image-size must be HEIGHTxWIDTH in pixels, such as 256x192, got '{text}'"
        raise ConfigError(msg)
    return (int(sides[0]), int(sides[1])) if len(sides) == 2 else int(sides[0])


def weights_hashes(options: Options) -> dict[str, str]:
    """Hash what was measured: file name -> SHA-256; of a folder each file, of an OpenVINO graph its two."""
    weights = getattr(options, "weights", None)
    if weights is None:
        return {}
    path = find_weights(weights)
    files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
    if path.suffix == ".xml":
        files.append(path.with_suffix(".bin"))
    return {file.name: _sha256(file) for file in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
