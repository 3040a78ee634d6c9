"""One video stream of a file, through FFmpeg: seeks, decodes, goes on after damage, and notices an early end."""

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction  # noqa: TC003 - imports stand in one block
from itertools import chain
from typing import Any

import av

from pipeline.errors import SourceError
from stages.media.opening import choose_stream, open_container

__all__ = ["VideoReader"]

_SEEK_BACK_SECONDS = (0.0, 1.0, 10.0, 60.0)
"""How much earlier to look for a key frame where an index points behind the wanted time (reordering, MPEG-TS)."""
_SELF_CONTAINED = frozenset({"mov", "matroska", "avi"})
"""Containers that say how long they are. A transport stream or a fragment can end anywhere, and is then complete."""
_UNKNOWN_FRAMES_PER_SECOND = 25
"""What FFmpeg assumes for a raw stream that says nothing."""
_BEFORE_ALL = -(1 << 63)
"""Earlier than any PTS."""
_AFTER_ALL = 1 << 63
"""Later than any PTS."""


class VideoReader:
    """Decodes one video stream, in the order of presentation.

    A packet that cannot be decoded does not end the file: decoding goes on. The frame it held is counted in
    `undecodable`, and so are those that the decoder keeps back after it, because they build upon it.

    Args:
        path: A file or a URL.
        stream_index: Which of its video streams, from 0; None for the one FFmpeg takes for the main one.
        threads: Of the decoder; 0 lets FFmpeg decide.

    Raises:
        SourceError: It cannot be opened, or has no such stream.
    """

    def __init__(self, path: str, *, stream_index: int | None = None, threads: int = 0) -> None:
        """Open the container and choose the stream."""
        self.path = path
        self._stream_index = stream_index
        self._threads = threads
        self.decoded = 0
        """Frames that came out of the decoder."""
        self._timeless_refused = 0
        self._missing: set[int] = set()  # PTS of frames that should have come by now
        self.fault: av.FFmpegError | None = None
        """The last thing that FFmpeg complained about."""
        self._open()

    def _open(self) -> None:
        self._container = open_container(self.path)
        try:
            self.stream = choose_stream(self._container, self.path, self._stream_index)
        except SourceError:
            self._container.close()
            raise
        self.stream.thread_type = "AUTO"
        self.stream.codec_context.thread_count = self._threads
        assert self.stream.time_base is not None  # every demuxed stream has one
        self.time_base: Fraction = self.stream.time_base
        self._tick_seconds = {stream.index: float(stream.time_base or 0) for stream in self._container.streams}
        self._demuxed: Iterator[av.Packet[Any]] = self._container.demux()
        self._newest_pts = _BEFORE_ALL
        self._awaited: set[int] = set()  # PTS of packets whose frames have not come
        self._read_end_seconds = 0.0
        self._cut_short = False
        self._demuxer_failed = False

    def close(self) -> None:
        """Close the container. Frames that were handed out stay valid."""
        self._container.close()

    @property
    def undecodable(self) -> int:
        """How many frames never came out of the decoder."""
        return len(self._missing) + self._timeless_refused

    @property
    def frames_per_second(self) -> float | None:
        """Average rate, if the container knows it."""
        return float(self.stream.average_rate) if self.stream.average_rate else None

    @property
    def frame_ticks(self) -> int:
        """Duration of an average frame, in ticks of the time base."""
        rate = self.stream.average_rate or self.stream.guessed_rate or _UNKNOWN_FRAMES_PER_SECOND
        return max(1, round(1 / (rate * self.time_base)))

    @property
    def start_seconds(self) -> float:
        """PTS of the first frame, as announced."""
        return float((self.stream.start_time or 0) * self.time_base)

    @property
    def announced_frames(self) -> int | None:
        """How many frames the container says it has, or should have by its duration; None if it says nothing."""
        if self.stream.frames:
            return self.stream.frames
        end_seconds = self._end_seconds()
        if end_seconds is None or self.frames_per_second is None:
            return None
        return max(0, round((end_seconds - self.start_seconds) * self.frames_per_second))

    def frames(self, start_seconds: float | None = None, end_seconds: float | None = None) -> Iterator[av.VideoFrame]:
        """Decode to the end of the file.

        Args:
            start_seconds: Begin at a key frame at or before this time, so some earlier frames come first; None to
                begin with the first.
            end_seconds: What comes later is of no interest: a file that ends between there and its announced end
                is no error. Frames from there on come all the same.

        Raises:
            SourceError: After the last good frame: the file is cut off, or cannot be read any further, or held no
                frame at all.
        """
        if start_seconds is not None and start_seconds > self.start_seconds:
            self._seek(start_seconds)
        last_pts = None
        for frame in self._decode():
            last_pts = frame.pts
            yield frame
        if self._threads != 1 and last_pts is not None and last_pts < self._newest_pts:
            yield from self._decode_tail(after=last_pts)
        else:
            self._settle(_AFTER_ALL)
        self._check_end(end_seconds)

    def _decode(self, after: int = _BEFORE_ALL) -> Iterator[av.VideoFrame]:
        """Decode packet by packet, and count the packets later than `after` that give no frame."""
        for packet in chain(self._packets(), [None]):  # None makes the decoder hand out what it holds back
            if packet is not None and packet.pts is not None:
                self._awaited.add(packet.pts)
            try:
                frames = self.stream.decode(packet)
            except av.FFmpegError as error:
                self.fault = error
                self._timeless_refused += not self._awaited  # packets without PTS: one refused, one frame less
                continue
            for frame in frames:
                if frame.pts in self._missing:
                    continue  # damage before it held it up until its turn was over
                self.decoded += 1
                if frame.pts is not None:
                    self._settle(frame.pts, after)
                yield frame

    def _settle(self, pts: int, after: int = _BEFORE_ALL) -> None:
        """Frames come in the order of their PTS: what was awaited before `pts` is missing.

        Without an error so far nothing is missing: an interlaced picture may come in two packets.
        """
        passed = {awaited for awaited in self._awaited if awaited <= pts}
        if self.fault is not None:
            self._missing |= {awaited for awaited in passed - {pts} if awaited > after}
        self._awaited -= passed

    def _decode_tail(self, after: int) -> Iterator[av.VideoFrame]:
        """Decode the last frames again, on one thread.

        With several threads, a damaged packet among the last makes FFmpeg's wrapper forget the good frames behind it.
        """
        with closing(VideoReader(self.path, stream_index=self._stream_index, threads=1)) as tail:
            tail._seek(float(after * self.time_base))  # noqa: SLF001 - of the same class
            for frame in tail._decode(after):  # noqa: SLF001 - of the same class
                if frame.pts is not None and frame.pts > after:
                    self.decoded += 1
                    yield frame
            tail._settle(_AFTER_ALL, after)  # noqa: SLF001 - of the same class
            self._missing |= tail._missing  # noqa: SLF001 - of the same class

    def _packets(self) -> "Iterator[av.Packet[Any]]":
        """Read packets of our stream, and keep book of how far the file goes."""
        try:
            for packet in self._demuxed:
                if not packet.size:  # the end, or "show the last picture again"
                    continue
                self._cut_short = packet.is_corrupt
                if packet.pts is not None:
                    end_ticks = packet.pts + (packet.duration or 0)
                    seconds = end_ticks * self._tick_seconds.get(packet.stream_index, 0.0)
                    self._read_end_seconds = max(self._read_end_seconds, seconds)
                if packet.stream_index == self.stream.index:
                    if packet.pts is not None:
                        self._newest_pts = max(packet.pts, self._newest_pts)
                    yield packet
        except av.FFmpegError as error:
            self.fault = error
            self._demuxer_failed = True

    def _seek(self, seconds: float) -> None:
        """Go to a key frame at or before `seconds`; to the beginning where none is found."""
        if not any(self._land(seconds - back, seconds) for back in _SEEK_BACK_SECONDS):
            self._container.close()
            self._open()

    def _land(self, target_seconds: float, seconds: float) -> bool:
        """Seek, and read up to the first key frame; tell whether it is early enough."""
        try:
            self._container.seek(int(target_seconds / self.time_base), stream=self.stream)
            self._demuxed = self._container.demux()
            for packet in self._demuxed:
                if packet.stream_index == self.stream.index and packet.is_keyframe and packet.size:
                    self._demuxed = chain([packet], self._demuxed)
                    return packet.pts is not None and packet.pts * self.time_base <= seconds
        except av.FFmpegError:
            return False  # this container cannot seek there; the next attempt, or reading from the start, will do
        return False

    def _check_end(self, wanted_seconds: float | None) -> None:
        """Say so if this is not the end that the file announced."""
        if not self.decoded:
            coded = f"'{self.path}' has a video stream ({self.stream.name})"
            msg = f"{coded}, but no frame of it can be decoded: {self._complaint()}; record or fetch it again"
            raise SourceError(msg) from self.fault
        reached = self._read_end_seconds
        if wanted_seconds is not None and wanted_seconds <= reached:
            return
        where = f"at {reached:.3f} s, after {self.decoded} frames, which were delivered"
        if self._demuxer_failed:
            msg = f"'{self.path}' cannot be read any further {where}: {self._complaint()}; fetch the file again"
            raise SourceError(msg) from self.fault
        announced = self._end_seconds() if self._format() in _SELF_CONTAINED else None
        tolerance = 0.05 + 2 * float(self.frame_ticks * self.time_base)
        if announced is not None and (self._cut_short or announced - reached > tolerance):
            msg = (
                f"'{self.path}' is cut off: it ends {where}, but announces {announced:.3f} s; fetch the file again,"
                f" or set end_seconds={reached:.3f} to accept what is there"
            )
            raise SourceError(msg)

    def _complaint(self) -> str:
        return "it holds none" if self.fault is None else f"{self.fault.strerror}"

    def _format(self) -> str:
        return self._container.format.name.split(",")[0]

    def _end_seconds(self) -> float | None:
        """Give the end of the last frame as announced, or as FFmpeg guesses it."""
        if self._container.duration is None:
            return None
        # FFmpeg's Matroska writer notes where the last frame ends, whenever the first began.
        start = 0 if self._format() == "matroska" else self._container.start_time or 0
        return (start + self._container.duration) / av.time_base
