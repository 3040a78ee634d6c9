"""Cameras of this machine: USB webcams, and everything else that Linux shows as /dev/video0."""

import errno
import select
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final, Literal, Self

import av
from pydantic import Field

from pipeline import plugin
from pipeline.errors import SourceError
from pipeline.types import Frame
from stages.media.streams.address import Address
from stages.media.streams.connecting import Connection
from stages.media.streams.hardware import Decoder
from stages.media.streams.reader import LiveReader, Reading
from stages.sources.base import FrameSource

__all__ = ["CameraSource", "Options"]

_FORMATS: Final[Mapping[str, str]] = {"mjpeg": "mjpeg", "yuyv": "yuyv422", "h264": "h264"}
"""Pixel format -> FFmpeg's name of it."""

_WHY: Final[Mapping[int, str]] = {
    errno.EACCES: "no permission; add yourself to the group 'video', or give the container the device",
    errno.EBUSY: "another program uses it; close that one",
    errno.EINVAL: "it refuses this size, frames_per_second or pixel_format; leave them out, or ask for what it offers",
    errno.EISDIR: "it is a folder; expected a camera such as /dev/video0",
    errno.ENODEV: "it is not plugged in any more, or takes no pictures (many cameras have a second device without any)",
    errno.ENOTTY: "it is no camera; expected one such as /dev/video0",
    errno.ENXIO: "it is not plugged in any more",
}


class Options(plugin.Options):
    """Which camera, and what to ask of it."""

    path: str = Field(default="0", min_length=1, coerce_numbers_to_str=True)
    """Its number (`0` is /dev/video0) or its path; `/dev/v4l/by-id/...` stays the same when others are plugged in."""
    size: str | None = Field(default=None, pattern=r"^[1-9]\d*x[1-9]\d*$")
    """Of the pictures, in pixels: `1280x720`. By default what the camera chooses."""
    frames_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """To ask the camera for; it takes the nearest it can."""
    pixel_format: Literal["mjpeg", "yuyv", "h264"] | None = None
    """How the camera sends pictures: USB 2 has room for large ones only as `mjpeg`. By default the camera's first."""
    stall_timeout_seconds: float = Field(default=5.0, gt=0, le=300)
    """A camera that gives no frame for so long is stalled, and opened anew."""


class CameraSource(FrameSource):
    """Reads one camera of this machine until it is unplugged.

    `Frame.pts_seconds` comes from the kernel's time stamps, whichever clock those are of.
    """

    live = True
    options: Options
    container_format: ClassVar[str] = "video4linux2,v4l2"
    """FFmpeg's name of what reads the device."""

    def __init__(self, options: Options, source_id: str) -> None:
        """Keep the options; nothing is opened yet."""
        super().__init__(options, source_id)
        self.stall_timeout_seconds = options.stall_timeout_seconds
        self.decoder = ""
        """What decodes, once it is open."""
        self._reader: LiveReader | None = None

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make one source, named after the device: `video0`."""
        assert isinstance(options, Options)
        return [cls(options, source_id or Path(_device(options.path)).name)]

    def open(self) -> None:
        """Open the camera.

        Raises:
            SourceError: It is not there, in use, no camera, or cannot do what is asked.
        """
        path = _device(self.options.path)
        try:
            container = av.open(path, format=self.container_format, options=self._requests())
        except av.FFmpegError as error:
            msg = f"cannot open the camera '{path}': {_why(error)}"
            raise SourceError(msg) from error
        address = Address(shown=path, scheme="v4l2", host="", port=None, url=path)
        connection = Connection(address, container, Decoder("none"), is_ready=_waiting_for(path))
        limit_seconds = self.options.stall_timeout_seconds
        self._reader = LiveReader(connection, Reading(self.source_id, limit_seconds, limit_seconds))
        self.decoder = self.description = self._reader.decoder

    def read(self) -> Frame:
        """Give the next frame.

        Raises:
            SourceError: The camera is gone, or gives nothing any more.
        """
        assert self._reader is not None, "open the source before reading from it"
        return self._reader.read()

    def close(self) -> None:
        """Let go of the camera. Frames that were read stay valid."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _requests(self) -> dict[str, str]:
        asked = {
            "video_size": self.options.size,
            "framerate": self.options.frames_per_second,
            "input_format": self.options.pixel_format and _FORMATS[self.options.pixel_format],
        }
        return {name: str(value) for name, value in asked.items() if value is not None}


def _device(number_or_path: str) -> str:
    return f"/dev/video{number_or_path}" if number_or_path.isdecimal() else number_or_path


def _why(error: av.FFmpegError) -> str:
    if error.errno == errno.ENOENT:
        there = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        return f"there is no such device; those there are: {there}. Plug it in, or check the number"
    return _WHY.get(error.errno or 0, f"{error.strerror}; check the camera and its cable")


def _waiting_for(path: str) -> Callable[[float], bool]:
    """Make the function that waits until a device has a picture: taking one that never comes would block for ever."""
    for descriptor in _descriptors_of(path):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return lambda seconds: bool(poll.poll(seconds * 1000))
    return lambda _seconds: True


def _descriptors_of(path: str) -> Iterator[int]:
    """Find what this process has opened a device as; nothing for what is no file."""
    target = Path(path).resolve()
    with suppress(OSError):  # not Linux, or closed meanwhile
        for link in Path("/dev/fd").iterdir():
            if link.resolve() == target:
                yield int(link.name)
