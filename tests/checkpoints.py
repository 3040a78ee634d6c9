"""Files of weights that nobody trained: random, but such that the maps of every joint have a peak of their own."""

from pathlib import Path
from typing import Any

import torch

from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.poseresnet import PoseResNet

__all__ = ["untrained_state", "write_hrnet", "write_poseresnet"]


def untrained_state(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Give random weights whose values neither vanish nor explode on the way through the network."""
    random = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.ndim == 4:
            tensor.normal_(std=(1 / tensor[0].numel()) ** 0.5, generator=random)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.5, generator=random)
        elif tensor.is_floating_point():
            tensor.normal_(std=0.2, generator=random)
    return state


def write_hrnet(path: Path, width: int = 4, joints: int = 17) -> Path:
    """Write an HRNet as the official trainer does; the narrow one has every name that wider ones have."""
    return _write(path, untrained_state(HRNet(width, joints)))


def write_poseresnet(path: Path, depth: int = 50, joints: int = 17) -> Path:
    """Write a PoseResNet as the official trainer does."""
    return _write(path, untrained_state(PoseResNet(depth, joints)))


def _write(path: Path, saved: Any) -> Path:
    torch.save(saved, path)
    return path
