"""Small clips whose frames can be told apart: each carries its number as a row of black and white squares.

    clip = write_clip(tmp_path / "a.mp4", fps=25, seconds=2, codec="h264")
    number_of(image)   # 0, 1, 2 ...; None where the row is damaged

The row lies along the top edge, a tenth of the height: white, black, 13 bits of the number (the highest first), and a
bit that makes the count of ones even. It survives coding, scaling and a change of colours, not a crop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

Codec = Literal["h264", "hevc", "mjpeg"]

CELLS = 16
BITS = CELLS - 3
NUMBERS = 2**BITS
"""A number that does not fit starts again at 0."""

_ENCODERS: Mapping[Codec, tuple[str, str, dict[str, str]]] = {
    "h264": ("libx264", "yuv420p", {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "threads": "1"}),
    "hevc": (
        "libx265",
        "yuv420p",
        {"preset": "ultrafast", "tune": "zerolatency", "crf": "20", "x265-params": "log-level=error:pools=1"},
    ),
    "mjpeg": ("mjpeg", "yuvj420p", {"qmin": "3", "qmax": "5"}),
}


@dataclass(frozen=True)
class Clip:
    """A file, and what is in it."""

    path: Path
    width: int
    height: int
    fps: int
    frames: int
    codec: Codec
    first: int = 0
    """The number of its first frame."""

    @property
    def numbers(self) -> range:
        """The numbers its frames carry, in order."""
        return range(self.first, self.first + self.frames)


def _cells(number: int) -> NDArray[np.uint8]:
    bits = [number % NUMBERS >> shift & 1 for shift in reversed(range(BITS))]
    return np.array([1, 0, *bits, sum(bits) % 2], np.uint8)


def picture(number: int, width: int = 320, height: int = 192) -> NDArray[np.uint8]:
    """Draw a frame (height, width, 3), BGR: a pattern, a square that wanders over it, and its number on top."""
    y, x = np.ogrid[:height, :width]
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = (x // 4 * 37 + y // 4 * 101) % 97 + 40
    image[..., 1] = 60 + y * 80 // height
    image[..., 2] = 60 + x * 80 // width
    side = height // 4
    left, top = number * 3 % (width - side), height // 2 + (number * 2) % (height // 4)
    image[top : top + side, left : left + side] = (40, 200, 240)
    edges = np.arange(CELLS + 1) * width // CELLS
    image[: height // 10] = np.repeat(_cells(number) * 255, np.diff(edges))[None, :, None]
    return image


def number_of(image: NDArray[Any]) -> int | None:
    """Read the number off a frame, (height, width) or (height, width, 3), 0..255; None where it cannot be read."""
    height, width = image.shape[:2]
    edges = np.arange(CELLS + 1) * width // CELLS
    inner = image[height // 40 : height // 10 - height // 40]
    quarter = width // CELLS // 4
    levels = np.array([inner[:, a + quarter : b - quarter].mean() for a, b in pairwise(edges)])
    if np.abs(levels - 127.5).min() < 50:
        return None
    cells = (levels > 127.5).astype(int)
    if (cells[0], cells[1]) != (1, 0) or cells[2:].sum() % 2:
        return None
    return int("".join(map(str, cells[2:-1])), 2)


def write_clip(
    path: Path,
    *,
    width: int = 320,
    height: int = 192,
    fps: int = 25,
    gop: int = 10,
    seconds: float = 2.0,
    codec: Codec = "h264",
    first: int = 0,
) -> Clip:
    """Write an MP4 of `seconds` * `fps` frames, without B-frames, a key frame every `gop` frames."""
    encoder, pixels, options = _ENCODERS[codec]
    frames = round(seconds * fps)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(encoder, rate=fps, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.gop_size = gop
        stream.codec_context.max_b_frames = 0
        stream.codec_context.time_base = Fraction(1, fps)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(first + index, width, height), format="bgr24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Clip(path, width, height, fps, frames, codec, first)
