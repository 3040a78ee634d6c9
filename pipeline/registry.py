"""The one table of plug-ins: role -> name -> "module:Class".

Entries are strings, so nothing heavy is imported until it is named. To add a plug-in: one file with its class and its
`Options`, and one line here; `tests/test_contracts.py` tests it from then on.
"""

import difflib
import importlib
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from pydantic import ValidationError

from pipeline.errors import ConfigError, MissingPackage, UnknownPlugin
from pipeline.plugin import Options
from pipeline.secrets import mask_value

__all__ = ["EXTRAS", "PLUGINS", "explain", "options_model", "resolve", "shorthand", "validate_options"]

PLUGINS: Final[dict[str, dict[str, str]]] = {
    "source": {
        "camera": "stages.sources.camera:CameraSource",
        "file": "stages.sources.file:FileSource",
        "images": "stages.sources.images:ImagesSource",
        "pan": "stages.sources.pan:PanSource",
        "rtsp": "stages.sources.rtsp:RtspSource",
        "synthetic": "stages.sources.synthetic:SyntheticSource",
    },
    "detector": {
        "blazepose": "stages.detectors.blazepose:BlazePoseDetector",
        "onnx": "stages.detectors.onnx:OnnxDetector",
        "ultralytics": "stages.detectors.ultralytics:UltralyticsDetector",
    },
    "pose": {
        "blazepose": "stages.poses.blazepose:BlazePose",
        "hrnet": "stages.poses.hrnet:HRNetPose",
        "onnx": "stages.poses.onnx:OnnxPose",
        "poseresnet": "stages.poses.poseresnet:PoseResNetPose",
        "ultralytics": "stages.poses.ultralytics:UltralyticsPose",
    },
    "tracker": {
        "bytetrack": "trackers.bytetrack:ByteTrack",
        "kinesort": "trackers.kinesort:KineSort",
        "ocsort": "trackers.ocsort:OcSort",
        "similarity": "trackers.similarity:Similarity",
        "sort": "trackers.sort:Sort",
    },
    "rule": {
        "crowd": "stages.rules.crowd:CrowdRule",
        "fall": "stages.rules.fall:FallRule",
        "line": "stages.rules.line:LineRule",
        "pose": "stages.rules.pose:PoseRule",
        "presence": "stages.rules.presence:PresenceRule",
        "zone": "stages.rules.zone:ZoneRule",
    },
    "sink": {
        "coco": "stages.sinks.coco:CocoSink",
        "csv": "stages.sinks.csv:CsvSink",
        "dataloop": "stages.sinks.dataloop:DataloopSink",
        "events": "stages.sinks.events:EventsSink",
        "json": "stages.sinks.json:JsonSink",
        "jsonl": "stages.sinks.jsonl:JsonlSink",
        "mot": "stages.sinks.mot:MotSink",
        "mqtt": "stages.sinks.mqtt:MqttSink",
        "null": "stages.sinks.null:NullSink",
        "parquet": "stages.sinks.parquet:ParquetSink",
        "publish": "stages.sinks.publish:PublishSink",
        "seed-csv": "stages.sinks.seed_csv:SeedCsvSink",
        "seed-json": "stages.sinks.seed_json:SeedJsonSink",
        "sheet": "stages.sinks.sheet:SheetSink",
        "video": "stages.sinks.video:VideoSink",
        "window": "stages.sinks.window:WindowSink",
    },
    "stage": {
        "mask": "stages.privacy:Mask",
        "blank": "stages.privacy:Blank",
        "decode": "stages.decode:Decode",
        "detect": "stages.detect:Detect",
        "pose": "stages.pose:EstimatePose",
        "track": "stages.track:Track",
        "refine": "stages.refine:Refine",
        "smooth": "stages.smooth:Smooth",
        "rules": "stages.rule:Judge",
        "sink": "stages.sink:Write",
    },
    "command": {
        "data": "training.commands:app",
        "dataloop": "stages.dataloop.commands:app",
        "doctor": "stages.doctor:app",
        "evaluate": "stages.evaluation.commands:app",
        "export": "stages.engines.commands:app",
        "models": "stages.zoo.commands:app",
        "track": "stages.tracking.commands:app",
        "train": "training.commands:trainer",
    },
}

LOADERS: Final = {
    "detector": (
        (r"(.*[/\\])?(yolox|rtmdet|rt-?detr|d-?fine|rf-?detr)[^/\\]*\.onnx", "onnx"),
        (r".+", "ultralytics"),
    ),
    "pose": (
        (r"(.*[/\\])?(rtmpose|vitpose|simcc|(pose_?)?(hrnet|resnet))[^/\\]*\.(onnx|xml)", "onnx"),
        (r"(.*[/\\])?((pose_?)?resnet|res(50|101|152)_)[^/\\]*", "poseresnet"),
        (r"(.*[/\\])?(pose_?)?hrnet[^/\\]*|.+\.pth(\.tar)?", "hrnet"),
        (r".+", "ultralytics"),
    ),
}
"""Which plug-in takes bare weights, a file or a name of the model zoo, as in `--detector yolo11n.pt`: the first pattern
that matches the text whole, case ignored."""

