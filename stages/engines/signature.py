"""What a graph in a file takes and gives, without the package onnx."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, MissingPackage, WeightsError
from stages.engines.base import InputFormat
from stages.engines.machine import Machine
from stages.engines.packages import install_command, need

__all__ = ["Pictures", "Port", "Signature", "read_signature", "signature_of_graph", "signature_of_session"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph."""

    name: str
    shape: tuple[int | None, ...] | None
    """None for a side that the file leaves open; None as a whole where it does not say how many sides there are."""

    def __str__(self) -> str:
        """Show it for messages: `dets (?, ?, 5)`."""
        sides = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} ({sides})"


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a graph, in its order."""

    path: Path
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __str__(self) -> str:
        """Show it for messages."""
        taken, given = (", ".join(map(str, ports)) or "none" for ports in (self.inputs, self.outputs))
        return f"inputs {taken}; outputs {given}"

    def pictures(self) -> "Pictures":
        """Give the one input of a graph that takes pictures and nothing else.

        Raises:
            ConfigError: It has several inputs, or one of another shape.
        """
        if len(self.inputs) != 1 or len(shape := self.inputs[0].shape or ()) != 4 or shape[1] not in {3, None}:
            taken = ", ".join(map(str, self.inputs)) or "nothing"
            msg = f"'{self.path}' takes {taken}; expected one input, pictures (batch, 3, height, width)"
            raise ConfigError(msg)
        return Pictures(self.path, self.inputs[0].name, shape[0], shape[2], shape[3])


@dataclass(frozen=True, slots=True)
class Pictures:
    """The input of a graph that takes pictures. None stands for a size that the file leaves open."""

    path: Path
    name: str
    batch: int | None
    """How many it takes at once, exactly; None: any number."""
    height: int | None
    width: int | None

    def check(self, wanted: InputFormat) -> None:
        """See that the graph takes pictures of a size.

        Raises:
            ConfigError: It is made for another one.
        """
        if self.height in {wanted.height, None} and self.width in {wanted.width, None}:
            return
        msg = (
            f"'{self.path}' takes pictures of {self.height}x{self.width} (height x width), but is to get "
            f"{wanted.height}x{wanted.width}: leave image_size out, or export it for that size"
        )
        raise ConfigError(msg)


def read_signature(path: Path) -> Signature:
    """Read what an ONNX file, or the .xml of an OpenVINO graph, takes and gives.

    Raises:
        WeightsError: It is missing, damaged, or no graph.
        MissingPackage: Neither onnxruntime nor openvino is installed.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        msg = f"'{path}' does not exist, or is no file"
        raise WeightsError(msg)
    if suffix not in {".onnx", ".xml"}:
        msg = f"'{path}' is neither an ONNX file (.onnx) nor an OpenVINO graph (.xml): export the network as one"
        raise WeightsError(msg)
    machine = Machine()
    if suffix == ".onnx" and machine.has("onnxruntime"):
        return _by_onnxruntime(path)
    if suffix == ".xml" or machine.has("openvino"):
        return _by_openvino(path)
    msg = f"reading '{path.name}' needs onnxruntime or openvino: {install_command('onnxruntime')}"
    raise MissingPackage(msg)


def _by_onnxruntime(path: Path) -> Signature:
    from stages.engines.onnx_errors import damage_named  # noqa: PLC0415 - needs onnxruntime

    onnxruntime = need("onnxruntime", "ONNX files")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    with damage_named(path):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return signature_of_session(path, session)


def signature_of_session(path: Path, session: Any) -> Signature:  # noqa: ANN401 - optional package
    """Read what a session of ONNX Runtime takes and gives."""
    inputs, outputs = (
        tuple(Port(part.name, _plain(part.shape)) for part in parts)
        for parts in (session.get_inputs(), session.get_outputs())
    )
    return Signature(path, inputs, outputs)


def _plain(shape: list[Any]) -> tuple[int | None, ...] | None:
    """Sizes with a name, or none at all, are open; no sizes are what it says where nothing is known of them."""
    return tuple(size if isinstance(size, int) else None for size in shape) or None


def _by_openvino(path: Path) -> Signature:
    openvino = need("openvino", "OpenVINO graphs")
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        msg = f"'{path}' cannot be read by OpenVINO ({reason}). Copy an .xml with its .bin, or export it again"
        raise WeightsError(msg) from error
    return signature_of_graph(path, model)


def signature_of_graph(path: Path, model: Any) -> Signature:  # noqa: ANN401 - OpenVINO ships no types
    """Read what a graph of OpenVINO takes and gives."""
    inputs, outputs = (
        tuple(Port(_name(part, number), _sizes(part)) for number, part in enumerate(parts))
        for parts in (model.inputs, model.outputs)
    )
    return Signature(path, inputs, outputs)


def _name(part: Any, number: int) -> str:  # noqa: ANN401 - OpenVINO ships no types
    """Take the name that the export gave; OpenVINO adds some of its own, with a colon."""
    return min(part.get_names(), default=f"output_{number}", key=lambda name: (":" in name, name))


def _sizes(part: Any) -> tuple[int | None, ...] | None:  # noqa: ANN401 - OpenVINO ships no types
    shape = part.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return tuple(None if size.is_dynamic else size.get_length() for size in shape)
