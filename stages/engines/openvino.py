"""OpenVINO: the fastest way on a CPU.

Each picture is a request of its own, and several are in flight, one a stream: what the network says of a picture does
not depend on the others, and streams do the same work with less waiting between their threads. The conversion from
8-bit BGR to the network's input is part of the graph.
"""

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from pipeline.errors import WeightsError
from stages.engines.artefacts import graph_path, is_intact
from stages.engines.base import Engine, EngineName, InputFormat
from stages.engines.batches import joined, padded, pieces
from stages.engines.conversion import openvino_of
from stages.engines.signature import signature_of_graph

__all__ = ["OpenVinoEngine"]

_log = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 60.0
"""A network that has not answered by then never will: the largest take some seconds on one slow core."""


class Slot:
    """One request of a compiled network, and the pictures it reads."""

    def __init__(self, request: Any) -> None:  # noqa: ANN401 - OpenVINO ships no types
        """Take over a request."""
        self.request = request
        self.canvas: NDArray[np.uint8] = request.get_input_tensor().data
        self.count = 0

    def start(self, pictures: NDArray[np.uint8]) -> None:
        """Let the network work on pictures, at most as many as it takes at once."""
        self.canvas[:] = padded(pictures, len(self.canvas))
        self.count = len(pictures)
        self.request.start_async()

    def wait(self) -> list[NDArray[np.float32]]:
        """Wait for the answer.

        Raises:
            TimeoutError: It does not come.
        """
        if not self.request.wait_for(int(_ANSWER_SECONDS * 1000)):
            msg = f"OpenVINO gave no answer within {_ANSWER_SECONDS:g} s: restart the run; if it stays, lower max_batch"
            raise TimeoutError(msg)
        return [np.array(tensor.data[: self.count], np.float32) for tensor in self.request.output_tensors]


class OpenVinoEngine(Engine):
    """Runs ONNX files, OpenVINO graphs, and PyTorch networks that it converts once, on the CPU."""

    name: ClassVar[EngineName] = "openvino"
    _slots: tuple[Slot, ...] = ()

    def open(self) -> None:
        """Read and compile the network.

        Raises:
            WeightsError: The file is damaged, or there is no int8 graph yet.
            ConfigError: It takes pictures of another size.
            MissingPackage: It is a PyTorch network that must be converted first, and PyTorch is not installed.
        """
        core = openvino.Core()
        graph = self._read(core)
        taken = signature_of_graph(self.model.weights, graph).pictures()
        taken.check(self.model.input)
        # A file for a fixed batch may hold that number anywhere in its graph, so it is kept; an open one becomes 1.
        batch = taken.batch or 1
        with self._damage_named():
            graph.reshape([batch, 3, self.model.input.height, self.model.input.width])
            compiled = core.compile_model(with_input_of_bytes(graph, self.model.input), "CPU", self._settings())
        at_once = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        # One request more than it works on at once, so none waits for us.
        count = min(at_once + 1, -(-self.max_batch // batch))
        self._slots = tuple(Slot(compiled.create_infer_request()) for _ in range(count))

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the network; while some pictures are in it, the next ones are copied."""
        self.check(pictures)
        if not len(pictures):
            return self.nothing()
        parts: list[list[NDArray[np.float32]]] = []
        pending: deque[Slot] = deque()
        try:
            for number, rows in enumerate(pieces(len(pictures), len(self._slots[0].canvas))):
                if len(pending) == len(self._slots):
                    parts.append(pending.popleft().wait())
                slot = self._slots[number % len(self._slots)]
                slot.start(pictures[rows])
                pending.append(slot)
            while pending:
                parts.append(pending.popleft().wait())
        finally:
            for left_over in pending:  # after an error: a request must not be started again while it works
                left_over.wait()
        return joined(parts)

    def close(self) -> None:
        """Give back the compiled network and its threads."""
        self._slots = ()

    def _read(self, core: Any) -> Any:  # noqa: ANN401 - OpenVINO ships no types
        """Read the graph; make a kept one anew if OpenVINO cannot read it: another release may have written it."""
        path = self._int8_path() if self.precision == "int8" else openvino_of(self.model)
        if self.model.module is None or self.precision == "int8":
            with self._damage_named():
                return core.read_model(path)
        try:
            return core.read_model(path)
        except RuntimeError as error:
            _log.warning("OpenVINO cannot read %s: %s", path, _last_line(error))
            with self._damage_named():
                return core.read_model(openvino_of(self.model, again=True))

    def _int8_path(self) -> Path:
        """Find the quantised graph.

        Raises:
            WeightsError: It was not made yet, or is damaged.
        """
        path = graph_path(self.model, ".xml", "int8")
        if not is_intact(path):
            state = "damaged" if path.exists() else "not made yet"
            size = f"{self.model.input.height}x{self.model.input.width}"
            msg = (
                f"the int8 graph of '{self.model.weights}' is {state} ({path}). Make it, with some hundred pictures "
                f"like those it will see: kinestream export '{self.model.weights}' --format openvino --precision int8 "
                f"--image-size {size} --calibrate FOLDER"
            )
            raise WeightsError(msg)
        return path

    def _settings(self) -> dict[str, Any]:
        """Use as many streams as there are cores and pictures, and leave threads free to move.

        Pinned to its core, a stream would wait there for decoding and drawing while another core is free.
        """
        settings = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "PERFORMANCE_HINT_NUM_REQUESTS": self.max_batch,
            "ENABLE_CPU_PINNING": False,
        }
        if self.precision == "int8":  # what the graph left in floating point is computed as is fastest
            return settings
        return settings | {"INFERENCE_PRECISION_HINT": self.precision}

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turn OpenVINO's error about a file into ours."""
        try:
            yield
        except RuntimeError as error:
            msg = f"OpenVINO cannot run '{self.model.weights}': {_last_line(error)}. Fetch or export it again"
            raise WeightsError(msg) from error


def with_input_of_bytes(graph: Any, wanted: InputFormat) -> Any:  # noqa: ANN401 - OpenVINO ships no types
    """Put the conversion from (n, h, w, 3) uint8 BGR to (n, 3, h, w) in the network's format before it."""
    steps = PrePostProcessor(graph)
    picture = steps.input()
    picture.tensor().set_element_type(openvino.Type.u8)
    picture.tensor().set_layout(openvino.Layout("NHWC")).set_color_format(ColorFormat.BGR)
    picture.model().set_layout(openvino.Layout("NCHW"))
    process = picture.preprocess()
    if wanted.channels == "rgb":
        process.convert_color(ColorFormat.RGB)
    process.convert_element_type(openvino.Type.f32).mean(list(wanted.mean)).scale(list(wanted.std))
    return steps.build()


def _last_line(error: RuntimeError) -> str:
    """Give the end of what OpenVINO says, where the reason stands."""
    return str(error).strip().splitlines()[-1].strip()
