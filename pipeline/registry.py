"""The one table of plug-ins: role -> name -> "module:Class".

Entries are strings, so nothing heavy is imported until it is named. To add a plug-in: one file with its class and its
`Options`, and one line here; `tests/test_contracts.py` tests it from then on.
"""

import difflib
import importlib
from typing import Any, Final, cast

from pydantic import ValidationError

from pipeline.errors import ConfigError, MissingPackage, UnknownPlugin
from pipeline.plugin import Options

__all__ = ["PLUGINS", "options_model", "resolve", "validate_options"]

PLUGINS: Final[dict[str, dict[str, str]]] = {
    "source": {
        "file": "stages.sources.file:FileSource",
        "images": "stages.sources.images:ImagesSource",
        "pan": "stages.sources.pan:PanSource",
        "synthetic": "stages.sources.synthetic:SyntheticSource",
    },
    "detector": {
        "blazepose": "stages.detectors.blazepose:BlazePoseDetector",
        "ultralytics": "stages.detectors.ultralytics:UltralyticsDetector",
    },
    "pose": {
        "blazepose": "stages.poses.blazepose:BlazePose",
        "ultralytics": "stages.poses.ultralytics:UltralyticsPose",
    },
    "tracker": {
        "bytetrack": "trackers.bytetrack:ByteTrack",
    },
    "sink": {
        "coco": "stages.sinks.coco:CocoSink",
        "csv": "stages.sinks.csv:CsvSink",
        "jsonl": "stages.sinks.jsonl:JsonlSink",
        "mot": "stages.sinks.mot:MotSink",
        "null": "stages.sinks.null:NullSink",
        "parquet": "stages.sinks.parquet:ParquetSink",
        "video": "stages.sinks.video:VideoSink",
    },
    "stage": {
        "decode": "stages.decode:Decode",
        "detect": "stages.detect:Detect",
        "pose": "stages.pose:EstimatePose",
        "track": "stages.track:Track",
        "sink": "stages.sink:Write",
    },
}

LOADERS: Final = {"detector": "ultralytics", "pose": "ultralytics"}
"""Which plug-in takes a bare weights path or model name, as in `--detector yolo11n.pt`."""

EXTRAS: Final = {
    "ultralytics": "ultralytics",
    "torch": "ultralytics",
    "openvino": "ultralytics",
    "pyarrow": "parquet",
}
"""Import name of an optional package -> the extra of this distribution that installs it."""


def resolve(role: str, name: str) -> type[Any]:
    """Import the class behind a plug-in's name.

    Raises:
        UnknownPlugin: No such name; the message lists the known ones and the closest.
        MissingPackage: It needs a package that is not installed; the message gives the command.
    """
    known = PLUGINS[role]
    if name not in known:
        closest = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean '{closest[0]}'?" if closest else ""
        msg = f"unknown {role} '{name}'.{hint} Known: {', '.join(sorted(known))}"
        raise UnknownPlugin(msg)
    module_name, class_name = known[name].split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        msg = f"{role} '{name}' needs the package '{package}': pip install 'kinestream[{EXTRAS[package]}]'"
        raise MissingPackage(msg) from error
    return cast("type[Any]", getattr(module, class_name))


def options_model(plugin: type[Any]) -> type[Options]:
    """Find the `Options` model that stands beside a plug-in's class."""
    return cast("type[Options]", importlib.import_module(plugin.__module__).Options)


def validate_options(plugin: type[Any], options: dict[str, Any], path: str) -> Options:
    """Check the options of a plug-in.

    Args:
        plugin: The class.
        options: Names and values as configured.
        path: Where they stand in the configuration, for the message: `detect`, `sinks.0`.

    Raises:
        ConfigError: A name is misspelt or a value is wrong; the message gives path, value and what is allowed.
    """
    model = options_model(plugin)
    try:
        return model.model_validate(options)
    except ValidationError as error:
        raise ConfigError(explain(error, path, tuple(model.model_fields))) from None


def explain(error: ValidationError, path: str, allowed: tuple[str, ...]) -> str:
    """Say in words what pydantic found: one line a fault, with its dotted path and the allowed names."""
    lines = []
    for fault in error.errors(include_url=False):
        where = ".".join(str(part) for part in (path, *fault["loc"]) if part != "")
        if fault["type"] == "extra_forbidden":
            name = str(fault["loc"][-1])
            closest = difflib.get_close_matches(name, allowed, n=1)
            hint = f" Did you mean '{closest[0]}'?" if closest else ""
            lines.append(f"{where}: unknown option '{name}'.{hint} Allowed: {', '.join(allowed)}")
        elif fault["type"] == "missing":
            lines.append(f"{where}: this option is required")
        else:
            lines.append(f"{where}: {fault['msg']}, got {fault['input']!r}")
    return "\n".join(lines)
