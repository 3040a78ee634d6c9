"""How a camera moved between two frames: an affine map of the picture, shape (2, 3), and what it does to boxes.

    x' = a x + b y + tx        a warp is [[a, b, tx], [c, d, ty]], in pixels of the frame
    y' = c x + d y + ty

It maps where something that stands still was in the frame before to where it is now. How it is found in pictures is
none of a tracker's business: see `stages.camera_motion`. Files of warps, as published for MOTChallenge, are read here.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from pipeline.errors import ConfigError

__all__ = [
    "STILL",
    "CameraMotion",
    "between",
    "compose",
    "read_warps",
    "scale_of",
    "wants_warp",
    "warp_boxes",
    "warp_points",
]

Floats = NDArray[np.float64]

STILL: Final = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The warp of a camera that did not move."""
STILL.flags.writeable = False


def _readable(where: str | Path) -> str | Path:
    """See that a file of warps is there and right, before anything is started."""
    if isinstance(where, Path):
        try:
            read_warps(where)
        except ConfigError as error:
            msg = f"must be none, flow, or a file of warps; {error}"
            raise ValueError(msg) from error
    return where


CameraMotion = Annotated[Literal["none", "flow"] | Path, AfterValidator(_readable)]
"""Where a tracker's warps come from.

    none    nowhere: the camera is fixed, or people move much more than it
    flow    found in the pictures (sparse optical flow); little work while the camera stands still
    FILE    read from a file, as `read_warps` takes: for one source, with a warp for each of its frames
"""


def wants_warp(source: str | Path) -> frozenset[str]:
    """Give what a tracker with the option `camera_motion` wants to be given."""
    return frozenset() if source == "none" else frozenset({"warp"})


def compose(first: Floats, second: Floats) -> Floats:
    """Give the warp that does what `first` and then `second` does, shape (2, 3)."""
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def warp_points(points: NDArray[np.floating], warp: Floats) -> Floats:
    """Move points (x, y), shape (..., 2)."""
    return np.asarray(np.asarray(points, np.float64) @ warp[:, :2].T + warp[:, 2])


def scale_of(warp: Floats) -> Floats:
    """Give by how much a warp stretches what is wide and what is high, shape (2,)."""
    return np.asarray(np.sqrt((warp[:, :2] ** 2).sum(axis=0)))


def warp_boxes(xyxy: NDArray[np.floating], warp: Floats) -> Floats:
    """Move boxes, shape (..., 4): centres are mapped, sides are stretched.

    Sides are not turned: the box around a person who is tilted by some degrees is not that around a tilted box.
    """
    low, high = np.split(np.asarray(xyxy, np.float64), 2, axis=-1)
    centre, half = warp_points((low + high) / 2, warp), (high - low) / 2 * scale_of(warp)
    return np.concatenate([centre - half, centre + half], axis=-1)


def between(warps: Floats, before: int, now: int) -> Floats | None:
    """Give how the camera moved from one frame to a later one, over those that were left out between them.

    Args:
        warps: Of each frame from the one before it, shape (n, 2, 3).
        before: Index of the earlier frame, from 0.
        now: Index of the later one.

    Returns:
        Shape (2, 3); None where a warp is missing, or `now` is not later: the source has begun anew.
    """
    if not 0 <= before < now < len(warps):
        return None
    whole = STILL
    for warp in warps[before + 1 : now + 1]:
        whole = compose(whole, warp)
    return whole


def read_warps(path: Path) -> Floats:
    """Read a file of warps, a line a frame: `frame a b tx c d ty`, between blanks, tabs or commas.

    Frames rise by 1; the first one, 0 or 1, is the first of the source, so its own warp says nothing.

    Returns:
        Of each frame from the one before it, shape (n, 2, 3), pixels.

    Raises:
        ConfigError: It cannot be read, or a line is wrong; the message has its number.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        msg = f"cannot read the camera motion '{path}': {reason}"
        raise ConfigError(msg) from error
    rows = list(_rows(text, path))
    if not rows:
        msg = f"the camera motion '{path}' has no lines: expected 'frame a b tx c d ty' for each frame"
        raise ConfigError(msg)
    return np.array(rows).reshape(-1, 2, 3)


def _rows(text: str, path: Path) -> Iterator[list[float]]:
    """Yield the six numbers of each line, checked."""
    first: float | None = None
    for count, (number, line) in enumerate(
        (number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()
    ):
        frame, *values = _numbers(line, f"{path}:{number}")
        first = frame if first is None else first
        if first not in {0, 1} or frame != first + count:
            wanted = "0 or 1" if count == 0 else f"{first + count:.0f}"
            msg = f"{path}:{number}: frames must rise by 1 from 0 or 1, expected {wanted}, got {frame:g}"
            raise ConfigError(msg)
        yield values


def _numbers(line: str, where: str) -> list[float]:
    try:
        numbers = [float(word) for word in line.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if len(numbers) != 7 or not np.isfinite(numbers).all():
        msg = f"{where}: must be 7 numbers, 'frame a b tx c d ty', got '{line.strip()[:60]}'"
        raise ConfigError(msg)
    return numbers
