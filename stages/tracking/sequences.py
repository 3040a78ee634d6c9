"""MOTChallenge folders: a sequence has `seqinfo.ini`, `det/det.txt`, `gt/gt.txt` and perhaps `gmc/gmc.txt`."""

import configparser
import difflib
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError
from stages.tracking.mot import Rows, read_rows
from trackers.camera_motion import read_warps

__all__ = ["Sequence", "find_sequences"]

_INFO: Final = "seqinfo.ini"
_LAYOUT: Final = "NAME/seqinfo.ini, NAME/det/det.txt and NAME/gt/gt.txt"


@dataclass(frozen=True, eq=False)
class Sequence:
    """One video of a benchmark, as its folder says. Files are read when they are asked for."""

    name: str
    folder: Path
    frames: int
    frames_per_second: float

    @classmethod
    def open(cls, folder: Path) -> "Sequence":
        """Read what the folder says of itself.

        Raises:
            ConfigError: `seqinfo.ini` cannot be read, or lacks something.
        """
        path = folder / _INFO
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(path.read_text(encoding="utf-8"))
            section = parser["Sequence"]
            frames, frames_per_second = int(section["seqLength"]), float(section["frameRate"])
        except (OSError, UnicodeDecodeError, configparser.Error, KeyError, ValueError) as error:
            msg = f"'{path}' must have a section [Sequence] with seqLength and frameRate, two numbers: {error}"
            raise ConfigError(msg) from error
        if frames < 1 or not 0 < frames_per_second < np.inf:
            msg = f"'{path}': seqLength and frameRate must be more than 0, got {frames} and {frames_per_second:g}"
            raise ConfigError(msg)
        return cls(folder.name, folder, frames, frames_per_second)

    @cached_property
    def detections(self) -> Rows:
        """What a detector found, of `det/det.txt`.

        Raises:
            ConfigError: The file is missing or wrong.
        """
        return self._rows("det/det.txt", "detections")

    @cached_property
    def truth(self) -> Rows:
        """Who really is where, of `gt/gt.txt`.

        Raises:
            ConfigError: The file is missing or wrong.
        """
        return self._rows("gt/gt.txt", "ground truth")

    @cached_property
    def warps(self) -> NDArray[np.float64]:
        """How the camera moved, of `gmc/gmc.txt`: of each frame from the one before it, shape (frames, 2, 3).

        Raises:
            ConfigError: The file is missing or wrong, or is of another number of frames.
        """
        path = self.folder / "gmc/gmc.txt"
        if not path.is_file():
            msg = f"sequence '{self.name}' has no camera motion: '{path}' does not exist; use --camera-motion none"
            raise ConfigError(msg)
        warps = read_warps(path)
        if len(warps) != self.frames:
            msg = f"'{path}' must have a line for each of {self.frames} frames, got {len(warps)}"
            raise ConfigError(msg)
        return warps

    def _rows(self, name: str, what: str) -> Rows:
        path = self.folder / name
        if not path.is_file():
            msg = f"sequence '{self.name}' has no {what}: '{path}' does not exist; a sequence is {_LAYOUT}"
            raise ConfigError(msg)
        rows = read_rows(path)
        if rows.last_frame > self.frames:
            msg = f"'{path}' has frame {rows.last_frame}, but by its {_INFO} the sequence ends with {self.frames}"
            raise ConfigError(msg)
        return rows


def find_sequences(folder: Path, names: Many[str] = ()) -> list[Sequence]:
    """Find the sequences of a benchmark, by name.

    Args:
        folder: Of the sequences, or of one.
        names: Only these, in this order; none for all.

    Raises:
        ConfigError: There are none, or one is not there.
    """
    inside = sorted(path.parent for path in folder.glob(f"*/{_INFO}"))
    found = {path.name: path for path in ([folder] if (folder / _INFO).is_file() else inside)}
    if not found:
        got = "does not exist" if not folder.exists() else "has none" if folder.is_dir() else "is a file"
        msg = f"'{folder}' must be a folder of MOTChallenge sequences, {_LAYOUT}, but it {got}"
        raise ConfigError(msg)
    for name in names:
        if name not in found:
            closest = difflib.get_close_matches(name, list(found), n=1)
            hint = f" Did you mean '{closest[0]}'?" if closest else ""
            msg = f"'{folder}' has no sequence '{name}'.{hint} Known: {', '.join(found)}"
            raise ConfigError(msg)
    return [Sequence.open(found[name]) for name in dict.fromkeys(names or found)]
