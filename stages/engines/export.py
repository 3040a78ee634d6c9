"""Convert weights ahead of time, and measure what that did to the numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from stages.engines import artefacts
from stages.engines.base import Engine, InputFormat, Model, Precision
from stages.engines.calibration import calibration_pictures, to_int8
from stages.engines.choose import open_engines
from stages.engines.conversion import onnx_of, to_onnx, to_openvino
from stages.engines.options import EngineOptions
from stages.engines.signature import read_signature
from stages.poses.networks import model as networks
from stages.poses.networks.notes import card_of
from stages.poses.networks.sizes import size_in_name

__all__ = ["FORMATS", "Exported", "Format", "Order", "carry_out", "model_of"]

Format = Literal["onnx", "openvino", "tensorrt"]

FORMATS: Final[dict[Format, tuple[Precision, ...]]] = {
    "onnx": ("f32",),
    "openvino": ("f32", "bf16", "int8"),
    "tensorrt": ("f32", "f16"),
}
"""Format -> in what precisions there is something to make."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to make."""

    model: Model
    format: Format
    precision: Precision
    out: Path | None = None
    """A folder; None: the cache, where the next run finds it."""
    calibrate: Path | None = None
    """A folder of pictures."""
    again: bool = False
    """Make it even if it is there."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made."""

    path: Path
    format: Format
    precision: Precision
    height: int
    width: int
    sha256: str
    """Of all its files: the .bin of an OpenVINO graph, then its .xml."""
    size_bytes: int
    reference: str
    """What it was compared with: `torch f32 on cpu`."""
    difference: float
    """The largest one to the reference, over all outputs, on a test picture."""
    peak: float
    """The largest output of the reference, to judge the difference by."""


def model_of(weights: Path, size: tuple[int, int] | None = None) -> Model:
    """Read what weights hold.

    Args:
        weights: A checkpoint of HRNet or PoseResNet, an ONNX file or the .xml of an OpenVINO graph.
        size: Height and width of its input. None: what the file says, or its name, or what is usual for its joints.

    Raises:
        WeightsError: They are damaged, or of no known network.
        ConfigError: The size is not that of the file, or is not known.
    """
    if weights.suffix.lower() not in {".onnx", ".xml"}:
        return networks.model_of(weights, card_of(weights), size)
    taken = read_signature(weights).pictures()
    height, width = size or size_in_name(weights.stem) or (taken.height, taken.width)
    if height is None or width is None:
        msg = f"'{weights}' takes pictures of any size: give --image-size HEIGHTxWIDTH"
        raise ConfigError(msg)
    model = Model(weights, InputFormat(width, height))
    taken.check(model.input)
    return model


def carry_out(order: Order) -> Exported:
    """Make what was ordered, and compare it.

    Raises:
        ConfigError: There is no such format in that precision, or the device for it is not here.
        MissingPackage: What makes or runs it is not installed.
        WeightsError: The weights are damaged.
    """
    _check(order)
    if order.format == "tensorrt":
        return _tensorrt(order)
    path = _graph(order)
    (engine,) = open_engines(Model(path, order.model.input), _options(order), max_batch=1)
    return _compared(order, path, engine)


def _check(order: Order) -> None:
    if order.precision not in FORMATS[order.format]:
        msg = f"--format {order.format} knows --precision {' or '.join(FORMATS[order.format])}, got {order.precision}"
        raise ConfigError(msg)
    if order.precision == "int8" and order.calibrate is None:
        msg = "--precision int8 needs --calibrate FOLDER: some hundred pictures of people as they are cut out"
        raise ConfigError(msg)
    if order.format == "tensorrt" and order.out is not None:
        msg = "TensorRT engines belong to one GPU and its driver, so they are kept in the cache: leave --out out"
        raise ConfigError(msg)


def _graph(order: Order) -> Path:
    """Make the file."""
    suffix: Literal[".onnx", ".xml"] = ".onnx" if order.format == "onnx" else ".xml"
    path = artefacts.graph_path(order.model, suffix, "int8" if order.precision == "int8" else "f32", order.out)
    make = _maker(order)
    if order.out is None:
        return artefacts.kept(path, make, again=order.again)
    if path.exists() and not order.again:
        msg = f"{path} exists: give --force to write it anew"
        raise ConfigError(msg)
    artefacts.write(path, make)
    return path


def _maker(order: Order) -> Callable[[Path], None]:
    """Say what writes the file."""
    if order.calibrate is not None and order.precision == "int8":
        pictures = calibration_pictures(order.calibrate, order.model.input)
        return lambda path: to_int8(order.model, path, pictures)
    if order.format == "openvino":
        return lambda path: to_openvino(order.model, path)
    if order.model.module is None:
        msg = f"'{order.model.weights}' is a graph already; --format onnx takes PyTorch checkpoints"
        raise ConfigError(msg)
    return lambda path: to_onnx(order.model, path)


def _options(order: Order) -> EngineOptions:
    """Say how the file is run to compare it. A quantised graph knows its precision itself."""
    if order.format == "onnx":
        return EngineOptions(precision="f32", device="cpu")
    precision = "auto" if order.precision == "int8" else order.precision
    return EngineOptions(engine="openvino", precision=precision, device="cpu")


def _tensorrt(order: Order) -> Exported:
    """Let TensorRT compile the network for this GPU, into the cache."""
    options = EngineOptions(engine="tensorrt", precision=order.precision, device="cuda:0")
    (engine,) = open_engines(order.model, options, max_batch=1)
    return _compared(order, onnx_of(order.model), engine)


def _compared(order: Order, path: Path, engine: Engine) -> Exported:
    """Run a test picture through what was made and through the original."""
    picture = _test_picture(order)
    got = _answer(engine, picture)
    (original,) = open_engines(order.model, _reference(order.model), max_batch=1)
    wanted = _answer(original, picture)
    pairs = zip(got, wanted, strict=True)
    files = [path.with_suffix(".bin"), path] if path.suffix == ".xml" else [path]
    return Exported(
        path=path,
        format=order.format,
        precision=order.precision,
        height=order.model.input.height,
        width=order.model.input.width,
        sha256=_hash(files),
        size_bytes=sum(file.stat().st_size for file in files),
        reference=str(original),
        difference=max(float(np.abs(one - other).max(initial=0)) for one, other in pairs),
        peak=max(float(np.abs(output).max(initial=0)) for output in wanted),
    )


def _reference(model: Model) -> EngineOptions:
    """Say what the original is run with: PyTorch, or for a graph what is there, in f32."""
    return EngineOptions(engine="auto" if model.module is None else "torch", precision="f32", device="cpu")


def _answer(engine: Engine, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    try:
        return engine.run(picture)
    finally:
        engine.close()


def _test_picture(order: Order) -> NDArray[np.uint8]:
    """Give the first of the user's pictures, or soft patches, the same each time; shape (1, height, width, 3)."""
    wanted = order.model.input
    if order.calibrate is not None:
        return calibration_pictures(order.calibrate, wanted)[0][None]
    noise = np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8)
    return np.asarray(cv2.resize(noise, (wanted.width, wanted.height), interpolation=cv2.INTER_CUBIC), np.uint8)[None]


def _hash(files: list[Path]) -> str:
    """Hash files one after the other."""
    digest = sha256()
    for path in files:
        with path.open("rb") as file:
            file_digest(file, lambda: digest)
    return digest.hexdigest()
