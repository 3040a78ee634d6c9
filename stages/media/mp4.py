"""Video files that survive the death of their writer: fragmented MP4."""

import math
import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final, cast

import av
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from stages.drawing.paint import Image

__all__ = ["Mp4Writer"]

_FRAGMENT_SECONDS: Final = 1.0
"""Every fragment begins with a key frame; what a killed process loses is at most the one that was being filled."""
_FINEST: Final = Fraction(1, 1_000_000)
"""The format keeps the time between two frames in 32 bits of ticks; of microseconds, that is half an hour."""
_LONGEST_STEP: Final = 2**31 - 1
"""Ticks between two frames; a longer pause is shortened to it."""


class Mp4Writer:
    """Encodes pictures with their true times, at a varying frame rate.

    Each fragment (ISO/IEC 14496-12, section 8.8) describes itself, so the file can be played up to the last whole
    one at any moment. There are no B-frames, whose reordering would cost the first frames their exact times.

    Args:
        path: The file.
        width: Even, pixels.
        height: Even, pixels.
        time_base: Seconds per tick of the source; times are kept to the tick (down to a microsecond).
        codec: Name of an FFmpeg encoder that takes yuv420p.
        options: Of the encoder.
        from_zero: Let the first picture be at 0 s, wherever the source's clock stands.

    Raises:
        FFmpegError: The file or the encoder cannot be opened.
        ValueError: MP4 cannot hold what the encoder makes.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        *,
        time_base: Fraction,
        codec: str,
        options: Mapping[str, str],
        from_zero: bool = True,
    ) -> None:
        """Open file and encoder."""
        self._path = path
        self._time_base = max(time_base, _FINEST)
        self._from_zero = from_zero
        self._ticks: tuple[int, int] | None = None  # of the last picture: in the source, in the file
        self._next_key_seconds = -math.inf
        self._reformatter = VideoReformatter()
        self._container = av.open(str(path), "w", format="mp4", options=_muxing(self._time_base))
        try:
            self._stream = cast("av.VideoStream", self._container.add_stream(codec, options=dict(options)))
            self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
            context = self._stream.codec_context
            context.time_base, context.max_b_frames = self._time_base, 0
            context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
            self._container.start_encoding()
        except (FFmpegError, ValueError):
            self._give_back()
            raise

    def write(self, image: Image, pts_seconds: float) -> None:
        """Encode one picture.

        A clock that stands still or steps back goes on one tick later.

        Args:
            image: Shape (height, width, 3), uint8, BGR; must not change until this returns.
            pts_seconds: Presentation time.

        Raises:
            FFmpegError: It cannot be encoded or written.
        """
        frame = av.VideoFrame.from_numpy_buffer(image, format="bgr24")
        frame = self._reformatter.reformat(
            frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = self._next_tick(pts_seconds), self._time_base
        seconds = float(frame.pts * self._time_base)
        if seconds >= self._next_key_seconds:
            frame.pict_type, self._next_key_seconds = PictureType.I, seconds + _FRAGMENT_SECONDS
        self._container.mux(self._stream.encode(frame))

    def _next_tick(self, pts_seconds: float) -> int:
        """Turn a time into ticks that always grow: what MP4 asks for."""
        tick = round(Fraction(pts_seconds) / self._time_base)
        if self._ticks is None:
            self._ticks = tick, 0 if self._from_zero else max(tick, 0)
        else:
            last, written = self._ticks
            self._ticks = tick, written + min(max(tick - last, 1), _LONGEST_STEP)
        return self._ticks[1]

    def end(self) -> None:
        """Write what the encoder still holds, and the last fragment.

        Raises:
            FFmpegError: It cannot be written; the file is as after `abandon`.
            OSError: The same.
        """
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._check_end()
        except (FFmpegError, OSError):
            self.abandon()
            raise

    def abandon(self) -> None:
        """Give everything back after a failure, and cut the file behind its last whole fragment.

        Raises:
            OSError: The file cannot be cut.
        """
        self._give_back()
        # A fragment is a `moof` box and its `mdat` (ISO/IEC 14496-12, section 8.8.4).
        os.truncate(self._path, max((end for kind, end in _whole_boxes(self._path) if kind == b"mdat"), default=0))

    def _check_end(self) -> None:
        """Look for the index, `mfra`, at the end: FFmpeg does not tell when its last flush fails."""
        *_, last = (None, *_whole_boxes(self._path))
        if last != (b"mfra", self._path.stat().st_size):
            msg = "its end was not written"
            raise OSError(msg)

    def _give_back(self) -> None:
        with suppress(FFmpegError):  # it can only be the failure we know, now about the last fragment
            self._container.close()


def _whole_boxes(path: Path) -> Iterator[tuple[bytes, int]]:
    """Give kind and end, in bytes, of each whole box at the top of a file (ISO/IEC 14496-12, section 4.2)."""
    end = 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        while end + 8 <= size:
            file.seek(end)
            length, kind = struct.unpack(">I4s", file.read(8))
            end += max(length, 8)
            if end <= size:
                yield kind, end


def _muxing(time_base: Fraction) -> dict[str, str]:
    return {
        # delay_moov and the time scale let an edit list say exactly when the first frame comes.
        "movflags": "frag_keyframe+empty_moov+default_base_moof+delay_moov",
        "movie_timescale": str(time_base.denominator),
        "frag_duration": str(round(2 * _FRAGMENT_SECONDS * 1_000_000)),  # for encoders that take no wish for key frames
        "flush_packets": "1",
    }
