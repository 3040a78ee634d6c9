"""OpenVINO exports, run by OpenVINO itself.

Measured with an int8 YOLOv8n-pose on two cores against `YOLO.predict`, which gives the network one picture at a time:
several independent streams do the same work with less waiting between their threads, the conversion from 8-bit BGR to
the network's input is part of the graph, and scaling writes straight into the network's input.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino.preprocess import ColorFormat, PrePostProcessor

from pipeline.errors import ConfigError, WeightsError
from pipeline.types import Frame, Instances
from stages.detections.letterbox import GREY, Letterbox
from stages.detections.rows import candidates, finished, suppress, table
from stages.yolo.options import ModelOptions
from stages.yolo.weights import Card, Task, check_fit, is_finished, skeleton_of

__all__ = ["OpenVinoNetwork"]

ANSWER_SECONDS: Final = 60.0
"""A network that has not answered by then never will: the largest take some seconds on one slow core."""

DYNAMIC_SIZE: Final = 640
"""Longer side of the picture where neither the export nor the options fix it: what ultralytics takes too."""


class Slot:
    """One request of a compiled network, and the picture it reads."""

    def __init__(self, request: Any) -> None:  # noqa: ANN401 - OpenVINO ships no types
        """Take over a request."""
        self.request = request
        self.canvas: NDArray[np.uint8] = request.get_input_tensor().data[0]
        self.letterbox: Letterbox | None = None

    def start(self, image: NDArray[np.uint8], letterbox: Letterbox) -> None:
        """Draw a picture, shape (H, W, 3), uint8, BGR, into the input, and let the network work."""
        if self.letterbox != letterbox:
            self.canvas[:] = GREY
            self.letterbox = letterbox
        letterbox.draw(image, self.canvas)
        self.request.start_async()

    def wait(self) -> NDArray[np.floating]:
        """Wait for the answer: a view of the network's first output that holds until the next start.

        Raises:
            TimeoutError: It does not come.
        """
        if not self.request.wait_for(int(ANSWER_SECONDS * 1000)):
            msg = f"OpenVINO gave no answer within {ANSWER_SECONDS:g} s: restart the run; if it stays, use batch: 1"
            raise TimeoutError(msg)
        output: NDArray[np.floating] = self.request.get_output_tensor(0).data[0]
        return output


@dataclass(frozen=True, slots=True)
class Pending:
    """A frame whose answer is awaited."""

    index: int
    slot: Slot
    letterbox: Letterbox


class OpenVinoNetwork:
    """A detection or pose network of an ultralytics export, on the CPU.

    Args:
        graph: The .xml file; the .bin lies beside it.
        card: Its metadata.yaml.
        task: What the network has to do.
        options: Of the plug-in.

    Raises:
        WeightsError: The export is damaged or does something else.
        ConfigError: The options ask for what it cannot do.
    """

    def __init__(self, graph: Path, card: dict[str, Any], task: Task, options: ModelOptions) -> None:
        """Read and compile the network."""
        joint_shape = tuple(card.get("kpt_shape") or ())
        check_fit(Card(card["task"], card["names"], joint_shape), task, options.classes, graph.parent)
        check_device(graph, options)
        self._graph = graph
        self._options = options
        self._skeleton = skeleton_of(task)
        self._class_count = len(card["names"])
        self._extra = math.prod(joint_shape) if joint_shape else 0
        self._finished = is_finished(card)
        self._stride = int(card["stride"])
        with self._damage_named():
            self._model = openvino.Core().read_model(graph)
        self._fixed = self._fixed_canvas()
        # A dynamic export is compiled for each size of picture: kernels for a fixed shape are faster.
        self._slots = lru_cache(maxsize=4)(self._compile)
        self._slots(self._place(16, 9).canvas)

    def find(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people in frames: while some are in the network, the next ones are converted and scaled."""
        found: dict[int, Instances] = {}
        pending: deque[Pending] = deque()
        try:
            for index, frame in enumerate(frames):
                letterbox = self._place(frame.width, frame.height)
                slots = self._slots(letterbox.canvas)
                image = frame.image
                while len(pending) >= len(slots):
                    found |= self._collect(pending.popleft())
                slot = next(slot for slot in slots if all(other.slot is not slot for other in pending))
                slot.start(image, letterbox)
                pending.append(Pending(index, slot, letterbox))
            while pending:
                found |= self._collect(pending.popleft())
        finally:
            for left_over in pending:  # after an error: a request must not be started again while it works
                left_over.slot.wait()
        return [found[index] for index in range(len(frames))]

    def __str__(self) -> str:
        """Say what runs it where."""
        return "openvino on cpu"

    def close(self) -> None:
        """Give back the compiled networks and their threads."""
        self._slots.cache_clear()

    def _collect(self, pending: Pending) -> dict[int, Instances]:
        """Wait for a frame's answer and make its table."""
        output, options = pending.slot.wait(), self._options
        if self._finished:
            rows = finished(output, options.classes, options.confidence)[: options.max_people]
        else:
            crowd = candidates(output, self._class_count, options.classes, options.confidence)
            rows = suppress(crowd, options.iou, options.max_people)
        return {pending.index: table(rows, self._skeleton, pending.letterbox)}

    def _place(self, width: int, height: int) -> Letterbox:
        """Lay a frame into the network's picture."""
        if self._fixed:
            return Letterbox.fit((width, height), self._fixed)
        return Letterbox.tight((width, height), self._options.image_size or DYNAMIC_SIZE, self._stride)

    def _fixed_canvas(self) -> tuple[int, int] | None:
        """Give the width and height that the export is fixed to; None if it takes any."""
        shape = self._model.input(0).partial_shape
        if shape.is_dynamic:
            return None
        height, width = shape[2].get_length(), shape[3].get_length()
        if self._options.image_size not in {None, max(width, height)}:
            msg = (
                f"'{self._graph.parent}' is fixed to pictures of {width}x{height}, got image_size "
                f"{self._options.image_size}: leave image_size out, or export with dynamic=True"
            )
            raise ConfigError(msg)
        return width, height

    def _compile(self, canvas: tuple[int, int]) -> tuple[Slot, ...]:
        """Compile for pictures of (width, height): one request more than it works on at once, so none waits for us."""
        with self._damage_named():
            if self._fixed is None:
                self._model.reshape([1, 3, canvas[1], canvas[0]])
            compiled = openvino.Core().compile_model(self._with_input_of_bytes(), "CPU", self._settings())
        self._check_output(tuple(compiled.output(0).shape))
        at_once = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        return tuple(Slot(compiled.create_infer_request()) for _ in range(min(at_once + 1, self._options.batch)))

    def _with_input_of_bytes(self) -> Any:  # noqa: ANN401 - OpenVINO ships no types
        """Put the conversion from (1, H, W, 3) uint8 BGR to (1, 3, H, W) RGB in 0..1 before the network."""
        steps = PrePostProcessor(self._model.clone())
        picture = steps.input()
        picture.tensor().set_element_type(openvino.Type.u8)
        picture.tensor().set_layout(openvino.Layout("NHWC")).set_color_format(ColorFormat.BGR)
        picture.model().set_layout(openvino.Layout("NCHW"))
        picture.preprocess().convert_color(ColorFormat.RGB).convert_element_type(openvino.Type.f32).scale(255.0)
        return steps.build()

    def _settings(self) -> dict[str, Any]:
        """Tell OpenVINO to use as many streams as there are cores and frames, and leave threads free to move.

        Pinned to its core, a stream would wait there for decoding and drawing while another core is free.
        """
        return {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "PERFORMANCE_HINT_NUM_REQUESTS": self._options.batch,
            "ENABLE_CPU_PINNING": False,
        }

    def _check_output(self, shape: tuple[int, ...]) -> None:
        """See that the output is one table for one picture, with the values that the card speaks of."""
        values = (6 if self._finished else 4 + self._class_count) + self._extra
        expected = f"(1, boxes, {values})" if self._finished else f"(1, {values}, boxes)"
        if len(shape) != 3 or shape[0] != 1 or shape[2 if self._finished else 1] != values:
            msg = (
                f"'{self._graph}' gives {shape}, its metadata.yaml promises {expected}: the two do not belong together"
            )
            raise WeightsError(msg)

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turn OpenVINO's error about a file into ours."""
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            msg = f"the OpenVINO export '{self._graph.parent}' is damaged: {reason}. Copy or export it again"
            raise WeightsError(msg) from error


def check_device(graph: Path, options: ModelOptions) -> None:
    """Refuse a GPU.

    Raises:
        ConfigError: One was asked for by name.
    """
    if options.device.startswith("cuda"):
        msg = f"'{graph.parent}' is an OpenVINO export: it runs on the CPU, not on '{options.device}'. Give auto or cpu"
        raise ConfigError(msg)
