"""Annotated live streams for others to watch: RTSP, RTMP, SRT or HLS."""

import logging
import time
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from pipeline.errors import SinkError
from pipeline.secrets import mask
from pipeline.stage import Overflow
from pipeline.types import Packet, SourceStatus, Stream
from stages.drawing.painter import DrawingOptions, Painter
from stages.drawing.status import PICTURE_STATES, status_words
from stages.publishing.broadcast import Broadcast
from stages.publishing.encoder import Encoding, arguments, find_ffmpeg
from stages.publishing.pace import RealTime
from stages.sinks.address import Address, check_address
from stages.sinks.base import FrameSink
from stages.sinks.partial import unwritable

__all__ = ["Options", "PublishSink"]

_log = logging.getLogger(__name__)

_USUAL_FRAMES_PER_SECOND: Final = 25.0
_SLOWEST, _FASTEST = 1.0, 60.0
"""Frames a second that a stream may claim; beyond them, it is taken for a mistake."""
_STUCK_SECONDS: Final = 10.0
_WAITING_SECONDS: Final = 10**9
"""How long FFmpeg may take nothing; while it waits for a viewer, as long as it likes."""


class Options(DrawingOptions):
    """Options of `publish`."""

    url: Annotated[str, AfterValidator(check_address)]
    """Where to: `rtsp://localhost:8554/{source}` (a server such as mediamtx shows it to everybody), `rtmp://`, `srt://`,
    or for HLS the path of a playlist, `hls/{source}/index.m3u8`, relative to the run's folder. Other users of this
    machine can see a password in it, in the list of processes."""
    frames_per_second: Annotated[float, Field(ge=_SLOWEST, le=_FASTEST)] | None = None
    """Rate of the stream; null takes that of the source, or 25 where it does not say."""
    realtime: bool = True
    """Let files pass as fast as they would be played, and the whole run no faster; false shows as much of them as there
    is time for."""
    key_seconds: Annotated[float, Field(ge=0.1, le=10)] = 1.0
    """From key frame to key frame: who begins to watch waits for one. Of HLS, the length of a segment."""
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    """Quality: lower is better and larger."""
    kilobits_per_second: Annotated[int, Field(ge=50)] | None = None
    """At most so many; null leaves it to `crf`."""
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = "superfast"
    """Effort of libx264: slower is smaller."""


