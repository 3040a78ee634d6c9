"""Learning curves as a picture."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.writing import write_whole

__all__ = ["write_curves"]

_log = logging.getLogger(__name__)

_SHARES: Final = ("AP", "AR", "mean", "found_joints")
"""What is drawn beside the loss, as far as it is there; `mean` is that of MPII, in percent."""


def write_curves(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw loss, precision and learning rate over the epochs into a PNG file.

    Where matplotlib is not installed nothing is drawn, and that is said.

    Args:
        history: A row an epoch.
        path: The file.

    Raises:
        SinkError: It cannot be written.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        _log.info("no learning curves: pip install 'kinestream[train]'")
        return
    figure = Figure(figsize=(10, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _line(upper, history, "loss", "tab:blue")
    upper.set_yscale("log")
    upper.set_ylabel("loss")
    rate = upper.twinx()
    _line(rate, history, "lr", "tab:gray")
    rate.set_ylabel("learning rate")
    for name, colour in zip(_SHARES, ("tab:red", "tab:orange", "tab:red", "tab:green"), strict=True):
        _line(lower, history, name, colour)
    lower.set_xlabel("epoch")
    lower.grid(alpha=0.3)
    if lower.lines:
        lower.legend(loc="lower right")
    write_whole(path, lambda part: figure.savefig(part, format="png", dpi=100))


def _line(axes: Any, history: Sequence[Mapping[str, Any]], name: str, colour: str) -> None:  # noqa: ANN401
    """Draw a column; the epochs in which it was measured."""
    points = [(row["epoch"], row[name]) for row in history if row.get(name) is not None]
    if points:
        marker = "o" if len(points) < len(history) else None
        axes.plot(*zip(*points, strict=True), color=colour, label=name.replace("_", " "), marker=marker, markersize=3)