SOURCE_PATTERNS: Final = (
    (r"\d+|/dev/video\d+|/dev/v4l/.+", "camera", "path"),
    (r"https?://[^?]+\.(avi|m4v|mkv|mov|mp4|webm)(\?.*)?", "file", "path"),
    (r"(rtsps?|rtmps?|srt|https?|udp|rtp|tcp|tls)://.+", "rtsp", "url"),
    (r"(?!\w[\w+.-]*://).+\.(bmp|jpe?g|png|tiff?|webp)", "images", "path"),
    (r"(?!\w[\w+.-]*://).+", "file", "path"),
)
"""Which source reads a bare text that names no plug-in, and the option it goes into; the first pattern that matches it
whole, case ignored."""

_TARGETS: Final = {"publish": "url"}
"""The option that `--sink KIND=TARGET` sets, where it is not `path`."""

EXTRAS: Final = {
    "aiomqtt": "live",
    "dtlpy": "dataloop",
    "faster_coco_eval": "evaluate",
    "ffmpeg": "live",
    "gdown": "drive",
    "imageio_ffmpeg": "live",
    "matplotlib": "train",
    "nncf": "int8",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "onnxscript": "torch",
    "openvino": "openvino",
    "pyarrow": "parquet",
    "requests": "dataloop",
    "tensorboard": "train",
    "torch": "torch",
    "torchvision": "torch",
    "trackeval": "evaluate",
    "ultralytics": "ultralytics",
    "urllib3": "dataloop",
}
"""Import name of an optional package -> the extra of this distribution that installs it."""


def shorthand(role: str, text: str) -> dict[str, Any]:
    """Say in full what a bare text stands for: `jsonl`, `video=out.mp4`, `yolo11n.pt`, `street.mp4`.

    Args:
        role: `source`, `detector`, `pose`, `tracker` or `sink`.
        text: A plug-in's name, or what the obvious plug-in of that role should read, load or write.

    Returns:
        An entry of a configuration: `kind`, and options beside it.

    Raises:
        UnknownPlugin: Nothing of that role takes it.
    """
    if role == "sink":
        name, equals, target = text.partition("=")
        return {"kind": name, _TARGETS.get(name, "path"): target} if equals else {"kind": name}
    if text in PLUGINS[role]:
        return {"kind": text}
    if role == "source":
        return _source(text)
    is_misspelt = not Path(text).exists() and difflib.get_close_matches(text, PLUGINS[role], n=1, cutoff=0.8)
    if role not in LOADERS or is_misspelt:
        raise _unknown(role, text)
    kind = next(kind for pattern, kind in LOADERS[role] if re.fullmatch(pattern, text, re.IGNORECASE))
    return {"kind": kind, "weights": text}


def _source(text: str) -> dict[str, Any]:
    if Path(text).is_dir():
        return {"kind": "images", "path": text}
    for pattern, kind, option in SOURCE_PATTERNS:
        if re.fullmatch(pattern, text, re.IGNORECASE):
            return {"kind": kind, option: text}
    msg = f"no source reads '{text}'. Known: {', '.join(sorted(PLUGINS['source']))}"
    raise UnknownPlugin(msg)


def _unknown(role: str, name: str) -> UnknownPlugin:
    known = sorted(PLUGINS[role])
    return UnknownPlugin(f"unknown {role} '{name}'.{_closest(name, known)} Known: {', '.join(known)}")


def resolve(role: str, name: str) -> Any:  # noqa: ANN401 - a class of any role, or a group of commands
    """Import what stands behind a plug-in's name.

    Raises:
        UnknownPlugin: No such name; the message lists the known ones and the closest.
        MissingPackage: It needs a package that is not installed; the message gives the command.
    """
    if name not in PLUGINS[role]:
        raise _unknown(role, name)
    module_name, class_name = PLUGINS[role][name].split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        msg = f"{role} '{name}' needs the package '{package}': pip install 'kinestream[{EXTRAS[package]}]'"
        raise MissingPackage(msg) from error
    return getattr(module, class_name)


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
        raise ConfigError(explain(error, path, {"": list(model.model_fields)})) from None


def explain(error: ValidationError, path: str, allowed: Mapping[str, Sequence[str]]) -> str:
    """Say in words what pydantic found: one line a fault.

    Args:
        error: As caught.
        path: Where the checked value stands in the configuration; it begins each line.
        allowed: The names that may stand below a dotted path (relative to `path`).
    """
    lines = []
    for fault in error.errors(include_url=False):
        loc = [str(part) for part in fault["loc"]]
        where = ".".join(part for part in (path, *loc) if part)
        if fault["type"] == "extra_forbidden":
            names = allowed.get(".".join(loc[:-1]), ())
            hint = _closest(loc[-1], names)
            lines.append(f"{where}: unknown option '{loc[-1]}'.{hint} Allowed: {', '.join(names)}")
        elif fault["type"] == "missing":
            lines.append(f"{where}: this option is required")
        else:
            lines.append(f"{where}: {fault['msg']}, got {mask_value(where, fault['input'])!r}")
    return "\n".join(lines)


def _closest(name: str, known: Iterable[str]) -> str:
    closest = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{closest[0]}'?" if closest else ""
