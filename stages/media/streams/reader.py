"""Reads one connection to a camera: packets, decoding, time, damage, and its end."""

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, cast

import av
from av.codec.context import Flags
from av.video.stream import VideoStream

from pipeline.errors import SourceError
from pipeline.types import Frame, Stream
from stages.media.decoding import DecodedPixels, Orientations
from stages.media.pace import Thinning
from stages.media.streams.connecting import Connection
from stages.media.streams.failures import lost, without_address
from stages.media.streams.pacing import Pace
from stages.media.streams.protocols import CLOCKLESS
from stages.media.streams.timeline import LiveTimeline
from stages.media.streams.trust import Gaps, Trust
from stages.media.streams.wallclock import WallClock
from stages.media.streams.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["LiveReader", "Reading"]

logger = logging.getLogger(__name__)

_ARRIVAL_TIME_BASE: Final = Fraction(1, 90_000)
"""For streams whose time is that of their arrival."""


@dataclass(frozen=True)
class Reading:
    """How to read a camera."""

    source_id: str
    stall_timeout_seconds: float
    """Longest time without a frame."""
    key_frame_timeout_seconds: float
    """See `Trust`."""
    frames_per_second: float | None = None
    """Give at most so many; all are decoded and counted."""
    threads: int = 1
    """Of the decoder. They share the slices of one picture, so that none is kept back."""
    is_lossy: bool = False
    """Packets may be missing without anybody saying so."""


