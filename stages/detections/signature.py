"""What a file says about the inputs and outputs of its network, without loading it into an engine.

`stages.engines.signature` reads networks that take pictures and nothing else; some detectors take more.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.errors import WeightsError
from stages.engines.packages import need

__all__ = ["Port", "Signature", "read_signature"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a network."""

    name: str
    shape: tuple[int | None, ...] | None
    """None for a side that is free; None as a whole where the file does not even say how many sides there are."""

    def __str__(self) -> str:
        """Show it for messages: `dets (?, ?, 5)`."""
        sides = "?" if self.shape is None else ", ".join("?" if side is None else str(side) for side in self.shape)
        return f"{self.name} ({sides})"


@dataclass(frozen=True, slots=True)
class Signature:
    """The inputs and outputs of a network, in its order."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __str__(self) -> str:
        """Show it for messages."""
        return f"inputs {_listed(self.inputs)}; outputs {_listed(self.outputs)}"


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(str(port) for port in ports) or "none"


def read_signature(path: Path) -> Signature:
    """Read the inputs and outputs of an ONNX file or of the .xml of an OpenVINO graph; weights are not read.

    Raises:
        WeightsError: The file is another one, or damaged.
        MissingPackage: The package that reads it is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in {".onnx", ".xml"}:
        msg = f"'{path}' is neither an ONNX file (.onnx) nor an OpenVINO graph (.xml): export the network as one"
        raise WeightsError(msg)
    by_openvino = suffix == ".xml" or (find_spec("onnx") is None and find_spec("openvino") is not None)
    return _read_openvino(path) if by_openvino else _read_onnx(path)


def _read_onnx(path: Path) -> Signature:
    onnx = need("onnx", f"'{path}'")
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # noqa: PLC0415 - comes with onnx

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (DecodeError, OSError) as error:
        msg = f"'{path}' cannot be read as ONNX ({error}): fetch or export it again"
        raise WeightsError(msg) from error
    if not graph.output:
        msg = f"'{path}' holds no network: it has no outputs. Fetch or export it again"
        raise WeightsError(msg)
    constants = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_onnx_port(port) for port in graph.input if port.name not in constants)
    return Signature(inputs, tuple(_onnx_port(port) for port in graph.output))


def _onnx_port(port: Any) -> Port:  # noqa: ANN401 - a message of protobuf
    tensor = port.type.tensor_type
    if not tensor.HasField("shape"):
        return Port(port.name, None)
    sides = (side.dim_value if side.HasField("dim_value") else None for side in tensor.shape.dim)
    return Port(port.name, tuple(side if side is not None and side > 0 else None for side in sides))


def _read_openvino(path: Path) -> Signature:
    openvino = need("openvino", f"'{path}'")
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        reason = str(error).strip().rpartition("\n")[2]
        msg = f"'{path}' cannot be read by OpenVINO ({reason}): copy it again, an .xml with its .bin"
        raise WeightsError(msg) from error
    inputs, outputs = (tuple(_openvino_port(port) for port in ports) for ports in (model.inputs, model.outputs))
    return Signature(inputs, outputs)


def _openvino_port(port: Any) -> Port:  # noqa: ANN401 - OpenVINO ships no types
    shape = port.get_partial_shape()
    name = min(port.get_names(), default="", key=lambda name: (":" in name, name))
    if shape.rank.is_dynamic:
        return Port(name, None)
    return Port(name, tuple(side.get_length() if side.is_static else None for side in shape))
