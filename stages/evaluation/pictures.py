"""The pictures of a data set: which are looked at, and reading them ahead of the model."""

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from pipeline.errors import ConfigError, SourceError
from pipeline.types import Frame, HostPixels, Instances, Stream

__all__ = ["Picture", "choose", "frames_ahead"]

_CHUNKS_AHEAD: Final = 2
"""So many chunks lie in memory beside the one that the model has."""
_MOST_READERS: Final = 4
_NAMED: Final = 3


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of a data set, and whom to look for in it."""

    key: int | str
    """What the data set calls it."""
    path: Path
    people: Instances | None
    """The boxes to look into; None where the model finds people by itself."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to look for."""
        return self.people is None or len(self.people) > 0


def choose(pictures: Sequence[Picture], most: int | None, folder: Path) -> tuple[list[Picture], int]:
    """Choose the pictures to measure on.

    Args:
        pictures: Of the whole data set.
        most: None for all of them; then each that is needed must be there. Else the first so many that are there.
        folder: Where they should lie, for the message.

    Returns:
        The chosen ones, and how many were left out because their file is not there.

    Raises:
        ConfigError: Files are missing.
    """
    missing = {picture.key for picture in pictures if picture.is_needed and not picture.path.is_file()}
    there = [picture for picture in pictures if picture.key not in missing]
    if missing and (most is None or not there):
        names = [picture.path.name for picture in pictures if picture.key in missing][:_NAMED]
        dots = ", ..." if len(missing) > _NAMED else ""
        msg = (
            f"{len(missing)} of {len(pictures)} images are not in '{folder}': {', '.join(names)}{dots}; give their"
            " folder with --images, or measure on the first of those that are there with --max-images"
        )
        raise ConfigError(msg)
    return there[:most], len(missing)


def frames_ahead(pictures: Sequence[Picture], size: int) -> Iterator[tuple[Sequence[Picture], list[Frame]]]:
    """Read pictures in chunks of `size`, on threads, while the caller works on the chunk before.

    At most three chunks are in memory: the caller's and two that are being read.

    Raises:
        SourceError: A file is no picture, or a damaged one.
    """
    chunks = (pictures[start : start + size] for start in range(0, len(pictures), size))
    waiting: deque[tuple[Sequence[Picture], list[Future[Frame]]]] = deque()
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_READERS), "pictures") as readers:
        for chunk in chunks:
            waiting.append((chunk, [readers.submit(_read, picture) for picture in chunk]))
            if len(waiting) > _CHUNKS_AHEAD:
                yield _read_chunk(waiting)
        while waiting:
            yield _read_chunk(waiting)


def _read_chunk(
    waiting: deque[tuple[Sequence[Picture], list[Future[Frame]]]],
) -> tuple[Sequence[Picture], list[Frame]]:
    chunk, frames = waiting.popleft()
    return chunk, [frame.result() for frame in frames]


def _read(picture: Picture) -> Frame:
    """Read a picture as the data sets' annotators saw it: EXIF orientation is not applied.

    Every picture is a source of its own, so that no model can follow people from one to the next.
    """
    image = cv2.imread(str(picture.path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        msg = f"'{picture.path}' is not a picture that OpenCV can read, or is damaged: get it again"
        raise SourceError(msg)
    pixels = HostPixels(np.asarray(image, np.uint8))
    return Frame(Stream(str(picture.path)), 0, 0.0, datetime.now(UTC), time.monotonic(), pixels)
