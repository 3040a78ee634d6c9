"""MOTChallenge text: what trackers are judged by."""

from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from pipeline import plugin
from pipeline.types import Packet
from stages.rows import ids, rounded
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import SOURCE, OutputPath
from stages.sinks.partial import Output, RecordFile

__all__ = ["MotSink", "Options"]


class Options(plugin.Options):
    """Options of `mot`."""

    path: OutputPath = "{source}.txt"
    """File, relative to the run's folder, with `{source}` in it: one for each source."""

    @field_validator("path")
    @classmethod
    def _one_file_a_source(cls, path: str) -> str:
        if SOURCE not in path:
            msg = "a row does not say which source it is of: put {source} into the path"
            raise ValueError(msg)
        return path


class MotSink(FileSink):
    """Writes `frame,id,x,y,w,h,score,-1,-1,-1` a person (motchallenge.net/instructions).

    Frames count from 1; (x, y) is the top left corner, and all four are in pixels of the frame. Only people with an
    identity are written. A source of which no frame came has no file.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"xyxy", "track_id"})

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _MotFile(target)


class _MotFile(Output):
    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._file = RecordFile(self.part)

    def write(self, packet: Packet) -> None:
        if packet.instances is None:
            return
        boxes, scores, _ = rounded(packet.instances)
        number = packet.frame.index + 1
        lines = (
            f"{number},{track_id},{x1},{y1},{x2 - x1:.2f},{y2 - y1:.2f},{score},-1,-1,-1\n"
            for track_id, (x1, y1, x2, y2), score in zip(ids(packet.instances), boxes, scores, strict=True)
            if track_id is not None
        )
        self._file.append("".join(lines).encode())

    def close(self) -> None:
        self._file.close()