class PublishSink(FrameSink):
    """Sends each source as a stream of its own, from a thread and an FFmpeg process of its own.

    A stream begins with the first frame of its source and has a constant rate: where nothing new comes, the last
    picture is repeated; while a camera is away, dimmed, with the reason across it. Nothing waits for a viewer: what
    cannot be sent in time is left out. When FFmpeg dies, it alone is started again, after a while that grows up to a
    minute.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"pixels"})
    overflow: ClassVar[Overflow] = "block"
    """It never waits for a viewer, and frames of cameras are only handed over. But a file must wait for its turn."""
    options: Options

    def __init__(self, options: Any, out: Path) -> None:  # noqa: ANN401 - each plug-in has its own options
        """Keep the options; nothing is started yet."""
        super().__init__(options, out)
        self._address = Address(options.url, out)
        self._program = ""
        self._broadcasts: dict[str, Broadcast] = {}
        self._paces: dict[str, RealTime] = {}
        self._restarts: dict[str, int] = {}
        self._refused: set[str] = set()

    def targets(self) -> tuple[str, ...]:
        """Name the playlist, `{source}` in place of a source's name; a URL is nothing that is left behind."""
        return () if self._address.path is None else (self._address.path,)

    @property
    def restarts(self) -> dict[str, int]:
        """How often FFmpeg was started again, by source."""
        return self._restarts | {source: broadcast.restarts for source, broadcast in self._broadcasts.items()}

    @property
    def pids(self) -> dict[str, int | None]:
        """Number of each source's FFmpeg process; None while it has none."""
        return {source: broadcast.pid for source, broadcast in self._broadcasts.items()}

    def open(self) -> None:
        """Find FFmpeg, and for HLS make sure of the folder.

        Raises:
            SinkError: There is no FFmpeg, or the folder cannot be made.
        """
        try:
            self._program = find_ffmpeg()
        except RuntimeError as error:
            msg = "publish needs the program ffmpeg: install it, or pip install --force-reinstall imageio-ffmpeg"
            raise SinkError(msg) from error
        if self._address.path is not None:
            fixed, _, _ = self._address.path.partition("{source}")
            _make(Path(f"{fixed}_").parent)

    def write(self, packet: Packet) -> None:
        """Hand over a packet; one of a file, when it is due.

        Raises:
            SinkError: A picture cannot be drawn or encoded, or the folder of a playlist cannot be made.
        """
        if (broadcast := self._broadcast_of(packet)) is None:
            return
        if self.options.realtime and not packet.frame.stream.live:
            pace = self._paces.setdefault(packet.source_id, RealTime())
            time.sleep(pace.wait_seconds(packet.frame.pts_seconds))
        broadcast.show(packet)

    def source_changed(self, status: SourceStatus) -> None:
        """Say in the picture why there is no newer one."""
        if (broadcast := self._broadcasts.get(status.source_id)) is not None:
            broadcast.say(None if status.state in PICTURE_STATES else status_words(status))

    def end_source(self, source_id: str) -> None:
        """End the stream of a source."""
        self._end([source_id] if source_id in self._broadcasts else [])

    def close(self) -> None:
        """End all streams, all at once: within 3 s."""
        self._end(list(self._broadcasts))

    def _end(self, source_ids: list[str]) -> None:
        ending = {source_id: self._broadcasts.pop(source_id) for source_id in source_ids}
        for broadcast in ending.values():
            broadcast.end()
        for source_id, broadcast in ending.items():
            broadcast.join()
            self._restarts[source_id] = broadcast.restarts
            self._paces.pop(source_id, None)

    def _broadcast_of(self, packet: Packet) -> Broadcast | None:
        source_id = packet.source_id
        if source_id not in self._broadcasts:
            if self._address.is_shared and self._broadcasts:
                self._refuse(source_id)
                return None
            self._broadcasts[source_id] = self._begin(packet.frame.stream)
        return self._broadcasts[source_id]

    def _refuse(self, source_id: str) -> None:
        if source_id not in self._refused:
            self._refused.add(source_id)
            taken = next(iter(self._broadcasts))
            _log.warning(
                "'%s' is not published: %s is taken by '%s'; put {source} into the url, for one stream a source",
                source_id, mask(self.options.url), taken,
            )  # fmt: skip

    def _begin(self, stream: Stream) -> Broadcast:
        source_id, options = stream.source_id, self.options
        target = self._address.of(source_id)
        if (folder := self._address.folder(source_id)) is not None:
            _make(folder)
        rate = options.frames_per_second or stream.frames_per_second or _USUAL_FRAMES_PER_SECOND
        encoding = Encoding(
            Fraction(min(max(rate, _SLOWEST), _FASTEST)).limit_denominator(1001),
            key_seconds=options.key_seconds,
            crf=options.crf,
            preset=options.preset,
            kilobits_per_second=options.kilobits_per_second,
        )

        def command(size: tuple[int, int], again: bool) -> list[str]:  # noqa: FBT001 - see Broadcast
            muxing = self._address.muxing(source_id, options.key_seconds, again=again)
            return arguments(self._program, target, size, encoding, muxing)

        return Broadcast(
            f"'{source_id}' to {mask(target)}",
            Painter(options),
            encoding.frames_per_second,
            command,
            folder=self._address.folder(source_id),
            stuck_seconds=_WAITING_SECONDS if self._address.may_wait else _STUCK_SECONDS,
        )


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
