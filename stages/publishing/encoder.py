"""One FFmpeg process that encodes pictures and sends them somewhere."""

import re
import shutil
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
import ffmpeg
import imageio_ffmpeg
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from stages.drawing.paint import Image

__all__ = ["Encoding", "arguments", "find_ffmpeg", "plainly", "planes"]

_ORIGIN: Final = re.compile(r"\[[^\]]* @ 0x[0-9a-f]+\] ")
_CONSEQUENCE: Final = re.compile(
    "^(Task finished|Terminating thread|Error sending frames|Error while opening encoder|Could not open encoder"
    "|Nothing was written|Error (opening|submitting|muxing|writing|closing)|Conversion failed)"
)
_MOST_LINES: Final = 3


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a stream is encoded: H.264 without B-frames, each picture sent as soon as it is encoded."""

    frames_per_second: Fraction
    key_seconds: float
    """A viewer who comes waits at most so long for a picture."""
    crf: int
    preset: str
    kilobits_per_second: int | None
    """At most; None leaves it to `crf`."""

    def options(self) -> dict[str, str | int]:
        """Give the options of the encoder."""
        options: dict[str, str | int] = {
            "c:v": "libx264",
            "preset": self.preset,
            "tune": "zerolatency",
            "crf": self.crf,
            "g": max(1, round(self.frames_per_second * Fraction(self.key_seconds))),
            "sc_threshold": 0,
            "threads": 1,  # several would cut each picture into slices, which not every server passes on whole
            "pix_fmt": "yuv420p",
            "color_range": "tv",
            "colorspace": "bt709",
            "color_primaries": "bt709",
            "color_trc": "bt709",
        }
        if self.kilobits_per_second is not None:
            options |= {"maxrate": f"{self.kilobits_per_second}k", "bufsize": f"{self.kilobits_per_second}k"}
        return options


def find_ffmpeg() -> str:
    """Give the path of the program: `ffmpeg` on PATH, else the one that comes with imageio-ffmpeg.

    Raises:
        RuntimeError: There is none.
    """
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def arguments(
    program: str, target: str, size: tuple[int, int], encoding: Encoding, muxing: dict[str, str | int | float]
) -> list[str]:
    """Compose the command line.

    Args:
        program: Path of FFmpeg.
        target: A URL, or a path.
        size: Width and height of the pictures, pixels, even.
        encoding: How they are encoded.
        muxing: Options of the muxer.
    """
    pictures = ffmpeg.input(
        "pipe:0",
        format="rawvideo",
        pix_fmt="yuv420p",
        color_range="tv",
        colorspace="bt709",
        video_size=size,
        framerate=str(encoding.frames_per_second),
        probesize=32,  # there is nothing to find out: the first picture goes on its way at once
        analyzeduration=0,
    )
    written = ffmpeg.output(pictures, target, **encoding.options(), **muxing)
    quiet = written.global_args("-nostdin", "-hide_banner", "-loglevel", "warning", "-y")
    return [str(argument) for argument in ffmpeg.compile(quiet, cmd=program)]


def plainly(words: str) -> str:
    """Leave out of FFmpeg's lines what only its makers understand; the first lines that are left tell the cause."""
    lines = [_ORIGIN.sub("", line) for line in words.split("; ")]
    return "; ".join([line for line in dict.fromkeys(lines) if not _CONSEQUENCE.search(line)][:_MOST_LINES])


def planes(image: Image, reformatter: VideoReformatter) -> bytes:
    """Turn a picture into what the process reads: half as many bytes, and work that FFmpeg needs no thread for.

    Args:
        image: Shape (H, W, 3), uint8, BGR, with even sides.
        reformatter: One a thread.

    Returns:
        Planes of YUV 4:2:0, BT.709, limited range: H * W * 3 / 2 bytes.
    """
    frame = av.VideoFrame.from_numpy_buffer(image, format="bgr24")
    frame = reformatter.reformat(
        frame, format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    return frame.to_ndarray().tobytes()
