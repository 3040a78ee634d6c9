"""A network that learns: what happens in a step, and all that has to be kept of it."""

import copy
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipeline.errors import OutOfMemory, StageError
from training.accuracy import found_joints
from training.config import TrainConfig
from training.loading import Batch, network_input
from training.losses import heatmap_loss
from training.optimising import make_optimiser
from training.peers import Peers
from training.targets import draw

__all__ = ["Diverged", "Learner", "Step", "reproducible"]

_TYPES: Final = {"bf16": torch.bfloat16, "f16": torch.float16}


class Diverged(StageError):
    """The loss, or its gradient, is no finite number."""


class Step(NamedTuple):
    """What came of one step; means over all processes."""

    loss: float
    accuracy: float
    """Share of joints that were found; see `accuracy`."""
    gradient: float
    """Norm of all gradients together, before it was cut down."""
    is_asked_to_stop: bool
    """Whether any process was."""


class Learner:
    """A network, its optimiser, and what goes with them, on one device.

    Args:
        network: With the weights it begins with.
        config: How it learns.
        peers: Who else learns.
    """

    def __init__(self, network: nn.Module, config: TrainConfig, peers: Peers) -> None:
        """Bring the network to the device."""
        self._config, self._peers = config, peers
        self._layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.network: nn.Module = network.to(peers.device, memory_format=self._layout)  # type: ignore[call-overload]
        self._average: AveragedModel | None = None
        if config.ema is not None:
            self._average = AveragedModel(self.network, multi_avg_fn=self._mix, use_buffers=True)
        self._optimiser = make_optimiser(self.network, config.optimiser)
        self._scaler = torch.amp.GradScaler(peers.device.type, enabled=config.precision == "f16")
        self._shared = DistributedDataParallel(self.network) if peers.world > 1 else None
        self._forward: Any = self._shared or self.network
        if config.compile:
            self._forward = torch.compile(self._forward)

    @property
    def result(self) -> nn.Module:
        """The network that is measured and kept: the running mean, where there is one."""
        if self._average is None:
            return self.network
        average: nn.Module = self._average.module
        return average

    def step(self, batches: Sequence[Batch], rate: float, *, stop: bool = False) -> Step:
        """Learn from some batches, as if they were one.

        Args:
            batches: At least one.
            rate: The learning rate.
            stop: This process was asked to stop.

        Raises:
            Diverged: The loss or its gradient is no finite number; the weights are those before the step.
            OutOfMemory: A batch does not fit onto the device.
        """
        self.network.train()
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad(set_to_none=True)
        sums = self._gather(batches)
        norm = self._gradient()
        told = torch.tensor([float(stop)], device=norm.device)
        loss, accuracy, gradient, asked = self._peers.mean(torch.cat([sums, norm[None], told]))
        self._check(loss, gradient)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.network)
        return Step(loss, accuracy, gradient, asked > 0)

    def predict(self, batch: Batch) -> Tensor:
        """Give the heat maps of a batch; nothing is learned."""
        self.result.eval()
        with torch.inference_mode(), self._cast():
            heatmaps: Tensor = self.result(self._input(batch))
        return heatmaps.float()

    def state(self) -> dict[str, Any]:
        """Give all that is needed to go on as if nothing had happened; the tensors are those in use."""
        return {
            "state_dict": self.result.state_dict(),
            "learning": None if self._average is None else self.network.state_dict(),
            "averaged": None if self._average is None else self._average.n_averaged,
            "optimizer": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.result.load_state_dict(saved["state_dict"])
        if self._average is not None:
            self.network.load_state_dict(saved["learning"] or saved["state_dict"])
            if saved["averaged"] is not None:
                self._average.n_averaged.copy_(saved["averaged"])
        # A copy: what was read is a file in memory, and optimisers write into what they are given.
        self._optimiser.load_state_dict(copy.deepcopy(saved["optimizer"]))
        self._scaler.load_state_dict(saved["scaler"])

    def _gather(self, batches: Sequence[Batch]) -> Tensor:
        """Gather the gradients of all batches; give their mean loss and accuracy, shape (2,)."""
        sums = torch.zeros(2, device=self._peers.device)
        try:
            for number, batch in enumerate(batches):
                with self._alone(number + 1 < len(batches)):
                    sums += self._look(batch, len(batches))
        except torch.OutOfMemoryError as error:
            msg = (
                f"{len(batches[0].rows)} people do not fit into the memory of {self._peers.device}: lower"
                " loading.batch, and raise optimiser.accumulate as much; precision=bf16 needs less, too"
            )
            raise OutOfMemory(msg) from error
        return sums

    def _look(self, batch: Batch, parts: int) -> Tensor:
        """Let the network see a batch, and add its share to the gradients: loss and accuracy, shape (2,)."""
        device, config = self._peers.device, self._config
        cells, weights = batch.cells.to(device, non_blocking=True), batch.weights.to(device, non_blocking=True)
        with self._cast():
            predicted = self._forward(self._input(batch))
        loss = heatmap_loss(predicted, draw(cells, config.target), weights, config.loss) / parts
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            return torch.stack([loss.detach(), found_joints(predicted, cells, weights) / parts])

    def _input(self, batch: Batch) -> Tensor:
        pictures = network_input(batch.pictures, self._peers.device, self._config.network.channels)
        return pictures.contiguous(memory_format=self._layout)

    def _gradient(self) -> Tensor:
        """Take the norm of the gradients, and cut them down if that is asked for."""
        self._scaler.unscale_(self._optimiser)
        most = self._config.optimiser.clip or math.inf
        return nn.utils.clip_grad_norm_(self.network.parameters(), most)

    def _check(self, loss: float, gradient: float) -> None:
        """See that a step would not spoil the weights; in f16 gradients may overflow, and the scaler skips the step."""
        if not math.isfinite(loss) or not (math.isfinite(gradient) or self._scaler.is_enabled()):
            msg = f"the loss is {loss:g} and its gradient {gradient:g}"
            raise Diverged(msg)

    def _cast(self) -> AbstractContextManager[object]:
        kind = _TYPES.get(self._config.precision)
        return nullcontext() if kind is None else torch.autocast(self._peers.device.type, kind)

    def _alone(self, is_more_to_come: bool) -> AbstractContextManager[object]:  # noqa: FBT001
        """Keep gradients to this process until the last batch of a step."""
        return self._shared.no_sync() if self._shared is not None and is_more_to_come else nullcontext()

    def _mix(self, means: Sequence[Tensor], values: Sequence[Tensor], steps: Tensor | int) -> None:
        """Move the means a little; at first more, so that the random beginning is forgotten."""
        assert self._config.ema is not None
        keep = min(self._config.ema, (1 + int(steps)) / (10 + int(steps)))
        if means[0].is_floating_point():  # all of them are of one type
            get_ema_multi_avg_fn(keep)(means, values, steps)  # type: ignore[no-untyped-call]
        else:
            for mean, value in zip(means, values, strict=True):
                mean.copy_(value)


@contextmanager
def reproducible(device: torch.device, *, wanted: bool) -> Iterator[None]:
    """Have PyTorch choose ways that give the same numbers again; or the fastest ones, by trying.

    On a CPU it always does the former, as long as it computes on as many cores.
    """
    if device.type != "cuda":
        yield
        return
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it is first used
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(wanted, warn_only=True)
    torch.backends.cudnn.benchmark = not wanted
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
