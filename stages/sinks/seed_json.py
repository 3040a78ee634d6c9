"""The JSON of simple-HRNet's `extract-keypoints.py`, but written as it goes: for programs that read it already."""

import json
from pathlib import Path
from typing import ClassVar

from pipeline import plugin
from pipeline.types import Packet
from stages.rows import seed_joints
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.one_source import OneSourceOutput
from stages.sinks.partial import Output, RecordFile

__all__ = ["Options", "SeedJsonSink"]


class Options(plugin.Options):
    """Options of `seed-json`."""

    path: OutputPath = "{source}-seed.json"
    """File, relative to the run's folder, for one source: with `{source}` in it there is one for each."""


class SeedJsonSink(FileSink):
    """Writes `{"0": [[[y, x, c], ...], ...], "1": [], ...}`: the people of each frame, and the joints of each person.

    Every frame is there, one a line, also one without people; frames count from 0, and those left out by `every` are
    missing. The format has no place for boxes, times, identities and `predicted`: `json` has. The file is a whole
    document after every frame, also when the process is killed.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"xyxy", "keypoints"})

    def begin(self, target: Path) -> Output:
        """Create the file: an empty object."""
        return _SeedJsonFile(target)


class _SeedJsonFile(OneSourceOutput):
    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._separator = "\n"
        self._file = RecordFile(self.part, tail=b"\n}\n")
        self._file.append(b"{")

    def add(self, packet: Packet) -> None:
        people = json.dumps(seed_joints(packet.instances), separators=(",", ":"))
        self._file.append(f'{self._separator}"{packet.frame.index}":{people}'.encode())
        self._separator = ",\n"

    def close(self) -> None:
        self._file.close()
