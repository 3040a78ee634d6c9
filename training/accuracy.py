"""How many joints of a batch are found: a number to watch while a network learns."""

from typing import Final

import torch
from torch import Tensor

__all__ = ["found_joints"]

_NEAR: Final = 0.05
"""A joint is found if its peak is nearer than this share of the map, each axis measured by its own side: half of a
tenth, as in the official code (lib/core/evaluate.py)."""


def found_joints(predicted: Tensor, cells: Tensor, weights: Tensor) -> Tensor:
    """Take the share of labelled joints whose peak lies near them (PCK).

    Args:
        predicted: Heat maps, shape (n, k, h, w).
        cells: Where the joints are, (x, y) on the grid, shape (n, k, 2).
        weights: 0 where a joint is not labelled, shape (n, k).

    Returns:
        One number, 0..1; 0 if nothing is labelled.
    """
    height, width = predicted.shape[2:]
    peak = predicted.flatten(2).argmax(dim=2)
    places = torch.stack([peak % width, peak // width], dim=2)
    away = (places - cells) / torch.tensor([width, height], device=cells.device)
    labelled = weights > 0
    near = (away.norm(dim=2) < _NEAR) & labelled
    share: Tensor = near.sum() / labelled.sum().clamp(min=1)
    return share
