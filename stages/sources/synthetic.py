"""Drawn people with known boxes, joints and identities: for tests, benchmarks, and a first look without a camera."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from pipeline.types import Frame, Instances, Stream
from stages.drawing.figures import Walkers
from stages.media.timeline import ticks_of_rate
from stages.sources.base import FrameSource

__all__ = ["DrawnPixels", "Options", "SyntheticSource"]


class Options(plugin.Options):
    """What is drawn, and how fast it comes."""

    streams: int = Field(default=1, ge=1, le=1024)
    """How many sources; several are called `synthetic-1`, `synthetic-2` ..., and each has people of its own."""
    people: int = Field(default=4, ge=0, le=1000)
    """How many people walk to and fro."""
    width: int = Field(default=640, ge=16)
    """Of the pictures, in pixels."""
    height: int = Field(default=480, ge=16)
    """Of the pictures, in pixels."""
    frames_per_second: float = Field(default=25.0, gt=0, allow_inf_nan=False)
    """Frame i has the PTS i / frames_per_second."""
    frames: int | None = Field(default=None, ge=0)
    """How many frames there are; by default it never ends."""
    seed: int = Field(default=0, ge=0)
    """The same seed gives the same people."""
    realtime: bool = False
    """Pace the frames like a camera, and be treated as one; else they come as fast as they are taken."""


class DrawnPixels:
    """A picture that is drawn when somebody looks at it."""

    __slots__ = ("_image", "_lock", "_seconds", "_walkers")

    def __init__(self, walkers: Walkers, seconds: float) -> None:
        """Keep what to draw, and of which time."""
        self._walkers = walkers
        self._seconds = seconds
        self._lock = threading.Lock()
        self._image: NDArray[np.uint8] | None = None

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self._walkers.width

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self._walkers.height

    def bgr(self) -> NDArray[np.uint8]:
        """Give the picture: shape (H, W, 3), uint8, BGR, read-only."""
        with self._lock:
            if self._image is None:
                self._image = self._walkers.draw(self._seconds)
                self._image.flags.writeable = False
            return self._image


class SyntheticSource(FrameSource):
    """Makes frames of walking people; `truth(index)` says what is to be seen in them."""

    options: Options

    def __init__(self, options: Options, source_id: str, number: int = 0) -> None:
        """Keep the options; `number` makes the people of one of several streams different."""
        super().__init__(options, source_id)
        self.live = options.realtime  # the only source that is a camera or a file, as one likes
        self._walkers = Walkers(options.people, options.width, options.height, options.seed + number)
        self._stream = Stream(
            source_id,
            live=options.realtime,
            time_base=ticks_of_rate(options.frames_per_second),
            frames_per_second=options.frames_per_second,
            expected_frames=options.frames,
        )
        self._index = 0
        self._opened_monotonic = 0.0
        self._closed = threading.Event()

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make `streams` sources, numbered if there are several."""
        assert isinstance(options, Options)
        name = source_id or "synthetic"
        if options.streams == 1:
            return [cls(options, name)]
        return [cls(options, f"{name}-{number + 1}", number) for number in range(options.streams)]

    def truth(self, index: int) -> Instances:
        """Say who is where in frame `index`: boxes, 17 joints and `track_id` 1..people, in pixels."""
        return self._walkers.truth(self._seconds(index))

    def open(self) -> None:
        """Start the clock."""
        self._stream = replace(self._stream, source_id=self.source_id)  # which may be another one by now
        self._opened_monotonic = time.monotonic()

    def read(self) -> Frame | None:
        """Give the next frame, or None at the end, or when another thread closes the source meanwhile."""
        index = self._index
        if index == self.options.frames or self._closed.is_set():
            return None
        pts_seconds = self._seconds(index)
        if self.options.realtime and self._closed.wait(self._opened_monotonic + pts_seconds - time.monotonic()):
            return None
        self._index += 1
        pixels = DrawnPixels(self._walkers, pts_seconds)
        return Frame(self._stream, index, pts_seconds, datetime.now(UTC), time.monotonic(), pixels)

    def close(self) -> None:
        """End it; a read that waits for its time returns at once."""
        self._closed.set()

    def _seconds(self, index: int) -> float:
        time_base = self._stream.time_base
        return index * time_base.numerator / time_base.denominator
