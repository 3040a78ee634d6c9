"""Appearance networks whose answer a test can compute: the mean colour of each quarter of the picture."""

from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

__all__ = ["save"]


def save(
    path: Path, *, batch: int | None = None, size: tuple[int | None, int | None] = (256, 128), flat: bool = True
) -> Path:
    """Write one that gives (batch, 12): of the mean red, green and blue, normalised, the four quarters row by row.

    Args:
        path: Where it goes.
        batch: How many pictures it takes at once; None: any number.
        size: Height and width of the pictures; None: open.
        flat: False: it gives maps, (batch, 3, 2, 2), as no appearance network does.
    """
    height, width = size
    nodes = [helper.make_node("AveragePool", ["pictures"], ["maps"], kernel_shape=[128, 64], strides=[128, 64])]
    if flat:
        nodes.append(helper.make_node("Flatten", ["maps"], ["vectors"]))
    sides: list[Any] = [batch or "n", 3, height or "h", width or "w"]
    outputs = [helper.make_tensor_value_info("vectors" if flat else "maps", TensorProto.FLOAT, None)]
    taken = [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, sides)]
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(helper.make_graph(nodes, "quarters", taken, outputs), opset_imports=opsets, ir_version=8)
    onnx.save(model, path)
    return path
