"""A pose network whose answer is known: joint j is where the picture shows its colour. And pictures for it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import fakes
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pipeline.types import Frame, HostPixels
from stages.engines.base import InputFormat

COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0))
"""BGR: joint 0 is red, joint 1 green, joint 2 blue; in RGB, joint j lives in channel j."""

SIZE = (64, 48)
"""Height and width of the network's picture."""

FORM = InputFormat(SIZE[1], SIZE[0], mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))

Output = Literal["heatmap", "simcc"]


def kernel(joints: int, *, grey: bool) -> NDArray[np.float32]:
    """Make the weights (joints, 3, 7, 7): a bell on one channel, less the others; or the same on all of them."""
    bell = np.exp(-((np.arange(7) - 3.0) ** 2) / 4)
    bell /= bell.sum()
    mix = np.full((joints, 3), 1 / 3) if grey else np.eye(joints, 3) * 1.5 - 0.5
    return np.asarray(np.einsum("jc,y,x->jcyx", mix, bell, bell), np.float32)


class SpotNetwork(torch.nn.Module):
    """Gives heat maps a quarter of the picture; cell i looks at pixel 4 i, as the official networks do."""

    def __init__(self, joints: int = 3, *, grey: bool = False) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, joints, 7, stride=4, padding=3, bias=False)
        self.conv.weight.data = torch.from_numpy(kernel(joints, grey=grey))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(pictures))


def write_onnx(
    path: Path,
    output: Output = "heatmap",
    *,
    joints: int = 3,
    grey: bool = False,
    sides: Sequence[Any] = ("n", 3, *SIZE),
) -> Path:
    """Write the same network; with `simcc`, two rows of classes, two a pixel."""
    weights = numpy_helper.from_array(kernel(joints, grey=grey), "weights")
    step = 4 if output == "heatmap" else 1
    nodes = [
        helper.make_node("Conv", ["picture", "weights"], ["raw"], strides=[step, step], pads=[3, 3, 3, 3]),
        helper.make_node("Relu", ["raw"], ["maps"]),
    ]
    constants, names = [weights], ["maps"]
    if output == "simcc":
        twice = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "twice")
        axes = [numpy_helper.from_array(np.array([axis], np.int64), f"axis{axis}") for axis in (2, 3)]
        constants, names = [weights, twice, *axes], ["simcc_x", "simcc_y"]
        nodes += [
            helper.make_node("Resize", ["maps", "", "twice"], ["large"], mode="linear"),
            helper.make_node("ReduceMax", ["large", "axis2"], ["simcc_x"], keepdims=0),
            helper.make_node("ReduceMax", ["large", "axis3"], ["simcc_y"], keepdims=0),
        ]
    rank = 4 if output == "heatmap" else 3
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank) for name in names]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, list(sides))
    graph = helper.make_graph(nodes, "spots", [picture], ports, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def paint(
    width: int, height: int, spots: Sequence[tuple[float, float]], colours: Sequence[Sequence[int]] = COLOURS
) -> NDArray[np.uint8]:
    """Make a black picture with soft spots at (x, y), each of its colour, BGR."""
    y, x = np.mgrid[:height, :width]
    picture = np.zeros((height, width, 3))
    for (cx, cy), colour in zip(spots, colours, strict=False):
        bell = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2))
        picture += bell[..., None] * np.asarray(colour)
    return np.clip(picture, 0, 255).round().astype(np.uint8)


def frame_of(picture: NDArray[np.uint8], index: int = 0, source_id: str = "cam") -> Frame:
    return replace(fakes.make_frame(index, source_id), pixels=HostPixels(picture))
