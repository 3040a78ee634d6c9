"""PyTorch: on a GPU with everything that makes it fast there, on a CPU as it is."""

import copy
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.errors import ConfigError
from stages.engines.base import Engine, EngineName, Model, Precision
from stages.engines.conversion import built, tensors
from stages.engines.folding import folded
from stages.engines.graphs import Graphs
from stages.engines.memory import out_of_memory_named

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TorchEngine"]

_TYPES: Final[dict[Precision, torch.dtype]] = {
    "f32": torch.float32,
    "bf16": torch.bfloat16,
    "f16": torch.float16,
}
_WITH_WEIGHTS: Final = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""What computes in half precision; the rest of a network stays in float32, and autocast joins the two."""


class TorchEngine(Engine):
    """Runs PyTorch networks.

    Batch normalisation is folded into the convolutions, tensors lie channels last, weights are kept in the precision
    of the arithmetic. On a GPU, batches are filled up to a power of two and run as CUDA graphs, recorded when a size is
    first needed; `KINESTREAM_CUDA_GRAPHS=0` in the environment, or `graphs=False`, runs them kernel by kernel. A
    library may sum in another order for another size of batch: f32 results then agree to about 1e-6, not bit for bit.

    Calls come one after the other; from several threads is fine.

    Args:
        model: What to run.
        precision: f32, bf16, or on a GPU f16.
        device: `cpu` or `cuda:0`.
        max_batch: How many pictures `run` gets at once, at most.
        graphs: Whether to use CUDA graphs; None: what the environment says, else yes.
    """

    name: ClassVar[EngineName] = "torch"

    def __init__(
        self, model: Model, precision: Precision, device: str, max_batch: int, *, graphs: bool | None = None
    ) -> None:
        """Keep what is to be run, and how."""
        super().__init__(model, precision, device, max_batch)
        self._device = torch.device(device)
        wanted = os.environ.get("KINESTREAM_CUDA_GRAPHS", "1") != "0" if graphs is None else graphs
        self._uses_graphs = wanted and self._device.type == "cuda"
        self._forward: Callable[[Tensor], list[Tensor]] | None = None

    def open(self) -> None:
        """Build the network on its device.

        Raises:
            WeightsError: The checkpoint is damaged.
            ConfigError: It is no PyTorch network, or the precision is not possible here.
            OutOfMemory: It does not fit onto the device.
        """
        if self.precision not in _TYPES or (self.precision == "f16" and self._device.type == "cpu"):
            msg = f"PyTorch on {self.device} computes in f32 or bf16 (on a GPU, f16 too), not in {self.precision}"
            raise ConfigError(msg)
        if self._device.type == "cpu":
            # Ultralytics sets OMP_NUM_THREADS=1 when it is imported, and leaves one core out afterwards.
            torch.set_num_threads(len(os.sched_getaffinity(0)))
        with torch.inference_mode(), out_of_memory_named(0, self.device):
            forward = Forward(self.model, self.precision, self._device)
            size = self.model.input.height, self.model.input.width
            self._forward = Graphs(forward, size, self._device, self.max_batch) if self._uses_graphs else forward

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the network; pictures go to the device as bytes."""
        self.check(pictures)
        if not len(pictures):
            return self.nothing()
        plain = np.require(pictures, requirements=("C", "W"))  # PyTorch knows no read-only and no mirrored tensors
        with torch.inference_mode(), out_of_memory_named(len(pictures), self.device):
            # Height, width, colour is how a channels-last tensor lies in memory: nothing moves here but the colours.
            bytes_bgr = torch.from_numpy(plain).to(self._device).permute(0, 3, 1, 2)
            outputs = self.run_on_device(bytes_bgr.flip(1).float())
            return [output.cpu().numpy() for output in outputs]

    def run_on_device(self, pictures: Tensor) -> list[Tensor]:
        """Run the network on pictures that lie on its device already.

        Args:
            pictures: Shape (n, 3, height, width), float32, RGB, 0..255; 0 <= n <= max_batch. Best channels last.

        Returns:
            The outputs, float32, n rows each, on the device. On a GPU they may not be computed yet: the work is queued
            on the current stream.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """
        if self._forward is None:
            msg = "the engine is not open: call open() first"
            raise RuntimeError(msg)
        if not len(pictures):
            one = torch.zeros((1, *pictures.shape[1:]), device=self._device)
            return [output[:0] for output in self.run_on_device(one)]
        with torch.inference_mode(), out_of_memory_named(len(pictures), self.device):
            return self._forward(pictures)

    def close(self) -> None:
        """Give back the network and its memory."""
        self._forward = None


class Forward:
    """A network with its normalisation, from float32 RGB pictures to float32 outputs, all on one device."""

    def __init__(self, model: Model, precision: Precision, device: torch.device) -> None:
        """Build the network."""
        self._precision: Precision = precision
        self._type = device.type
        self._is_bgr = model.input.channels == "bgr"
        self._module = _prepared(built(model), _TYPES[precision], device)
        self._mean, self._std = (
            torch.tensor(values, device=device).reshape(1, 3, 1, 1) for values in (model.input.mean, model.input.std)
        )

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Run pictures (n, 3, h, w), 0..255."""
        ordered = pictures.flip(1) if self._is_bgr else pictures
        normalised = ((ordered - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        with self._arithmetic():
            outputs = tensors(self._module(normalised))
        return [output.float().contiguous() for output in outputs]

    def _arithmetic(self) -> ExitStack:
        """Compute in the precision that was asked for: without it, convolutions in f32 round to TF32 on a GPU."""
        stack = ExitStack()
        if self._precision != "f32":
            stack.enter_context(torch.autocast(self._type, _TYPES[self._precision], cache_enabled=False))
        elif self._type == "cuda":
            stack.enter_context(torch.backends.cudnn.flags(enabled=True, allow_tf32=False))
        return stack


def _prepared(module: nn.Module, kind: torch.dtype, device: torch.device) -> nn.Module:
    """Make a network ready to run: folded, in its precision, on its device. A copy, as the caller may have kept it."""
    ready = folded(copy.deepcopy(module)).requires_grad_(requires_grad=False)
    ready.to(device).to(memory_format=torch.channels_last)
    for part in ready.modules():
        if isinstance(part, _WITH_WEIGHTS):
            part.to(kind)
    return ready
