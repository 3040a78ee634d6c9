"""The models the zoo knows, and how one is found by its name."""

import difflib
from typing import Final

from pipeline.errors import UnknownPlugin
from stages.zoo.model import Licence, Model, Url, Wheel, WheelMember
from stages.zoo.topdown_entries import TOPDOWN_ENTRIES

__all__ = ["MODELS", "lookup", "siblings"]

_APACHE: Final = Licence("Apache-2.0", "Use, change and ship it, also in closed products; keep the notice.")

_AGPL: Final = Licence(
    "AGPL-3.0-only",
    "What you build with it, also when served over a network, must be open under the same licence, "
    "unless you buy another one from Ultralytics.",
)

_TORCHREID: Final = Licence(
    "MIT",
    "Torchreid's, which lets you use, change and ship it. Made from MSMT17, whose terms allow research only.",
)

_MEDIAPIPE: Final = Wheel("mediapipe==0.10.21", python_version="3.11", platform="manylinux_2_28_x86_64")

_ULTRALYTICS: Final = "https://github.com/ultralytics/assets/releases/download/v8.3.0"


def _yolo(file_name: str, summary: str, sha256: str, size_bytes: int | None) -> Model:
    """Describe a file of the Ultralytics release that holds YOLO11 and YOLOv8, trained on COCO."""
    return Model(
        name=file_name.removesuffix(".pt"),
        file_name=file_name,
        task="pose of all people" if "-pose" in file_name else "person detection",
        summary=summary,
        origin=Url(f"{_ULTRALYTICS}/{file_name}"),
        sha256=sha256,
        size_bytes=size_bytes,
        licence=_AGPL,
    )


_ENTRIES: Final = (
    Model(
        name="blazepose-detector",
        file_name="pose_detection.tflite",
        task="person detection",
        summary="BlazePose detector, 224x224: the nearest person and the region of the body",
        origin=WheelMember(_MEDIAPIPE, "mediapipe/modules/pose_detection/pose_detection.tflite"),
        sha256="9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        size_bytes=2_959_046,
        licence=_APACHE,
    ),
    Model(
        name="blazepose-landmark-full",
        file_name="pose_landmark_full.tflite",
        task="pose of one person",
        summary="BlazePose landmarks, 256x256: 33 joints of one person",
        origin=WheelMember(_MEDIAPIPE, "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"),
        sha256="e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        size_bytes=6_440_512,
        licence=_APACHE,
    ),
    _yolo(
        "yolo11n.pt",
        "YOLO11 nano detector: 80 classes, the fastest",
        "0ebbc80d4a7680d14987a577cd21342b65ecfd94632bd9a8da63ae6417644ee1",
        5_613_764,
    ),
    _yolo(
        "yolo11s.pt",
        "YOLO11 small detector: 80 classes",
        "85a76fe86dd8afe384648546b56a7a78580c7cb7b404fc595f97969322d502d5",
        19_313_732,
    ),
    _yolo(
        "yolo11m.pt",
        "YOLO11 medium detector: 80 classes, accurate",
        "d5ffc1a674953a08e11a8d21e022781b1b23a19b730afc309290bd9fb5305b95",
        40_684_120,
    ),
    _yolo(
        "yolo11n-pose.pt",
        "YOLO11 nano pose: boxes and 17 joints at once, the fastest",
        "869e83fcdffdc7371fa4e34cd8e51c838cc729571d1635e5141e3075e9319dc0",
        6_255_593,
    ),
    _yolo(
        "yolo11s-pose.pt",
        "YOLO11 small pose: boxes and 17 joints at once",
        "1060bda4a27012060eca246f9b2adeea22eabb045a1e58f8d229be29b7ebc2ba",
        None,
    ),
    _yolo(
        "yolo11m-pose.pt",
        "YOLO11 medium pose: boxes and 17 joints at once, accurate",
        "29b17eaf3a3117cbea906090dbedf9159f7c6a49db58ec8b99ed2dfde1cf6eb2",
        42_459_307,
    ),
    _yolo(
        "yolo11x-pose.pt",
        "YOLO11 extra large pose: boxes and 17 joints at once, the most accurate",
        "013c43543b0751b8918486ba96e01ee44a59040683a07f96cc22bcc2cb7785f8",
        118_481_010,
    ),
    _yolo(
        "yolov8n-pose.pt",
        "YOLOv8 nano pose: boxes and 17 joints at once",
        "c6fa93dd1ee4a2c18c900a45c1d864a1c6f7aba75d84f91648a30b7fb641d212",
        6_832_633,
    ),
    Model(
        name="osnet",
        file_name="osnet_x0_25_msmt17.onnx",
        task="appearance",
        summary="OSNet x0.25, 256x128: 512 numbers that tell people apart",
        # Torchreid gives checkpoints, no ONNX files. This one stands in a public repository under the name that
        # BoxMOT gives its exports of them; nobody vouches for it, and the hash only says that it stays what it is.
        origin=Url(
            "https://raw.githubusercontent.com/akshaydhame2001/YOLOv8_Tracking_TensorRT/"
            "cb948b3224a53986e8ccc0ca940fb8fe842e145b/osnet_x0_25_msmt17.onnx"
        ),
        sha256="61b2604171ef9d58d21758626f83b35a253c3d7123976523a6e03068c3c95d7b",
        size_bytes=921_616,
        licence=_TORCHREID,
    ),
    *TOPDOWN_ENTRIES,
)

MODELS: Final[dict[str, Model]] = {model.name: model for model in _ENTRIES}
"""Every model by its name."""


def lookup(name: str) -> Model:
    """Find a model by its name or its file name.

    Raises:
        UnknownPlugin: The zoo knows no such model; the message offers the closest.
    """
    by_any_name = {model.file_name: model for model in MODELS.values()} | MODELS
    if name in by_any_name:
        return by_any_name[name]
    closest = difflib.get_close_matches(name, by_any_name, n=1, cutoff=0.5)
    hint = f" Did you mean '{closest[0]}'?" if closest else ""
    msg = f"unknown model '{name}'.{hint} Known: {', '.join(sorted(MODELS))}"
    raise UnknownPlugin(msg)


def siblings(model: Model) -> list[Model]:
    """List the models that come in the same wheel, this one among them; any other file comes alone."""
    if not isinstance(model.origin, WheelMember):
        return [model]
    wheel = model.origin.wheel
    return [other for other in MODELS.values() if isinstance(other.origin, WheelMember) and other.origin.wheel == wheel]
