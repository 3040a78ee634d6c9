"""What a training keeps in its folder: all that is needed to go on, and bare weights to use.

    last.ckpt, best.ckpt                everything, of the last step that was kept and of the best measurement
    pose_hrnet_w32_256x192.pth          bare weights of the best measurement, in the official layout
    pose_hrnet_w32_256x192_last.pth     the same of the last step

Bare weights are a state dict and nothing else, so the official code reads them too. What is known beside the tensors
(the encoding, the skeleton) stands where PyTorch keeps what belongs to a state dict, in `_metadata`, at the root.
"""

import shutil
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton
from stages.poses.networks.files import load
from stages.poses.networks.trained import Trained
from training.config import TrainConfig
from training.writing import write_whole

__all__ = ["BEST", "LAST", "Folder", "note_of", "read_checkpoint"]

BEST: Final = "best.ckpt"
LAST: Final = "last.ckpt"

_FORMAT: Final = "kinestream-training-1"
_NAMES: Final = {"hrnet": "pose_hrnet_w", "poseresnet": "pose_resnet_"}

Tree = dict[str, Any]


def note_of(config: TrainConfig, skeleton: Skeleton) -> Tree:
    """Say what a network is that came of a training, beside its weights; plain values."""
    target, network = config.target, config.network
    trained = Trained(
        skeleton=skeleton,
        image_size=target.image_size,
        encoding=target.encoding,
        sigma=target.deviation,
        padding=target.padding,
        channels=network.channels,
    )
    return {"architecture": network.architecture, "size": network.size} | trained.model_dump(mode="json")


class Folder:
    """The checkpoints of a training.

    Args:
        path: The folder; it exists.
        config: Of the training.
        skeleton: The joints that are learned.
    """

    def __init__(self, path: Path, config: TrainConfig, skeleton: Skeleton) -> None:
        """Name the files."""
        self.path, self._config, self._note = path, config, note_of(config, skeleton)
        height, width = config.target.image_size
        name = f"{_NAMES[config.network.architecture]}{config.network.size}_{height}x{width}"
        self.best_weights, self.last_weights = path / f"{name}.pth", path / f"{name}_last.pth"

    def save(self, state: Mapping[str, Any], *, is_best: bool) -> None:
        """Keep the state of a training as the last one, and as the best one if it is that.

        Args:
            state: With the weights to use under `state_dict`, names as in the official files.
            is_best: Nothing that was measured before is better.

        Raises:
            SinkError: The disk is full, for instance; what was kept before is untouched.
        """
        saved = {
            "format": _FORMAT,
            "model": self._config.network.title,
            "config": self._config.model_dump(mode="json"),
            "note": self._note,
            **state,
        }
        bare = _bare(state["state_dict"], self._note)
        write_whole(self.path / LAST, lambda part: torch.save(saved, part))
        write_whole(self.last_weights, lambda part: torch.save(bare, part))
        if is_best:
            write_whole(self.path / BEST, lambda part: shutil.copyfile(self.path / LAST, part))
            write_whole(self.best_weights, lambda part: torch.save(bare, part))


def read_checkpoint(path: Path) -> Tree:
    """Read a checkpoint to go on from; tensors are on the CPU.

    Raises:
        WeightsError: It is missing, damaged, or cut short.
        ConfigError: It is none of ours.
    """
    saved = load(path)
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        found = saved.get("format") if isinstance(saved, dict) else type(saved).__name__
        msg = f"'{path}' is no checkpoint to go on from: expected the format '{_FORMAT}', got '{found}'"
        raise ConfigError(msg)
    return saved


def _bare(state: Mapping[str, Tensor], note: Tree) -> Mapping[str, Tensor]:
    """Copy weights to the CPU as the official files have them, with a note on them."""
    copied = OrderedDict((name, tensor.detach().cpu().contiguous()) for name, tensor in state.items())
    metadata = {name: dict(entry) for name, entry in getattr(state, "_metadata", {}).items()}
    metadata.setdefault("", {})["kinestream"] = note
    copied._metadata = metadata  # type: ignore[attr-defined]  # noqa: SLF001 - see the top
    return copied
