"""The sizes of heads that PCKh is relative to: the official `gt_valid.mat`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16

__all__ = ["Heads", "heads_from_file"]

_SHAPES: Final = {
    "headboxes_src": (2, 2, None),
    "pos_gt_src": (len(MPII_16), 2, None),
    "jnt_missing": (len(MPII_16), None),
}
"""Corner x coordinate x person; joint x coordinate x person; joint x person."""


class Heads(NamedTuple):
    """What PCKh is measured against, n people."""

    joints: NDArray[np.float64]
    """(x, y) in pixels from 1, shape (n, 16, 2)."""
    visible: NDArray[np.bool_]
    """Which of them are annotated, shape (n, 16)."""
    diagonal: NDArray[np.float64]
    """Of the boxes of the heads, pixels, shape (n,)."""


def heads_from_file(path: Path, count: int) -> Heads:
    """Read the file; its joints are the truth, as in the official evaluation.

    Args:
        path: `gt_valid.mat`.
        count: How many people the annotations have.

    Raises:
        ConfigError: It cannot be read, lacks something, or is of other people.
    """
    columns = _columns(path)
    for name, shape in _SHAPES.items():
        expected = (*shape[:-1], count)
        got = columns[name].shape if name in columns else "nothing"
        if got != expected:
            msg = (
                f"'{path}' must hold '{name}' of shape {expected}, one a person of the annotations, got {got}:"
                " give the gt_valid.mat that belongs to them"
            )
            raise ConfigError(msg)
    low, high = np.asarray(columns["headboxes_src"], np.float64)
    diagonal = np.linalg.norm(high - low, axis=0)
    if (empty := np.flatnonzero(~(diagonal > 0))).size:
        msg = f"'{path}': the heads of {empty.size} people have no size, such as those of people {empty[:3].tolist()}"
        raise ConfigError(msg)
    joints = np.asarray(columns["pos_gt_src"], np.float64).transpose(2, 0, 1)
    return Heads(joints, np.asarray(columns["jnt_missing"]).T == 0, diagonal)


def _columns(path: Path) -> Mapping[str, NDArray[Any]]:
    from scipy.io import loadmat  # noqa: PLC0415 - only MPII needs it, and it takes a while
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    try:
        return dict(loadmat(path, appendmat=False))
    except (OSError, MatReadError, ValueError, TypeError, NotImplementedError) as error:
        msg = f"cannot read the sizes of heads '{path}': {error}; expected the official gt_valid.mat (Matlab 5)"
        raise ConfigError(msg) from error
