"""What trainers wrote into a file, brought into one form: tensors under the names of the official networks.

    official, published     the state dict itself
    official, in training   {'epoch', 'model': a name, 'state_dict', 'best_state_dict', 'perf', 'optimizer'}
    simple-HRNet            {'epoch', 'model': the state dict, 'optimizer', 'params'}
    mmpose                  {'meta', 'state_dict'}; names begin with 'backbone.', and 'head.' or 'keypoint_head.'

Names of a network that was wrapped (`module.` of DataParallel, `_orig_mod.` of torch.compile) lose that part.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from pipeline.errors import WeightsError
from stages.poses.networks.listing import first_of

__all__ = ["is_trained_on_rgb", "network_state"]

_PLACES: Final = ("best_state_dict", "state_dict", "model")
"""Where the network stands in a trainer's file; the first one that is there.

The best before the last: who keeps both wants the best to be used. The official trainer writes the network of the same
epoch under both names, so there the choice changes nothing.
"""

_WRAPPING: Final = re.compile(r"(?:(?<=\.)|^)(?:module|_orig_mod)\.")
_PART: Final = re.compile(r"^(?:backbone|head|keypoint_head)\.")


def network_state(saved: object, path: Path) -> dict[str, Tensor]:
    """Find the network in what a trainer saved.

    Args:
        saved: As read from the file.
        path: The file, for messages.

    Returns:
        Tensors under official names, in the order of the file, untouched.

    Raises:
        WeightsError: There is none.
    """
    if not isinstance(saved, Mapping):
        msg = f"weights '{path}' hold a {type(saved).__name__}, expected a state dict: names and tensors"
        raise WeightsError(msg)
    state = _unwrapped(saved)
    _check_tensors(state, path)
    return _renamed(state, path)


def is_trained_on_rgb(saved: Mapping[Any, Any]) -> bool:
    """Tell files of mmpose and simple-HRNet from official ones, by how each trainer packs its network.

    The first two show every network RGB. The official trainer shows HRNet RGB and PoseResNet BGR: its configurations of
    every PoseResNet say `COLOR_RGB: false`. A bare state dict counts as official.

    Args:
        saved: What is in the file: mmpose has `meta` beside the network, or names that begin with `backbone.`;
            simple-HRNet has the network under `model`, where the official trainer has a name.
    """
    names = (_WRAPPING.sub("", str(name)) for name in _unwrapped(saved))
    of_mmpose = "meta" in saved or any(_PART.match(name) for name in names)
    return of_mmpose or isinstance(saved.get("model"), Mapping)


def _unwrapped(saved: Mapping[Any, Any]) -> Mapping[Any, Any]:
    found = (saved[place] for place in _PLACES if isinstance(saved.get(place), Mapping))
    return next(found, saved)


def _check_tensors(state: Mapping[Any, Any], path: Path) -> None:
    others = [f"{name} ({type(value).__name__})" for name, value in state.items() if not isinstance(value, Tensor)]
    if len(others) == len(state):
        msg = (
            f"weights '{path}' hold no tensors, but {first_of(others)}. Expected a state dict, or one under "
            f"{' or '.join(repr(place) for place in _PLACES)}"
        )
        raise WeightsError(msg)
    if others:
        msg = f"weights '{path}' hold more than tensors: {first_of(others)}. Save model.state_dict() alone"
        raise WeightsError(msg)


def _renamed(state: Mapping[Any, Tensor], path: Path) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        official = _PART.sub("", _WRAPPING.sub("", str(name)))
        if official in renamed:
            msg = f"weights '{path}' hold two tensors for {official}: give the state dict of one network"
            raise WeightsError(msg)
        renamed[official] = tensor
    return renamed
