"""Runs a network of the TensorFlow Lite format on the CPU, several pictures at a time."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import flatbuffers  # type: ignore[import-untyped] # it ships no types
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from pipeline.errors import WeightsError
from stages.blazepose.quiet import stderr_without

__all__ = ["Interface", "Network"]

Shape = tuple[int, ...]

_FILE_IDENTIFIER: Final = b"TFL3"
_DELEGATE_LINE: Final = b"INFO: Created TensorFlow Lite XNNPACK delegate"
"""LiteRT says this once, on stderr, and has no switch for it."""


@dataclass(frozen=True, slots=True)
class Interface:
    """What goes into a network and what is wanted of it."""

    side: int
    """Height and width of the picture it takes, pixels."""
    value_range: tuple[float, float]
    """What black and white are for it."""
    outputs: tuple[Shape, ...]
    """Shape of each wanted output. What only other outputs need is not computed: without its segmentation the
    landmark network takes 4.9 instead of 8.4 ms."""


class Network:
    """A network with one picture as input.

    `run` may be called from as many threads at once as there are copies. Two copies with one thread each are faster
    than one with two threads (4.9 and 5.6 ms a picture on two cores); batches are no faster than single pictures.

    Args:
        path: The file.
        interface: What the network must look like.
        copies: How many calls may run at once.

    Raises:
        WeightsError: The file cannot be read, is damaged, or holds another network.
    """

    def __init__(self, path: Path, interface: Interface, *, copies: int) -> None:
        """Load the file and make the copies."""
        self.side = interface.side
        low, high = interface.value_range
        self._scale, self._offset = np.float32((high - low) / 255), np.float32(low)
        content = _read(path)
        original = _interpreter(content, path)
        self._outputs = _matching_outputs(original, interface, path)
        self._input = int(original.get_input_details()[0]["index"])
        lean = _without_dead_operators(content, self._outputs)
        self._idle = deque(_interpreter(lean, path) for _ in range(copies))
        with stderr_without(_DELEGATE_LINE):
            for interpreter in self._idle:
                interpreter.allocate_tensors()

    def run(self, bgr: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the network on one picture.

        Args:
            bgr: Shape (side, side, 3), uint8.

        Returns:
            The wanted outputs, in the order of `outputs`, without the batch dimension.

        Raises:
            IndexError: More calls at once than there are copies.
        """
        values = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.float32)
        values *= self._scale
        values += self._offset
        interpreter = self._idle.pop()
        try:
            interpreter.set_tensor(self._input, values[None])
            interpreter.invoke()
            return [interpreter.get_tensor(index)[0] for index in self._outputs]
        finally:
            self._idle.append(interpreter)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"cannot read the network {path}: {error.strerror}"
        raise WeightsError(msg) from error


def _interpreter(content: bytes, path: Path) -> Any:  # noqa: ANN401 - ai_edge_litert ships no types
    try:
        return Interpreter(model_content=content, num_threads=1)
    except ValueError as error:
        msg = (
            f"{path} is damaged or no TensorFlow Lite network ({len(content)} bytes): {error}. "
            "Delete it, so that it is fetched again"
        )
        raise WeightsError(msg) from error


def _matching_outputs(interpreter: Any, interface: Interface, path: Path) -> list[int]:  # noqa: ANN401 - as above
    """Find the tensor index of each wanted output by its shape.

    Raises:
        WeightsError: The network has another input, or lacks an output.
    """
    inputs = [_shape(detail) for detail in interpreter.get_input_details()]
    found = {_shape(detail): int(detail["index"]) for detail in interpreter.get_output_details()}
    expected = (1, interface.side, interface.side, 3)
    if inputs != [expected] or not found.keys() >= set(interface.outputs):
        msg = (
            f"{path} holds another network: got inputs {inputs} and outputs {list(found)}, "
            f"expected input {expected} and outputs {list(interface.outputs)}"
        )
        raise WeightsError(msg)
    return [found[shape] for shape in interface.outputs]


def _shape(detail: dict[str, Any]) -> Shape:
    return tuple(int(size) for size in detail["shape"])


def _without_dead_operators(content: bytes, outputs: list[int]) -> bytes:
    """Leave out what does not lead to `outputs`; the interpreter would compute it all the same.

    The operators of a file stand in order of execution, so one walk from the end finds all that are needed. Tensors
    keep their indices, and the kept outputs their values to the last bit.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    needed, live = set(outputs), []
    for operator in reversed(graph.operators):
        if not needed.isdisjoint(operator.outputs):
            live.append(operator)
            needed.update(operator.inputs)
    graph.operators = live[::-1]
    graph.outputs = np.array(outputs, np.int32)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), _FILE_IDENTIFIER)
    return bytes(builder.Output())
