"""How a network runs, whatever runs it: pictures in, arrays out."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.plugin import Plugin

if TYPE_CHECKING:
    import torch

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Engine", "EngineName", "InputFormat", "Model", "Precision"]

EngineName = Literal["torch", "openvino", "onnxruntime", "tensorrt"]
Precision = Literal["f32", "bf16", "f16", "int8"]

IMAGENET_MEAN: Final = (123.675, 116.28, 103.53)
"""Mean of ImageNet's red, green and blue, 0..255: (0.485, 0.456, 0.406) * 255."""
IMAGENET_STD: Final = (58.395, 57.12, 57.375)
"""Standard deviation of ImageNet's red, green and blue, 0..255: (0.229, 0.224, 0.225) * 255."""


@dataclass(frozen=True, slots=True)
class InputFormat:
    """What a network wants to see: float32, shape (n, 3, height, width), (value - mean) / std in its channel order."""

    width: int
    height: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Of each channel, 0..255, in the network's order."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Of each channel, 0..255, in the network's order."""
    channels: Literal["rgb", "bgr"] = "rgb"


@dataclass(frozen=True)
class Model:
    """A network in a file, before an engine has loaded it."""

    weights: Path
    """A PyTorch checkpoint (then `module` is given), an ONNX file or the .xml of an OpenVINO graph."""
    input: InputFormat
    module: Callable[[], "torch.nn.Module"] | None = None
    """Builds the PyTorch network with its weights, float32, in eval mode, on the CPU."""

    @cached_property
    def sha256(self) -> str:
        """Hash of the weights file: what made from it is kept under this name."""
        with self.weights.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()


class Engine(Plugin, ABC):
    """A network that is ready to run once it is open. What it says of a picture does not depend on the others.

    Args:
        model: What to run.
        precision: Of the arithmetic; an engine that cannot do it says so in `open`.
        device: `cpu` or `cuda:0`.
        max_batch: How many pictures `run` gets at once, at most.
    """

    name: ClassVar[EngineName]

    def __init__(self, model: Model, precision: Precision, device: str, max_batch: int) -> None:
        """Keep what is to be run, and how."""
        self.model = model
        self.precision = precision
        self.device = device
        self.max_batch = max_batch

    @abstractmethod
    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the network.

        Args:
            pictures: Shape (n, height, width, 3), uint8, BGR, of the size of `model.input`; 0 <= n <= max_batch.
                Conversion to the network's input format is the engine's work.

        Returns:
            The network's outputs in its order, float32, each with n rows. One that is as long as what was found in its
            pictures is filled up with zeros to the longest.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """

    def check(self, pictures: NDArray[np.uint8]) -> None:
        """See that pictures are what `run` takes.

        Raises:
            ValueError: They have another shape or type.
        """
        expected = (self.model.input.height, self.model.input.width, 3)
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != expected:
            msg = f"pictures are {pictures.dtype} {pictures.shape}, expected uint8 (n, {', '.join(map(str, expected))})"
            raise ValueError(msg)

    def nothing(self) -> list[NDArray[np.float32]]:
        """Give what the network says of no picture at all: its outputs with 0 rows."""
        black = np.zeros((1, self.model.input.height, self.model.input.width, 3), np.uint8)
        return [output[:0] for output in self.run(black)]

    def __str__(self) -> str:
        """Say what runs where: `openvino bf16 on cpu`."""
        return f"{self.name} {self.precision} on {self.device}"
