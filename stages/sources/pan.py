"""A virtual camera that pans and zooms over a photograph: real people, moving, with nothing to download."""

import importlib.util
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from pipeline.errors import MissingPackage, SourceError
from pipeline.types import Frame, HostPixels, Stream
from stages.media.paths import matching_files, unique_names
from stages.media.pictures import load_picture
from stages.media.timeline import ticks_of_rate
from stages.sources.base import FrameSource

__all__ = ["Options", "PanSource"]

_FREE_RANGE = 0.7
"""How much of the way between the edges of the photograph the camera uses: its subject is seldom at the edge."""
_LONGER_SIDE_PX = 960


class Options(plugin.Options):
    """Which photograph, and how the camera moves."""

    image: str | None = None
    """A photograph, or a pattern (one source a photograph); by default those inside the package `ultralytics`."""
    width: int | None = Field(default=None, ge=16)
    """Of the frames, in pixels; by default in proportion to the photograph."""
    height: int | None = Field(default=None, ge=16)
    """Of the frames, in pixels; by default in proportion to the photograph, whose longer side becomes 960."""
    frames_per_second: float = Field(default=25.0, gt=0, allow_inf_nan=False)
    """Frame i has the PTS i / frames_per_second."""
    seconds: float = Field(default=8.0, gt=0, allow_inf_nan=False)
    """How long a turn lasts; at its end the camera is back where it began."""
    turns: int | None = Field(default=1, ge=1)
    """How many there are; null never ends."""
    zoom: float = Field(default=1.5, ge=1, le=8)
    """How much closer the closest view is than the widest, which is as wide as the photograph allows."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same path."""


class PanSource(FrameSource):
    """Films a photograph. `view(index)` says where the camera looks, so known boxes can be carried along."""

    options: Options

    def __init__(self, options: Options, source_id: str) -> None:
        """Keep the options; nothing is read yet."""
        super().__init__(options, source_id)
        self._phases = np.random.default_rng(options.seed).uniform(0, 2 * math.pi, 2).tolist()
        self._frame_count = max(1, round(options.seconds * options.frames_per_second))
        self._stream = Stream(
            source_id,
            time_base=ticks_of_rate(options.frames_per_second),
            frames_per_second=options.frames_per_second,
            expected_frames=None if options.turns is None else options.turns * self._frame_count,
        )
        self._photograph: NDArray[np.uint8] | None = None
        self._size = np.zeros(2)
        self._frame_size = (0, 0)
        self._index = 0

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make one source a photograph, named after the files (behind the given name, where there are several)."""
        assert isinstance(options, Options)
        files = _photographs(options.image)
        names = unique_names(f"{source_id}-{file.stem}" if source_id else file.stem for file in files)
        if source_id and len(files) == 1:
            names = [source_id]
        chosen = [options.model_copy(update={"image": str(file)}) for file in files]
        return [cls(one, name) for one, name in zip(chosen, names, strict=True)]

    def open(self) -> None:
        """Load the photograph.

        Raises:
            SourceError: It is not there, or no picture.
            MissingPackage: None was named, and `ultralytics` is not installed.
        """
        self._stream = replace(self._stream, source_id=self.source_id)  # which may be another one by now
        photograph = load_picture(_photographs(self.options.image)[0])
        self._size = np.array(photograph.shape[1::-1], np.float64)
        self._frame_size = self._choose_frame_size()
        closest = self.options.zoom * self._widest_scale()
        if closest < 1:  # never shown at its full size: shrink it once, well, rather than badly in each frame
            smaller = np.maximum(1, np.ceil(self._size * closest)).astype(int).tolist()
            photograph = np.asarray(cv2.resize(photograph, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        self._photograph = photograph

    def view(self, index: int) -> NDArray[np.float64]:
        """Say where the camera looks in frame `index`, once the source is open.

        Returns:
            Shape (2, 3): [[s, 0, x], [0, s, y]] takes a point of the photograph to one of the frame, both in pixels
            measured from the edge of the picture, as boxes are.
        """
        turn = 2 * math.pi * index / self._frame_count
        scale = self._widest_scale() * (1 + (self.options.zoom - 1) * (1 - math.cos(turn)) / 2)
        # How far the photograph sticks out beyond the frame, and how much of that is to the left and above.
        beyond = self._size * scale - self._frame_size
        before = [0.5 + _FREE_RANGE / 2 * math.sin(turn + phase) for phase in self._phases]
        return np.array([[scale, 0, -beyond[0] * before[0]], [0, scale, -beyond[1] * before[1]]])

    def read(self) -> Frame | None:
        """Give the next frame, or None at the end."""
        index, last = self._index, self._stream.expected_frames
        if self._photograph is None or (last is not None and index >= last):
            return None
        self._index += 1
        pts_seconds = float(index * self._stream.time_base)
        pixels = HostPixels(self._film(self._photograph, self.view(index)))
        return Frame(self._stream, index, pts_seconds, datetime.now(UTC), time.monotonic(), pixels)

    def close(self) -> None:
        """Forget the photograph."""
        self._photograph = None

    def _choose_frame_size(self) -> tuple[int, int]:
        """Give width and height of the frames: even, as video encoders want them, where they are not set."""
        width, height = self.options.width, self.options.height
        scales = [side / size for side, size in zip((width, height), self._size, strict=True) if side]
        scale = scales[0] if scales else _LONGER_SIDE_PX / self._size.max()
        across, down = (max(2, 2 * round(side * scale / 2)) for side in self._size)
        return width or across, height or down

    def _widest_scale(self) -> float:
        if not self._size.any():
            msg = f"the source '{self.source_id}' has not seen its photograph yet; call open() first"
            raise SourceError(msg)
        return float((self._frame_size / self._size).max())

    def _film(self, photograph: NDArray[np.uint8], view: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Cut the view out of the photograph, with sub-pixel motion."""
        centres = view.copy()
        centres[:, :2] *= self._size / photograph.shape[1::-1]  # the photograph may have been shrunk
        centres[:, 2] += centres[:, :2].sum(axis=1) / 2 - 0.5  # OpenCV measures from pixel centres, not from the edge
        frame = cv2.warpAffine(
            photograph, centres, self._frame_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(frame, np.uint8)


def _photographs(image: str | None) -> list[Path]:
    if image is not None:
        return matching_files(image)
    package = importlib.util.find_spec("ultralytics")  # finds it without importing it
    folders = package.submodule_search_locations if package else None
    if not folders:
        msg = (
            "the source 'pan' without 'image' films the photographs of the package 'ultralytics', which is not"
            " installed: pip install 'kinestream[ultralytics]', or name a photograph of your own in 'image'"
        )
        raise MissingPackage(msg)
    return matching_files(str(Path(folders[0]) / "assets" / "*.jpg"))
