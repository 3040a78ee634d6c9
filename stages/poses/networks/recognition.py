"""Which network a state dict is of, read from its names and shapes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from stages.poses.networks.card import Architecture
from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.listing import first_of
from stages.poses.networks.poseresnet import LAYERS, PoseResNet

__all__ = ["GIVE", "build_without_memory", "recognise"]

GIVE: Final = "Give weights of HRNet or PoseResNet, official ones or mmpose's"

_NETWORKS: Final[Mapping[Architecture, Callable[[int, int], nn.Module]]] = {"hrnet": HRNet, "poseresnet": PoseResNet}

_FINEST: Final = "stage2.0.branches.0.0.conv1.weight"
"""Only an HRNet has it; it gives as many channels as the network is wide."""
_FIRST_DOUBLING: Final = "deconv_layers.0.weight"
"""Only a PoseResNet has it."""
_HEAD: Final = "final_layer.weight"
"""Gives a heat map for each joint."""


def build_without_memory(architecture: Architecture, size: int, joints: int) -> nn.Module:
    """Build a network whose tensors have names and shapes, but no values yet."""
    with torch.device("meta"):
        return _NETWORKS[architecture](size, joints)


def recognise(state: Mapping[str, Tensor], path: Path) -> tuple[Architecture, int, int]:
    """Tell which network tensors belong to.

    Args:
        state: Tensors under official names.
        path: Their file, for messages.

    Returns:
        Architecture, width (HRNet) or depth (PoseResNet), and number of joints.

    Raises:
        WeightsError: They are of another network.
    """
    if _HEAD in state and _FINEST in state:
        return "hrnet", _outputs(state, _FINEST, path), _outputs(state, _HEAD, path)
    if _HEAD in state and _FIRST_DOUBLING in state:
        return "poseresnet", _depth(state, path), _outputs(state, _HEAD, path)
    msg = f"weights '{path}' are of {_other_network(state)}. {GIVE}"
    raise WeightsError(msg)


def _other_network(state: Mapping[str, Tensor]) -> str:
    headless = f"without a pose head: there is no {_HEAD}, so it finds no joints"
    if _FINEST in state:
        classifies = any(name.startswith(("incre_modules.", "classifier.")) for name in state)
        return f"{'an HRNet that was trained on ImageNet,' if classifies else 'an HRNet'} {headless}"
    if _FIRST_DOUBLING in state or "layer4.0.conv1.weight" in state:
        return f"a ResNet {headless}"
    return f"a network that is not known here: its {len(state)} tensors are {first_of([*state])}"


def _depth(state: Mapping[str, Tensor], path: Path) -> int:
    layers = tuple(_blocks(state, f"layer{number}.") for number in (1, 2, 3, 4))
    for depth, known in LAYERS.items():
        if layers == known:
            return depth
    expected = ", ".join(f"{known} for depth {depth}" for depth, known in LAYERS.items())
    msg = f"weights '{path}' are of a PoseResNet with {layers} blocks in its four layers, expected {expected}. {GIVE}"
    raise WeightsError(msg)


def _blocks(state: Mapping[str, Tensor], layer: str) -> int:
    return len({name.removeprefix(layer).partition(".")[0] for name in state if name.startswith(layer)})


def _outputs(state: Mapping[str, Tensor], name: str, path: Path) -> int:
    """Give how many channels a convolution gives."""
    shape = tuple(state[name].shape)
    if len(shape) != 4 or 0 in shape:
        msg = f"weights '{path}': {name} has the shape {shape}, expected four sides, none of them 0. {GIVE}"
        raise WeightsError(msg)
    return shape[0]
