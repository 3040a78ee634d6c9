"""Keeps the part of a picture that is needed of it, so that the next time only that is read."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SinkError, SourceError
from training.pixels import read_picture

__all__ = ["CropCache", "Part", "read_part"]


class Part(NamedTuple):
    """A part of a picture."""

    pixels: NDArray[np.uint8]
    """Shape (h, w, 3), BGR; h or w is 0 where it lies outside the picture."""
    left: int
    top: int


def read_part(path: Path, bounds: tuple[int, int, int, int]) -> Part:
    """Read the part of a picture within (left, top, right, bottom), half-open; cut off where the picture ends.

    Raises:
        SourceError: The picture cannot be read.
    """
    left, top, right, bottom = bounds
    return Part(read_picture(path)[top:bottom, left:right], left, top)


class CropCache:
    """A folder of parts, as plain arrays: exact, and read faster than a picture is decoded.

    A part is known by its picture's path, size and time, so a picture that was changed is read again. Several
    processes may share the folder. All of COCO takes about 40 GB.

    Args:
        folder: Made when something is first kept.
    """

    def __init__(self, folder: Path) -> None:
        """Keep the folder's name."""
        self._folder = folder

    def read_part(self, path: Path, bounds: tuple[int, int, int, int]) -> Part:
        """Do what the function `read_part` does, from the folder if the part is there.

        Raises:
            SourceError: The picture cannot be read.
            SinkError: The folder cannot be written.
        """
        kept = self._folder / _name(path, bounds)
        try:
            return Part(np.load(kept, allow_pickle=False), bounds[0], bounds[1])
        except (OSError, ValueError, EOFError):  # not there, or damaged: then it is written anew
            part = read_part(path, bounds)
        try:
            _write(kept, part.pixels)
        except OSError as error:
            msg = f"cannot keep crops in '{self._folder}': {error.strerror}; give loading.cache another folder, or none"
            raise SinkError(msg) from error
        return part


def _name(path: Path, bounds: tuple[int, int, int, int]) -> str:
    try:
        state = path.stat()
    except OSError as error:
        msg = f"cannot be read: {error.strerror}"
        raise SourceError(msg) from error
    known = f"{path.absolute()}\n{state.st_size}\n{state.st_mtime_ns}\n{bounds}"
    name = hashlib.sha256(known.encode()).hexdigest()[:32]
    return f"{name[:2]}/{name[2:]}.npy"


def _write(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write beside the name, then move there: nobody sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.save(file, pixels)
            file.flush()
            os.replace(file.name, path)  # noqa: PTH105 - a name, not a path
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
