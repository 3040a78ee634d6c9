"""Detection networks in ONNX files whose answer a test can compute: they find what is bright red.

Each is fed and read as a family of real networks, and finds in every picture

    the box around the pixels whose red is above 185: class 0, score red / 300 (pure red: 0.85)
    the same box one width further right: class 0, half that score
    the same box as the first: class 2, 0.9 of that score

Those that give a box for each cell find the first one three times over. Pictures are turned back to 0..255 with the
mean and deviation that the family is known to want, so the score tells whether they came as they should.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["FAMILIES", "SCORE", "save"]

SCORE = 255 / 300

_PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_UNIT = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
_IMAGENET_BGR = ((103.53, 116.28, 123.675), (57.375, 57.12, 58.395))

Sides = tuple[int, int]


class Graph:
    """An ONNX graph that is being written."""

    def __init__(self, size: Sides, batch: int | None) -> None:
        self.height, self.width = size
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: list[Any] = []
        self.batch = batch or "N"
        self.inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [self.batch, 3, *size])]

    def __call__(self, operator: str, *inputs: Any, called: str | None = None, **attributes: Any) -> str:
        """Add a node; arrays and numbers among its inputs become constants."""
        name = called or f"{operator}{len(self.nodes)}"
        names = [part if isinstance(part, str) else self.constant(part) for part in inputs]
        self.nodes.append(helper.make_node(operator, names, [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        self.constants.append(numpy_helper.from_array(array, f"constant{len(self.constants)}"))
        return str(self.constants[-1].name)

    def output(self, value: str, name: str, *shape: int | None, kind: int = TensorProto.FLOAT) -> None:
        self("Identity", value, called=name)
        self.outputs.append(helper.make_tensor_value_info(name, kind, [self.batch, *shape]))

    def save(self, path: Path) -> Path:
        graph = helper.make_graph(self.nodes, "net", self.inputs, self.outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model)
        onnx.save(model, path)
        return path


Writer = Callable[[Graph], None]


def find_red(graph: Graph, normalisation: tuple[Any, Any], red: int) -> tuple[str, str]:
    """Give the boxes (N, 3, 4) in pixels of the picture, and their scores (N, 3)."""
    mean, std = (np.reshape(np.float32(values), (1, 3, 1, 1)) for values in normalisation)
    picture = graph("Add", graph("Mul", "images", std), mean)
    seen = graph("Gather", picture, np.int64(red), axis=1)
    bright = graph("Cast", graph("Greater", seen, 185.0), to=TensorProto.FLOAT)
    x1, x2 = _ends(graph, graph("ReduceMax", bright, axes=[1], keepdims=0), graph.width)
    y1, y2 = _ends(graph, graph("ReduceMax", bright, axes=[2], keepdims=0), graph.height)
    strongest = graph("ReduceMax", graph("Mul", seen, bright), axes=[1, 2], keepdims=0)
    score = graph("Unsqueeze", graph("Div", strongest, 300.0), [1])
    width = graph("Sub", x2, x1)
    first = graph("Concat", x1, y1, x2, y2, axis=1)
    further = graph("Concat", graph("Add", x1, width), y1, graph("Add", x2, width), y2, axis=1)
    boxes = [graph("Unsqueeze", box, [1]) for box in (first, further, first)]
    return graph("Concat", *boxes, axis=1), graph("Mul", score, [[1, 0.5, 0.9]])


def _ends(graph: Graph, line: str, length: int) -> tuple[str, str]:
    """Say where the ones of a line (N, length) begin and end."""
    steps = np.arange(1.0, length + 1)[None]
    last = graph("ReduceMax", graph("Mul", line, steps), axes=[1], keepdims=1)
    first = graph("ReduceMax", graph("Mul", line, steps[:, ::-1]), axes=[1], keepdims=1)
    return graph("Sub", float(length), first), last


def centred(graph: Graph, boxes: str) -> str:
    """Turn corners (N, 3, 4) into centre and size."""
    low, high = (graph("Slice", boxes, [start], [start + 2], [2]) for start in (0, 2))
    return graph("Concat", graph("Mul", graph("Add", low, high), 0.5), graph("Sub", high, low), axis=2)


def write_dets(graph: Graph, normalisation: tuple[Any, Any] = _IMAGENET_BGR) -> None:
    boxes, scores = find_red(graph, normalisation, red=2)
    found = graph("Concat", boxes, graph("Unsqueeze", scores, [2]), axis=2)
    padding = graph("Mul", graph("Slice", found, [0], [1], [1]), 0.0)
    graph.output(graph("Concat", found, padding, axis=1), "dets", None, 5)
    graph.output(_labels(graph, scores, [0, 0, 2, -1]), "labels", None, kind=TensorProto.INT64)


def _labels(graph: Graph, scores: str, labels: list[int]) -> str:
    """Give the same labels for each picture."""
    nothing = graph("Mul", graph("Slice", scores, [0], [1], [1]), 0.0)
    return graph("Cast", graph("Add", nothing, [[float(label) for label in labels]]), to=TensorProto.INT64)


def write_scored(graph: Graph) -> None:
    graph.inputs.append(helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, [graph.batch, 2]))
    boxes, scores = find_red(graph, _UNIT, red=0)
    parts = graph("Div", boxes, [float(graph.width), float(graph.height)] * 2)
    sizes = graph("Cast", "orig_target_sizes", to=TensorProto.FLOAT)
    spread = graph("Unsqueeze", graph("Tile", sizes, [1, 2]), [1])
    graph.output(_labels(graph, scores, [0, 0, 2]), "labels", 3, kind=TensorProto.INT64)
    graph.output(graph("Mul", parts, spread), "boxes", 3, 4)
    graph.output(scores, "scores", 3)


def write_detr(graph: Graph) -> None:
    _write_queries(graph, _UNIT, "pred_boxes", "logits", np.eye(80)[[0, 0, 2]])


def write_rf_detr(graph: Graph) -> None:
    _write_queries(graph, _IMAGENET, "dets", "labels", np.eye(91)[[1, 1, 2]])


def write_four_classes(graph: Graph) -> None:
    """As RF-DETR, with logits of the shape of boxes."""
    _write_queries(graph, _IMAGENET, "dets", "labels", np.eye(4)[[0, 0, 2]])


def _write_queries(graph: Graph, normalisation: tuple[Any, Any], boxes: str, logits: str, classes: Any) -> None:
    found, scores = find_red(graph, normalisation, red=0)
    parts = graph("Div", centred(graph, found), [float(graph.width), float(graph.height)] * 2)
    chance = graph("Max", graph("Mul", graph("Unsqueeze", scores, [2]), classes[None]), 1e-6)
    odds = graph("Div", chance, graph("Sub", 1.0, chance))
    graph.output(parts, boxes, 3, 4)
    graph.output(graph("Log", odds), logits, 3, classes.shape[1])


def write_anchor_free(graph: Graph) -> None:
    boxes, scores = find_red(graph, _UNIT, red=0)
    cells, places = _cells(graph), [3, 7, 11, 20, 30]
    said = _scatter(graph, centred(graph, boxes), cells, places)
    values = _scatter(graph, _classes(graph, scores), cells, places)
    joined = graph("Concat", said, values, axis=2)
    graph.output(graph("Transpose", joined, perm=[0, 2, 1]), "output0", 7, len(cells))


def write_yolox(graph: Graph, *, decoded: bool = False) -> None:
    boxes, scores = find_red(graph, _PLAIN, red=2)
    cells, places = _cells(graph), [3, 7, 11, 20, len(_cells(graph)) - 2]
    if decoded:
        rest = np.column_stack([(cells[:, :2] + 0.5) * cells[:, 2:], cells[:, 2:], cells[:, 2:]])
        said = _scatter(graph, centred(graph, boxes), cells, places, rest)
    else:
        corner, side = cells[None, :, :2], cells[None, :, 2:]
        spread = _scatter(graph, centred(graph, boxes), cells, places, np.tile(side[0], 4))
        low, high = (graph("Slice", spread, [start], [start + 2], [2]) for start in (0, 2))
        offset = graph("Sub", graph("Div", low, side), corner)
        kept = graph("Mul", offset, _one_hot(cells, places)[None])
        said = graph("Concat", kept, graph("Log", graph("Max", graph("Div", high, side), 1e-3)), axis=2)
    values = _scatter(graph, _classes(graph, scores), cells, places)
    anything = graph("Add", graph("Mul", graph("Slice", values, [0], [1], [2]), 0.0), 0.5)
    graph.output(graph("Concat", said, anything, graph("Mul", values, 2.0), axis=2), "output", len(cells), 8)


def _cells(graph: Graph) -> Any:
    """List column, row and side of each cell, shape (cells, 3)."""
    return np.array(
        [
            (column, row, stride)
            for stride in (8, 16, 32)
            for row in range(graph.height // stride)
            for column in range(graph.width // stride)
        ],
        np.float32,
    )


def _one_hot(cells: Any, places: list[int]) -> Any:
    chosen = np.zeros((len(cells), 1), np.float32)
    chosen[places] = 1
    return chosen


def _classes(graph: Graph, scores: str) -> str:
    """Spread scores (N, 3) over three classes: (N, 3, 3)."""
    return graph("Mul", graph("Unsqueeze", scores, [2]), np.eye(3)[[0, 0, 2]][None])


def _scatter(graph: Graph, rows: str, cells: Any, places: list[int], rest: Any = 0.0) -> str:
    """Put rows (N, 3, m) into five of the cells: the first row three times."""
    spread = np.zeros((1, len(cells), 3), np.float32)
    spread[0, places, [0, 0, 0, 1, 2]] = 1
    elsewhere = np.float32(rest) * (1 - _one_hot(cells, places))
    return graph("Add", graph("MatMul", spread, rows), elsewhere[None])


def write_decoded_yolox(graph: Graph) -> None:
    write_yolox(graph, decoded=True)


FAMILIES: dict[str, Writer] = {
    "yolox": write_yolox,
    "decoded yolox": write_decoded_yolox,
    "dets": write_dets,
    "detr": write_detr,
    "rf-detr": write_rf_detr,
    "four classes": write_four_classes,
    "scored": write_scored,
    "anchor-free": write_anchor_free,
}


def save(family: str, path: Path, size: Sides = (64, 64), batch: int | None = None) -> Path:
    """Write a network of a family for pictures of (height, width), for any number of them at once or a fixed one."""
    graph = Graph(size, batch)
    FAMILIES[family](graph)
    return graph.save(path)
