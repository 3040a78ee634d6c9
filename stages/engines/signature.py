"""What a graph in a file takes and gives, without the package onnx."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, MissingPackage, WeightsError
from stages.engines.base import InputFormat
from stages.engines.machine import Machine
from stages.engines.packages import install_command, need

__all__ = ["Signature", "onnx_input", "signature_of_graph", "signature_of_session"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """The input and the outputs of a graph. None stands for a size that the file leaves open."""

    path: Path
    name: str
    """Of the input."""
    shape: Shape
    """Of the input: (batch, 3, height, width)."""
    outputs: dict[str, Shape]
    """In the order in which an engine gives them."""

    @property
    def batch(self) -> int | None:
        """How many pictures it takes at once, exactly; None: any number."""
        return self.shape[0]

    @property
    def height(self) -> int | None:
        """Of its pictures."""
        return self.shape[2]

    @property
    def width(self) -> int | None:
        """Of its pictures."""
        return self.shape[3]

    @classmethod
    def of(cls, path: Path, inputs: dict[str, Shape], outputs: dict[str, Shape]) -> "Signature":
        """See that a graph takes pictures.

        Raises:
            ConfigError: It has several inputs, or one of another shape.
        """
        if len(inputs) != 1:
            msg = f"'{path}' takes {len(inputs)} inputs ({', '.join(inputs)}), expected one: pictures"
            raise ConfigError(msg)
        ((name, shape),) = inputs.items()
        if len(shape) != 4 or shape[1] not in {3, None}:
            msg = f"'{path}' takes an input of shape {_shown(shape)}, expected (batch, 3, height, width)"
            raise ConfigError(msg)
        return cls(path, name, shape, outputs)

    def check(self, wanted: InputFormat) -> None:
        """See that it takes pictures of a size.

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


def onnx_input(path: Path) -> Signature:
    """Read what an ONNX file, or an OpenVINO graph, takes and gives.

    Raises:
        WeightsError: It is missing, damaged, or no graph.
        ConfigError: It does not take one input of shape (batch, 3, height, width).
        MissingPackage: Neither onnxruntime nor openvino is installed.
    """
    if not path.is_file():
        msg = f"'{path}' does not exist, or is no file"
        raise WeightsError(msg)
    machine = Machine()
    if path.suffix.lower() != ".xml" and machine.has("onnxruntime"):
        return _by_onnxruntime(path)
    if path.suffix.lower() == ".xml" or machine.has("openvino"):
        return _by_openvino(path)
    msg = f"reading '{path.name}' needs onnxruntime or openvino: {install_command('onnxruntime')}"
    raise MissingPackage(msg)


def _by_onnxruntime(path: Path) -> Signature:
    from stages.engines.onnx_errors import damage_named  # noqa: PLC0415 - needs onnxruntime

    onnxruntime = need("onnxruntime", "ONNX files")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with damage_named(path):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return signature_of_session(path, session)


def signature_of_session(path: Path, session: Any) -> Signature:  # noqa: ANN401 - optional package
    """Read what a session of ONNX Runtime takes and gives."""
    inputs, outputs = (
        {part.name: _plain(part.shape) for part in parts} for parts in (session.get_inputs(), session.get_outputs())
    )
    return Signature.of(path, inputs, outputs)


def _plain(shape: list[Any]) -> Shape:
    """Sizes with a name, or none at all, are open."""
    return tuple(size if isinstance(size, int) else None for size in shape)


def _by_openvino(path: Path) -> Signature:
    openvino = need("openvino", "OpenVINO graphs")
    try:
        model = openvino.Core().read_model(path)
    except RuntimeError as error:
        msg = f"'{path}' is damaged, or no graph that OpenVINO reads. Fetch or export it again"
        raise WeightsError(msg) from error
    return signature_of_graph(path, model)


def signature_of_graph(path: Path, model: Any) -> Signature:  # noqa: ANN401 - OpenVINO ships no types
    """Read what a graph of OpenVINO takes and gives."""
    inputs, outputs = (
        {_name(part, number): _sizes(part) for number, part in enumerate(parts)}
        for parts in (model.inputs, model.outputs)
    )
    return Signature.of(path, inputs, outputs)


def _name(part: Any, number: int) -> str:  # noqa: ANN401 - OpenVINO ships no types
    return min(part.get_names(), default=f"output_{number}")


def _sizes(part: Any) -> Shape:  # noqa: ANN401 - OpenVINO ships no types
    shape = part.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(None if size.is_dynamic else size.get_length() for size in shape)


def _shown(shape: Shape) -> str:
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"
