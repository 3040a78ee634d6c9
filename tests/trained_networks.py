"""Files of weights that say what they were trained with, as our trainer writes them; nobody trained these."""

from pathlib import Path
from typing import Any, Final

import checkpoints
import torch

from pipeline.skeletons import skeleton_of
from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.poseresnet import PoseResNet
from stages.poses.networks.trained import Trained

__all__ = ["HORSE", "trained", "with_note", "write_trained"]

HORSE: Final = skeleton_of(["nose", "left_ear", "right_ear", "withers", "tail"], [(0, 1), (0, 2), (0, 3), (3, 4)])
"""Joints that no known data set has."""


def trained(**fields: Any) -> Trained:
    """Say what a network was trained with: nothing is as it is where a file does not say."""
    plain = {
        "skeleton": HORSE,
        "image_size": (96, 64),
        "encoding": "udp",
        "sigma": 1.5,
        "padding": 1.5,
        "channels": "rgb",
    }
    return Trained.model_validate(plain | fields)


def with_note(state: Any, note: Any) -> Any:
    """Put a note beside the tensors of a state dict."""
    state._metadata = {"": {"version": 1, "kinestream": note}}
    return state


def write_trained(path: Path, what: Trained, *, depth: int | None = None) -> Path:
    """Write an HRNet-W4 with random weights; or a PoseResNet of some depth."""
    joints = len(what.skeleton)
    network = HRNet(4, joints) if depth is None else PoseResNet(depth, joints)
    torch.save(with_note(checkpoints.untrained_state(network), what.model_dump(mode="json")), path)
    return path
