"""The weights that a training begins with, and a report of which came from where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from stages.poses.networks.dialects import is_trained_on_rgb, network_state
from stages.poses.networks.files import load
from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.listing import first_of
from stages.poses.networks.poseresnet import PoseResNet
from stages.poses.networks.trained import trained_of
from stages.zoo import find_weights
from training.config import NetworkOptions
from training.datasets import People

__all__ = ["Started", "begin"]

_HEAD: Final = "final_layer."
_FIRST: Final = "conv1.weight"
_COUNTER: Final = ".num_batches_tracked"


class Started(NamedTuple):
    """A network before its first step, and which of its tensors came from a file."""

    network: nn.Module
    path: Path | None = None
    loaded: tuple[str, ...] = ()
    fresh: tuple[str, ...] = ()
    """Of the network, not in the file: they begin at random."""
    unused: tuple[str, ...] = ()
    """In the file, not of the network."""

    def report(self) -> str:
        """Say it in a line."""
        if self.path is None:
            return "random weights"
        total = len(self.loaded) + len(self.fresh)
        parts = [f"{len(self.loaded)} of {total} tensors from '{self.path}'"]
        if self.fresh:
            parts.append(f"begun anew: {first_of(self.fresh)}")
        if self.unused:
            parts.append(f"in the file, and not used: {first_of(self.unused)}")
        return "; ".join(parts)


def begin(options: NetworkOptions, people: People, seed: int) -> Started:
    """Build a network, and give it the weights it begins with.

    Args:
        options: Which network, which weights.
        people: For whose joints.
        seed: Of random weights.

    Raises:
        WeightsError: The file is missing, damaged, or of another network.
        ConfigError: It is for another number of joints.
    """
    torch.manual_seed(seed)
    build = HRNet if options.architecture == "hrnet" else PoseResNet
    network = build(options.size, len(people.skeleton))
    if options.start is None:
        return Started(network)
    path = find_weights(options.start)
    found = _read(path, options)
    if options.new_head:
        found = {name: tensor for name, tensor in found.items() if not name.startswith(_HEAD)}
    elif (head := found.get(f"{_HEAD}weight")) is not None:
        people.check_joints(len(head), f"checkpoint '{path}'")
    return _filled(network, found, path, options.title)


def _read(path: Path, options: NetworkOptions) -> dict[str, Tensor]:
    """Read a file; its first layer gets the colours in the order in which our network sees them.

    Networks of ImageNet, and pose networks but the official PoseResNets, were shown RGB.
    """
    saved = load(path)
    found, trained = network_state(saved, path), trained_of(saved, path)
    is_official_pose = f"{_HEAD}weight" in found and not is_trained_on_rgb(saved)
    theirs = "bgr" if options.architecture == "poseresnet" and is_official_pose else "rgb"
    theirs = theirs if trained is None else trained.channels
    if theirs != options.channels and _FIRST in found:
        found[_FIRST] = found[_FIRST].flip(1)
    return found


def _filled(network: nn.Module, found: Mapping[str, Tensor], path: Path, title: str) -> Started:
    own = network.state_dict()
    loaded = [name for name in own if name in found]
    reshaped = [
        f"{name} is {tuple(found[name].shape)}, expected {tuple(own[name].shape)}"
        for name in loaded
        if found[name].shape != own[name].shape
    ]
    if reshaped or not any(name.endswith("weight") for name in loaded):
        why = f"of another size: {first_of(reshaped)}" if reshaped else f"of another network: {first_of([*found])}"
        msg = f"'{path}' does not fit {title}, its tensors are {why}. Set network.architecture and network.size"
        raise WeightsError(msg)
    if broken := [name for name in loaded if not found[name].isfinite().all()]:
        msg = f"'{path}' has values that are no finite numbers, in {first_of(broken)}: give another file"
        raise WeightsError(msg)
    network.load_state_dict({name: found[name] for name in loaded}, strict=False)
    fresh = tuple(name for name in own if name not in found and not name.endswith(_COUNTER))
    return Started(network, path, tuple(loaded), fresh, tuple(name for name in found if name not in own))
