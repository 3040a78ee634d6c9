"""Photographs as if they were frames: one file, a folder, or all that match a pattern."""

import logging
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from pydantic import Field

from pipeline import plugin
from pipeline.errors import SourceError
from pipeline.types import Frame, HostPixels, Stream
from stages.media.paths import matching_files, natural_order
from stages.media.pictures import PICTURE_SUFFIXES, load_picture
from stages.media.timeline import ticks_of_rate
from stages.sources.base import FrameSource

__all__ = ["ImagesSource", "Options"]

logger = logging.getLogger(__name__)


class Options(plugin.Options):
    """Which pictures, and how fast they follow each other."""

    path: str = Field(min_length=1)
    """A picture, a folder of pictures, or a pattern such as `shots/*.jpg`; `img2` comes before `img10`."""
    frames_per_second: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Pictures have no time of their own: picture i gets the PTS i / frames_per_second."""


class ImagesSource(FrameSource):
    """Reads pictures in natural order; `Frame.index` is the place in that order.

    A picture that cannot be read ends the source if it is the only one. Among several it is left out, counted in
    `skipped` and logged; its index stays unused, and the source ends with an error that says how many there were.
    """

    options: Options

    def __init__(self, options: Options, source_id: str) -> None:
        """Keep the options; nothing is read yet."""
        super().__init__(options, source_id)
        self.skipped = 0
        """Unreadable pictures so far."""
        self._frames: Iterator[Frame] = iter(())

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make one source of all the pictures, named after the file, or the folder they are in."""
        assert isinstance(options, Options)
        pictures = _list_pictures(options.path)
        given = Path(options.path).expanduser().resolve()
        name = pictures[0].stem if given == pictures[0].resolve() else pictures[0].resolve().parent.name
        return [cls(options, source_id or name or "images")]

    def open(self) -> None:
        """List the pictures.

        Raises:
            SourceError: There are none.
        """
        self._frames = self._read(_list_pictures(self.options.path))

    def read(self) -> Frame | None:
        """Give the next picture, or None at the end.

        Raises:
            SourceError: The only picture cannot be read; or, after the last one, some of them could not.
        """
        return next(self._frames, None)

    def close(self) -> None:
        """Forget the list."""
        self._frames = iter(())

    def _read(self, pictures: Sequence[Path]) -> Iterator[Frame]:
        time_base = ticks_of_rate(self.options.frames_per_second)
        stream = Stream(
            self.source_id,
            time_base=time_base,
            frames_per_second=self.options.frames_per_second,
            expected_frames=len(pictures),
        )
        first_error = None
        for index, path in enumerate(pictures):
            try:
                pixels = HostPixels(load_picture(path))
            except SourceError as error:
                if len(pictures) == 1:
                    raise
                logger.warning("left out: %s", error)
                self.skipped += 1
                first_error = first_error or error
                continue
            yield Frame(stream, index, float(index * time_base), datetime.now(UTC), time.monotonic(), pixels)
        if first_error is not None:
            msg = (
                f"{self.skipped} of {len(pictures)} pictures of '{self.options.path}' could not be read, the others"
                f" were delivered; remove or replace them. The first: {first_error}"
            )
            raise SourceError(msg) from first_error


def _list_pictures(path: str) -> list[Path]:
    found = matching_files(path)
    if found == [Path(path).expanduser()] and found[0].is_file():
        return found
    if found[0].is_dir():
        found = sorted(found[0].iterdir(), key=natural_order)
    pictures = [file for file in found if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file()]
    if not pictures:
        there = f"{len(found)} files of other kinds" if found else "nothing"
        msg = f"no pictures in '{path}', only {there}; expected {', '.join(sorted(PICTURE_SUFFIXES))}"
        raise SourceError(msg)
    return pictures
