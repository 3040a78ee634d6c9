"""CUDA graphs: the many small kernels of a network, recorded once for each size of batch, started as one."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from stages.engines.batches import bucket

__all__ = ["Graphs"]

_WARM_UPS = 3
"""Runs before recording: libraries choose their kernels and take their workspaces (PyTorch notes on CUDA graphs)."""


class Recorded(NamedTuple):
    """A network for one size of batch: what it reads, what it writes, and what happens between."""

    graph: "torch.cuda.CUDAGraph"
    pictures: Tensor
    outputs: list[Tensor]


class Graphs:
    """Calls a function on tensors through CUDA graphs, one for each power of two, recorded when it is first needed.

    All share one pool of memory. That is safe because no two run at once, and each answer is copied out before the
    next one starts; so calls must come one after the other, on one stream.

    Args:
        forward: From float32 pictures (n, 3, h, w) to tensors of n rows, all on the device. Rows do not depend on each
            other. The same work for every n, without a wait for the device.
        size: Height and width.
        device: A CUDA device.
        largest: Batches are never larger.
    """

    def __init__(
        self, forward: Callable[[Tensor], list[Tensor]], size: tuple[int, int], device: torch.device, largest: int
    ) -> None:
        """Record nothing yet."""
        self._forward = forward
        self._size = size
        self._device = device
        self._largest = largest
        self._recorded: dict[int, Recorded] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        """Run a batch; the result is the caller's to keep."""
        count = len(pictures)
        with torch.cuda.device(self._device):
            size = bucket(count, self._largest)
            if size not in self._recorded:
                self._recorded[size] = self._record(size)
            recorded = self._recorded[size]
            recorded.pictures[:count].copy_(pictures)  # rows below keep old pictures: what comes of them is cut off
            recorded.graph.replay()
            return [output[:count].clone() for output in recorded.outputs]

    def _record(self, size: int) -> Recorded:
        """Record one size; other threads may use the GPU meanwhile."""
        shape = (size, 3, *self._size)
        pictures = torch.zeros(shape, device=self._device).contiguous(memory_format=torch.channels_last)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # PyTorch left it out
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self._forward(pictures)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = self._forward(pictures)
        return Recorded(graph, pictures, outputs)
