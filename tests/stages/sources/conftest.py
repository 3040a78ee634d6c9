"""Clips made on the spot, by FFmpeg itself: nothing binary is kept in the repository."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import SourceError
from pipeline.types import Frame
from stages.sources.base import FrameSource

MakeClip = Callable[..., Path]
ReadAll = Callable[[FrameSource], tuple[list[Frame], SourceError | None]]


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """A picture that tells its number: its brightness, and where its blue block is."""
    image = np.full((height, width, 3), 40 + number * 7 % 180, np.uint8)
    left = number * 5 % width
    image[: max(1, height // 3), left : left + max(1, width // 4)] = (255, 30, 0)
    return image


def write_clip(
    path: Path,
    frames: int = 24,
    *,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts: Sequence[int] | None = None,
    rotation: dict[str, Any] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write a clip at 25 frames/s with a key frame every 12, and B-frames where the codec does them by itself."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = 12
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(**rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="bgr24")
            frame.pts = number if pts is None else pts[number]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    """`make_clip(name, frames, ...)` writes a clip into a fresh folder and gives its path."""

    def make(name: str, frames: int = 24, **kinds: Any) -> Path:
        return write_clip(tmp_path / name, frames, **kinds)

    return make


@pytest.fixture
def read_all() -> ReadAll:
    """`read_all(source)` opens, reads to the end or the error, and closes."""

    def read(source: FrameSource) -> tuple[list[Frame], SourceError | None]:
        frames: list[Frame] = []
        try:
            with source:
                while (frame := source.read()) is not None:
                    frames.append(frame)
        except SourceError as error:
            return frames, error
        return frames, None

    return read
