"""Network cameras: RTSP, and every other live protocol that FFmpeg reads (RTMP, HTTP, HLS, UDP, RTP, TCP ...)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipeline import plugin
from pipeline.secrets import remember_secret
from pipeline.types import Frame
from stages.media.streams.address import Address, parse
from stages.media.streams.connecting import connect
from stages.media.streams.hardware import Hardware, choose
from stages.media.streams.protocols import Transport, protocol_options
from stages.media.streams.reader import LiveReader, Reading
from stages.sources.base import FrameSource

__all__ = ["Options", "RtspSource"]


class Options(plugin.Options):
    """Which camera, and how long to wait for it."""

    model_config = ConfigDict(hide_input_in_errors=True)  # it may be a password

    url: str = Field(min_length=1, repr=False)
    """Of the camera: `rtsp://cam1.local/stream1`. Also rtsps, rtmp, rtmps, http, https (MJPEG, HLS, ...), udp, rtp,
    tcp, tls, srt. User and password may stand in it, percent-encoded: `rtsp://me:secret@cam1.local/stream1`."""
    user: str | None = None
    """Of the camera, where none stands in the URL."""
    password: str | None = Field(default=None, repr=False)
    """Of that user, best as `${CAMERA_PASSWORD}`."""
    password_file: Path | None = None
    """A file that holds the password, such as a secret of a container; read anew at each connection."""
    transport: Transport = "tcp"
    """What carries RTSP's pictures. `tcp` loses nothing; `udp` is what a few cameras need; `auto` tries UDP first."""
    stall_timeout_seconds: float = Field(default=5.0, gt=0, le=300)
    """A camera that gives no frame for so long is stalled, and connected to anew; also the time it has to answer."""
    key_frame_timeout_seconds: float = Field(default=15.0, gt=0, allow_inf_nan=False)
    """After damage, frames are left out until the next key frame; no longer than this while nothing more is damaged."""
    frames_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Take at most so many frames; the others are decoded and counted in `Frame.index`, but not delivered."""
    hwaccel: Hardware = "auto"
    """What decodes: `cuda`, `vaapi`, or `none` for the processor; `auto` takes CUDA where there is a device."""
    decoder_threads: int = Field(default=1, ge=1)
    """Of a decoder in software. More help only with cameras that cut each picture into slices."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        parse(url)
        return url

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.password is not None:
            remember_secret(self.password)
        in_url = parse(self.url).user is not None
        by_options = self.password is not None or self.password_file is not None
        if self.password is not None and self.password_file is not None:
            msg = "give either 'password' or 'password_file', not both"
            raise ValueError(msg)
        if in_url and (self.user is not None or by_options):
            msg = "the URL holds a user already: give the credentials there, or as options, not in both places"
            raise ValueError(msg)
        if by_options and self.user is None:
            msg = "a password needs a user: set the option 'user' too"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _check_rate(self) -> Self:
        least = 2 / self.stall_timeout_seconds
        if self.frames_per_second is not None and self.frames_per_second < least:
            msg = (
                f"frames_per_second must be at least 2 / stall_timeout_seconds = {least:g}, or a camera that is well"
                f" would seem stalled; got {self.frames_per_second:g}"
            )
            raise ValueError(msg)
        return self


class RtspSource(FrameSource):
    """Reads one network camera, until the connection is lost.

    Each frame or error comes within `stall_timeout_seconds`, whatever the camera does: no answer, silence, a trickle,
    an end. `Frame.index` counts the decoded frames of this connection from 0; `pts_seconds` is the camera's (see
    `LiveTimeline`), `captured_at` its wall clock where it sends one (RTCP), else the time of arrival.

    A frame that is damaged, or builds upon a damaged one, or came before the first key frame, is `is_corrupt`.

    A camera's picture may change its size at any time; then frames do, too.
    """

    live = True
    options: Options

    def __init__(self, options: Options, source_id: str) -> None:
        """Keep the options; nothing is opened yet."""
        super().__init__(options, source_id)
        self.stall_timeout_seconds = options.stall_timeout_seconds
        self._address: Address = parse(options.url)
        self.host = self._address.host
        self.decoder = ""
        """What decodes, once it is open: `h264, software (cuda was asked for, not available)`."""
        self._reader: LiveReader | None = None

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> Sequence[Self]:
        """Make one source, named after the camera's host and path."""
        assert isinstance(options, Options)
        return [cls(options, source_id or parse(options.url).name)]

    def open(self) -> None:
        """Connect to the camera.

        Raises:
            AuthenticationFailed: It refuses the credentials.
            SourceError: It does not answer, or has no such stream, or no video.
        """
        options = self.options
        connection = connect(
            self._address,
            self._address.with_credentials(options.user, options.password, options.password_file),
            protocol_options(self._address.scheme, options.transport, options.stall_timeout_seconds),
            timeout_seconds=options.stall_timeout_seconds,
            decoder=choose(options.hwaccel),
        )
        reading = Reading(
            source_id=self.source_id,
            stall_timeout_seconds=options.stall_timeout_seconds,
            key_frame_timeout_seconds=options.key_frame_timeout_seconds,
            frames_per_second=options.frames_per_second,
            threads=options.decoder_threads,
            is_lossy=self._is_lossy(),
        )
        self._reader = LiveReader(connection, reading)
        self.decoder = self.description = self._reader.decoder

    def read(self) -> Frame:
        """Give the next frame.

        Raises:
            AuthenticationFailed: The camera refuses the credentials now.
            SourceError: The camera stalled, hung up or cannot be decoded; connect anew.
        """
        assert self._reader is not None, "open the source before reading from it"
        return self._reader.read()

    def close(self) -> None:
        """Say goodbye to the camera. Frames that were read stay valid."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _is_lossy(self) -> bool:
        if self._address.scheme in {"rtsp", "rtsps"}:
            return self.options.transport != "tcp"
        return self._address.scheme in {"udp", "rtp"}
