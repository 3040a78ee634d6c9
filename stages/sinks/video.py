"""Video with what was found drawn on it."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from pydantic import Field, PositiveFloat, field_validator

from pipeline.types import Frame, Packet
from stages.drawing.paint import Image
from stages.drawing.painter import DrawingOptions, Painter
from stages.media.mp4 import Mp4Writer
from stages.media.pace import Thinning
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.partial import Output

__all__ = ["Options", "VideoSink"]

_X264_FAMILY = frozenset({"libx264", "libx265"})


class Options(DrawingOptions):
    """Options of `video`."""

    path: OutputPath = "{source}.mp4"
    """File, relative to the run's folder; one for each source."""
    frames_per_second: PositiveFloat | None = None
    """Leave frames out above this rate; null writes every frame. The others keep their times either way."""
    from_zero: bool = True
    """Let the first frame be at 0 s, as players expect; false keeps the source's PTS, and a recording that starts at
    1 h shows nothing for an hour."""
    codec: str = "libx264"
    """An FFmpeg encoder; `libx264` plays everywhere."""
    crf: Annotated[int, Field(ge=0, le=51)] = 23
    """Quality of libx264 and libx265: lower is better and larger."""
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"] = "superfast"
    """Effort of libx264 and libx265: slower is smaller."""

    @field_validator("path")
    @classmethod
    def _one_mp4_a_source(cls, path: str) -> str:
        if "{source}" not in path or not path.endswith(".mp4"):
            msg = "the path must hold {source}, for one video a source, and end in .mp4"
            raise ValueError(msg)
        return path

    @field_validator("codec")
    @classmethod
    def _is_a_video_encoder(cls, codec: str) -> str:
        try:
            kind = Codec(codec, "w").type
        except UnknownCodecError:
            kind = "unknown"
        if kind != "video":
            msg = "FFmpeg has no video encoder of that name; try libx264"
            raise ValueError(msg)
        return codec


class VideoSink(FileSink):
    """Writes an MP4 for each source, with the times of its frames, under `{source}.mp4`.

    The file can be played while it grows, and up to its last second when the process was killed. All of it has the
    size of the first frame; later frames of another size are fitted into it. Sound is left out. A source of which no
    frame came has no video.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"pixels"})
    waits_for_packets: ClassVar[bool] = True

    def begin(self, target: Path) -> Output:
        """Make the file, which is opened by its first frame."""
        return _VideoFile(target, self.options)


class _VideoFile(Output):
    def __init__(self, target: Path, options: Options) -> None:
        super().__init__(target)
        self._options = options
        self._thinning = Thinning(options.frames_per_second)
        self._painter = Painter(options)
        self._writer: Mp4Writer | None = None

    def write(self, packet: Packet) -> None:
        self.check()
        frame = packet.frame
        self._painter.take_note(packet)
        if not self._thinning.takes(frame.pts_seconds):
            return
        picture = self._painter.draw(packet)
        try:
            if self._writer is None:
                self._writer = self._open(frame, picture)
            self._writer.write(picture, frame.pts_seconds)
        except (FFmpegError, OSError, ValueError) as error:
            raise self.failed(error) from error

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.abandon() if self._failure else writer.end()
        except (FFmpegError, OSError) as error:
            raise self.failed(error) from error

    def finish(self) -> None:
        if self._writer is not None or self._failure is not None:  # else no frame could be drawn: there is no file
            super().finish()

    def _open(self, frame: Frame, picture: Image) -> Mp4Writer:
        options = self._options
        # zerolatency: no frame waits in the encoder, so a killed process loses none there
        tuning = {"crf": str(options.crf), "preset": options.preset, "tune": "zerolatency", "forced-idr": "1"}
        return Mp4Writer(
            self.part,
            picture.shape[1],
            picture.shape[0],
            time_base=frame.stream.time_base,
            codec=options.codec,
            options=tuning if options.codec in _X264_FAMILY else {},
            from_zero=options.from_zero,
        )
