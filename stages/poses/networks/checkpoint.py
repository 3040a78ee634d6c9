"""Files of weights: which network they are of, and that network with them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from stages.poses.networks.card import Card, title
from stages.poses.networks.dialects import is_trained_on_rgb, network_state
from stages.poses.networks.files import load
from stages.poses.networks.listing import first_of
from stages.poses.networks.recognition import GIVE, build_without_memory, recognise
from stages.poses.networks.trained import Trained, trained_of

__all__ = ["Checkpoint", "read_checkpoint"]

_COUNTER: Final = ".num_batches_tracked"
"""What batch normalisation counts in training. Files of PyTorch before 0.4.1 lack it, and inference ignores it."""


@dataclass(frozen=True, eq=False)
class Checkpoint(Card):
    """A file of weights, read and checked."""

    path: Path
    state: Mapping[str, Tensor] = field(repr=False)
    """Every tensor of the network under its official name, on the CPU: float32, and the counters int64."""

    def module(self) -> nn.Module:
        """Build the network: float32, on the CPU, in eval mode. Each call gives one with tensors of its own."""
        # Without memory first, so that nobody waits for random weights that are overwritten at once.
        module = build_without_memory(self.architecture, self.size, self.joints).to_empty(device="cpu")
        module.load_state_dict(self.state)
        return module.eval()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read the weights of an HRNet or PoseResNet; `dialects` lists whose files are understood.

    What the network is, is read from the names and shapes of its tensors. Those are copied: the file may be
    overwritten afterwards, as trainers do.

    Raises:
        WeightsError: There is no such file, it is damaged or of another kind, it holds code or another network, or
            values that are no finite numbers.
    """
    saved = load(path)
    found = network_state(saved, path)
    architecture, size, joints = recognise(found, path)
    expected = build_without_memory(architecture, size, joints).state_dict()
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    complete = counters | found
    _check_shapes(complete, expected, f"weights '{path}' look like {title(architecture, size)} for {joints} joints")
    state = {name: _checked_copy(name, complete[name], path) for name in expected}
    trained = _fitting(trained_of(saved, path), joints, path)
    channels: Literal["rgb", "bgr"] = "rgb" if architecture == "hrnet" or is_trained_on_rgb(saved) else "bgr"
    return Checkpoint(architecture, size, joints, trained.channels if trained else channels, trained, path, state)


def _fitting(trained: Trained | None, joints: int, path: Path) -> Trained | None:
    """See that the joints that a file names are those that its tensors find."""
    if trained is not None and len(trained.skeleton) != joints:
        msg = (
            f"weights '{path}' give {joints} heat maps, but name {len(trained.skeleton)} joints"
            f" ({trained.skeleton.name}): the file was put together from two, write it again"
        )
        raise WeightsError(msg)
    return trained


def _check_shapes(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], subject: str) -> None:
    """See that nothing is missing, too much, or of another shape. `subject` begins the message."""
    reshaped = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in state and state[name].shape != tensor.shape
    ]
    faults = {
        "missing": [name for name in expected if name not in state],
        "unknown": [name for name in state if name not in expected],
        "of another shape": reshaped,
    }
    if any(faults.values()):
        said = ", ".join(f"{len(names)} {fault} ({first_of(names)})" for fault, names in faults.items() if names)
        msg = f"{subject}, but of {len(expected)} tensors are {said}. {GIVE}"
        raise WeightsError(msg)


def _checked_copy(name: str, tensor: Tensor, path: Path) -> Tensor:
    """Copy a tensor, weights as float32."""
    if name.endswith(_COUNTER):
        return tensor.to(torch.int64, copy=True)
    if not tensor.is_floating_point():
        msg = f"weights '{path}': {name} is {tensor.dtype}, expected a floating-point type: give unquantised ones"
        raise WeightsError(msg)
    copied = tensor.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
    if not (finite := copied.isfinite()).all():
        msg = (
            f"weights '{path}': {(~finite).sum()} of the {copied.numel()} values of {name} are not finite numbers: the "
            "training diverged or the file is damaged. Give another file"
        )
        raise WeightsError(msg)
    return copied
