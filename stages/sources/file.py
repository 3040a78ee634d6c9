"""Video files, and anything else that FFmpeg opens by a path or URL and that ends."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import av
from pydantic import Field, model_validator

from pipeline import plugin
from pipeline.errors import SourceError
from pipeline.types import Frame, Stream
from stages.media.decoding import DecodedPixels, Orientations
from stages.media.paths import is_url, matching_files, unique_names
from stages.media.reading import VideoReader
from stages.media.timeline import Timeline
from stages.sources.base import FrameSource

__all__ = ["FileSource", "Options"]

logger = logging.getLogger(__name__)


class Options(plugin.Options):
    """Which file, and which part of it."""

    path: str = Field(min_length=1)
    """A video file, a pattern such as `clips/*.mp4` (one source a file), or a URL that FFmpeg can open."""
    start_seconds: float | None = Field(default=None, allow_inf_nan=False)
    """Leave out frames before this time, by the file's own clock (PTS)."""
    end_seconds: float | None = Field(default=None, allow_inf_nan=False)
    """Leave out frames from this time on, by the file's own clock (PTS)."""
    every: int = Field(default=1, ge=1)
    """Take every n-th frame; the others are decoded and counted in `Frame.index`, but not delivered."""
    stream_index: int | None = Field(default=None, ge=0)
    """Which video stream, from 0, where a file has several; by default the main one."""
    decoder_threads: int = Field(default=0, ge=0)
    """Threads of the decoder; 0 lets FFmpeg decide. With 1, damaged files decode the same way every time."""

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.start_seconds is not None and self.end_seconds is not None and self.start_seconds >= self.end_seconds:
            msg = f"start_seconds must be less than end_seconds, got {self.start_seconds} and {self.end_seconds}"
            raise ValueError(msg)
        return self


class FileSource(FrameSource):
    """Reads every frame of a video file, in order, exactly once.

    `Frame.index` counts the frames that the decoder gave, from 0 at the first one selected by `start_seconds`; those
    left out by `every` and those damaged are counted too. `Frame.pts_seconds` is the container's (see `Timeline` for
    files whose clock is broken).

    A frame that the decoder flags as damaged is left out and counted in `corrupt_frames`; decoding goes on.
    """

    options: Options

    def __init__(self, options: Options, source_id: str) -> None:
        """Keep the options; nothing is opened yet."""
        super().__init__(options, source_id)
        self._reader: VideoReader | None = None
        self._frames: Iterator[Frame] = iter(())
        self._flagged = 0

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make one source a file, named after the files' stems (behind the given name, where there are several)."""
        assert isinstance(options, Options)
        if is_url(options.path):
            return [cls(options, source_id or Path(options.path.partition("?")[0]).stem or "file")]
        files = matching_files(options.path)
        if len(files) == 1:
            return [cls(options.model_copy(update={"path": str(files[0])}), source_id or files[0].stem)]
        names = unique_names(f"{source_id}-{file.stem}" if source_id else file.stem for file in files)
        return [
            cls(options.model_copy(update={"path": str(file)}), name) for file, name in zip(files, names, strict=True)
        ]

    @property
    def corrupt_frames(self) -> int:
        """How many frames were left out so far because they were damaged: flagged by the decoder, or refused."""
        return self._flagged + (self._reader.undecodable if self._reader else 0)

    def open(self) -> None:
        """Open the file and find its video stream.

        Raises:
            SourceError: It is not there, is no video, or is damaged beyond reading.
        """
        options = self.options
        self._reader = VideoReader(options.path, stream_index=options.stream_index, threads=options.decoder_threads)
        self._frames = self._read(self._reader)

    def read(self) -> Frame | None:
        """Give the next frame, or None at the end.

        Raises:
            SourceError: After the last good frame: the file is cut off or unreadable from there, or nothing was in
                the selected time.
        """
        return next(self._frames, None)

    def close(self) -> None:
        """Close the file. Frames that were read stay valid."""
        self._frames = iter(())
        if self._reader is None:
            return
        if self.corrupt_frames:
            logger.warning("'%s': %d damaged frames were left out", self.options.path, self.corrupt_frames)
        self._flagged = self.corrupt_frames
        self._reader.close()
        self._reader = None

    def _read(self, reader: VideoReader) -> Iterator[Frame]:
        stream, orientations = self._describe(reader), Orientations()
        index = -1
        for index, (pts_seconds, decoded) in enumerate(self._select(reader)):
            if decoded.is_corrupt:
                self._flagged += 1
            elif index % self.options.every == 0:
                yield Frame(
                    stream=stream,
                    index=index,
                    pts_seconds=pts_seconds,
                    captured_at=datetime.now(UTC),
                    arrived_monotonic=time.monotonic(),
                    pixels=DecodedPixels(decoded, orientations.of(decoded)),
                )
        if index < 0:
            raise SourceError(self._nothing_selected(reader))

    def _select(self, reader: VideoReader) -> Iterator[tuple[float, av.VideoFrame]]:
        """Decode the frames with start <= PTS < end, with their time in seconds."""
        start = -math.inf if self.options.start_seconds is None else self.options.start_seconds
        end = math.inf if self.options.end_seconds is None else self.options.end_seconds
        timeline = Timeline(reader.time_base, reader.frame_ticks)
        for decoded in reader.frames(self.options.start_seconds, self.options.end_seconds):
            pts_seconds = timeline.seconds(decoded.pts, decoded.duration)
            if pts_seconds >= end:
                return
            if pts_seconds >= start:
                yield pts_seconds, decoded

    def _describe(self, reader: VideoReader) -> Stream:
        return Stream(
            source_id=self.source_id,
            time_base=reader.time_base,
            frames_per_second=reader.frames_per_second,
            expected_frames=self._expected_frames(reader),
        )

    def _expected_frames(self, reader: VideoReader) -> int | None:
        """Estimate how many frames will be delivered."""
        total, rate = reader.announced_frames, reader.frames_per_second
        if total is None or rate is None:
            return None
        first, last = reader.start_seconds, reader.start_seconds + total / rate
        start, end = self.options.start_seconds, self.options.end_seconds
        seconds = min(last, math.inf if end is None else end) - max(first, -math.inf if start is None else start)
        return math.ceil(max(0, round(seconds * rate)) / self.options.every)

    def _nothing_selected(self, reader: VideoReader) -> str:
        first, frames, rate = reader.start_seconds, reader.announced_frames, reader.frames_per_second
        runs = f"{first:.3f} s to {first + frames / rate:.3f} s" if frames and rate else f"{first:.3f} s on"
        start, end = self.options.start_seconds, self.options.end_seconds
        return f"'{self.options.path}' has no frame with {start} <= PTS < {end} seconds; its clock runs from {runs}"
