"""JSON lines: one line a frame, readable while it is written."""

import json
from pathlib import Path

from pipeline import plugin
from pipeline.types import Packet
from stages.rows import frame_object
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.partial import Output, RecordFile

__all__ = ["JsonlSink", "Options"]


class Options(plugin.Options):
    """Options of `jsonl`."""

    path: OutputPath = "people.jsonl"
    """File, relative to the run's folder; `{source}` makes one for each source."""


class JsonlSink(FileSink):
    """Writes `{"source", "frame", "pts", "captured_at", "people": [{"id", "score", "box", "keypoints"}]}` a frame.

    `box` is [x1, y1, x2, y2] and a joint [x, y, score], in pixels of the frame; `id` is null without an identity,
    and `keypoints` is left out where no pose was estimated. Names outside ASCII are escaped, as JSON allows.

    Where a rule saw something happen, the line has `events` too: [{"rule", "kind", "state", "id", "reason", "values"}].

    Where a pose model looks at people in turns, each person also has `predicted`: true when nobody looked at them in
    this frame, and the joints moved along with the box.
    """

    options: Options

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _JsonlFile(target)


class _JsonlFile(Output):
    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._file = RecordFile(self.part)

    def write(self, packet: Packet) -> None:
        self._file.append(_encode(frame_object(packet)).encode() + b"\n")

    def close(self) -> None:
        self._file.close()


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