class LiveReader:
    """Gives the frames of one connection, which it closes.

    Args:
        connection: To read.
        reading: How.

    Raises:
        SourceError: There is no video in it that can be decoded. The connection is closed.
    """

    def __init__(self, connection: Connection, reading: Reading) -> None:
        """Find the video, and prepare its decoder."""
        self._connection = connection
        self._shown = connection.address.shown
        self._reading = reading
        self._watchdog: Watchdog | None = None
        self._closed = threading.Event()
        # All streams: packets of any kind bring us back to where the time is looked at. PyAV's types hide what it is.
        self._packets = cast("Generator[av.Packet[Any]]", connection.container.demux())
        try:
            self._video = _choose(connection)
            self._prepare(self._video)
        except BaseException:
            self.close()
            raise
        limit_seconds = reading.stall_timeout_seconds
        self._watchdog = Watchdog(limit_seconds, connection.line.cut, f"watches {reading.source_id}")

    def _prepare(self, video: VideoStream) -> None:
        reading, container_name = self._reading, self._connection.container.format.name
        codec = video.codec_context
        codec.thread_type = "SLICE"
        codec.thread_count = reading.threads
        # Pictures before the first key frame come out too, flagged: they show that the camera is alive.
        codec.flags |= Flags.output_corrupt
        self.decoder = self._connection.decoder.describe(video.codec.name, is_accelerated=codec.is_hwaccel)
        """What decodes, in words."""
        self._is_clockless = container_name in CLOCKLESS
        time_base = None if self._is_clockless else video.time_base
        self._stream = Stream(
            source_id=reading.source_id,
            live=True,
            time_base=time_base or _ARRIVAL_TIME_BASE,
            frames_per_second=float(video.average_rate) if video.average_rate and time_base else None,
        )
        self._timeline = LiveTimeline(self._stream.time_base)
        self._wall_clock = WallClock(self._shown, self._stream.time_base)
        self._trust = Trust(reading.key_frame_timeout_seconds)
        self._gaps = Gaps() if reading.is_lossy else None
        self._orientations = Orientations()
        self._thinning = Thinning(reading.frames_per_second)
        self._pace = Pace() if container_name.startswith("hls") else None
        self._ready: deque[Frame] = deque()
        self._index = -1
        self._packet_count = 0
        self._last_seconds: float | None = None
        self._fault: av.FFmpegError | None = None

    def read(self) -> Frame:
        """Give the next frame; damaged ones are flagged.

        Raises:
            SourceError: There is none any more, or none within `stall_timeout_seconds`.
        """
        assert self._watchdog is not None
        with self._watchdog.watching():
            frame = self._next_frame(self._watchdog)
        if self._pace is not None:
            longest = self._reading.stall_timeout_seconds / 2
            self._closed.wait(min(longest, self._pace.wait_seconds(frame.pts_seconds, time.monotonic())))
        return frame

    def close(self) -> None:
        """Say goodbye to the camera and let go of it. Frames that were read stay valid. Twice is fine."""
        self._closed.set()
        if self._watchdog is not None:
            self._watchdog.stop()
        self._connection.line.forget()
        # Left to itself, a demuxer that was stopped between two packets lets go of its last one after its container is
        # closed, and 4 KiB of each connection are never given back.
        self._packets.close()
        self._connection.container.close()

    def _next_frame(self, watchdog: Watchdog) -> Frame:
        while True:
            while self._ready:
                frame = self._ready.popleft()
                if self._thinning.takes(frame.pts_seconds):
                    return frame
            if watchdog.is_overdue:
                raise self._stalled()
            self._decode(self._next_packet(watchdog))

    def _next_packet(self, watchdog: Watchdog) -> "av.Packet[Any]":
        if not self._connection.is_ready(self._reading.stall_timeout_seconds):
            raise self._stalled()
        try:
            packet = next(self._packets, None)
        except av.FFmpegError as error:
            if watchdog.is_overdue or isinstance(error, av.error.ExitError):
                raise self._stalled() from without_address(error)
            raise lost(self._connection.address, error, self._last_seconds) from without_address(error)
        if watchdog.has_bitten:  # what comes now is the end that it made, and what was held back until then
            raise self._stalled()
        if packet is not None and (packet.size or packet.pts is not None):
            return packet
        why = "is it restarting, or full of viewers?" if self._connection.address.host else "was it unplugged?"
        msg = f"'{self._shown}': the camera closed the stream {self._when()}; {why}"
        raise SourceError(msg)

    def _decode(self, packet: "av.Packet[Any]") -> None:
        if packet.stream_index != self._video.index:
            return
        arrived_monotonic, arrived_at = time.monotonic(), datetime.now(UTC)
        self._packet_count += 1
        self._wall_clock.note(packet)
        if packet.is_corrupt or (self._gaps is not None and self._gaps.before(packet.pts)):
            self._trust.damaged()
        try:
            pictures = self._video.decode(packet)
        except av.FFmpegError as error:
            self._fault = error
            self._trust.damaged()
            return
        for picture in pictures:
            is_corrupt = picture.is_corrupt or packet.is_corrupt
            self._ready.append(self._frame(picture, is_corrupt, arrived_monotonic, arrived_at))

    def _frame(self, picture: av.VideoFrame, is_corrupt: bool, arrived_monotonic: float, arrived_at: datetime) -> Frame:  # noqa: FBT001
        self._index += 1
        pts = None if self._is_clockless else picture.pts
        self._last_seconds = self._timeline.seconds(pts, arrived_monotonic)
        captured_at = self._wall_clock.captured_at(pts, arrived_at)
        is_key = bool(picture.key_frame)
        is_believed = self._trust.believes(is_key=is_key, is_corrupt=is_corrupt, monotonic=arrived_monotonic)
        return Frame(
            stream=self._stream,
            index=self._index,
            pts_seconds=self._last_seconds,
            captured_at=captured_at or arrived_at,
            arrived_monotonic=arrived_monotonic,
            pixels=DecodedPixels(picture, self._orientations.of(picture)),
            captured_by="sender" if captured_at else "arrival",
            is_corrupt=not is_believed,
        )

    def _when(self) -> str:
        return "before the first frame" if self._last_seconds is None else f"after {self._last_seconds:.3f} s of it"

    def _stalled(self) -> SourceError:
        limit = f"{self._reading.stall_timeout_seconds:g} s"
        if self._packet_count and self._last_seconds is None:
            cause = "" if self._fault is None else f" ({(self._fault.strerror or '').lower()})"
            msg = (
                f"'{self._shown}' sends {self._video.codec.name}, but no picture of it could be decoded within {limit}"
                f"{cause}; shorten the camera's key frame interval, or choose H.264 there"
            )
        else:
            advice = self._connection.address.advice
            msg = f"'{self._shown}' stalled: no picture for {limit}, {self._when()}; {advice}"
        return SourceError(msg)


def _choose(connection: Connection) -> VideoStream:
    shown, streams = connection.address.shown, connection.container.streams
    video = streams.best("video")
    if not isinstance(video, VideoStream):
        found = ", ".join(sorted({stream.type for stream in streams})) or "nothing"
        msg = f"'{shown}' has no video, only: {found}; check the path in the URL, and that video is on in the camera"
        raise SourceError(msg)
    if getattr(video, "codec_context", None) is None:  # PyAV's types say it is always there
        msg = f"'{shown}' sends video of a kind that PyAV's FFmpeg has no decoder for; choose H.264 in the camera"
        raise SourceError(msg)
    return video
