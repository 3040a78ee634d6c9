"""One JSON document a source: what it is, which joints there are, and every frame."""

import json
from pathlib import Path
from typing import Any, Final

from pipeline import plugin
from pipeline.skeletons import Skeleton
from pipeline.types import Packet
from stages.rows import frame_object
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.one_source import OneSourceOutput
from stages.sinks.partial import Output, RecordFile

__all__ = ["JsonSink", "Options"]

_UNKNOWN: Final = {"source": None, "width": None, "height": None, "frames_per_second": None, "skeleton": None}


class Options(plugin.Options):
    """Options of `json`."""

    path: OutputPath = "people-{source}.json"
    """File, relative to the run's folder, for one source: with `{source}` in it there is one for each."""


class JsonSink(FileSink):
    """Writes `{"source", "width", "height", "frames_per_second", "skeleton", "frames": [...]}`.

    `frames` holds, one a line, the objects of `jsonl`. Size and skeleton are those of the first frame; the skeleton is
    `{"name", "joints", "bones"}`, bones being pairs of indices into the joints, or null without a pose model. What is
    not known is null.

    The file grows frame by frame and is a whole document after each of them, also as `.part` and also when the process
    was killed. Should the machine itself fail in the middle of a frame: keep the lines up to the last whole one, take
    the comma off it, and add `]}`.
    """

    options: Options

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _JsonFile(target)


class _JsonFile(OneSourceOutput):
    def __init__(self, target: Path) -> None:
        super().__init__(target)
        self._skeleton: Skeleton | None = None
        self._separator = "\n"
        self._file = RecordFile(self.part, tail=b"\n]}\n")

    def add(self, packet: Packet) -> None:
        if self._file.empty:
            self._begin(packet)
        self._check(packet)
        self._file.append((self._separator + _encode(frame_object(packet))).encode())
        self._separator = ",\n"

    def close(self) -> None:
        try:
            if self._file.empty:
                self._append_header(_UNKNOWN)
        finally:
            self._file.close()

    def _begin(self, packet: Packet) -> None:
        if packet.instances is not None:
            self._skeleton = packet.instances.skeleton
        frame = packet.frame
        known = (packet.source_id, frame.width, frame.height, frame.stream.frames_per_second, _bare(self._skeleton))
        self._append_header(dict(zip(_UNKNOWN, known, strict=True)))

    def _append_header(self, header: dict[str, Any]) -> None:
        self._file.append((_encode(header).removesuffix("}") + ',"frames":[').encode())

    def _check(self, packet: Packet) -> None:
        skeleton = None if packet.instances is None else packet.instances.skeleton
        if skeleton not in {None, self._skeleton} and packet.instances:
            there = "no joints" if self._skeleton is None else f"the joints of {self._skeleton.name}"
            msg = (
                f"cannot write {self.target}: its header has {there}, and now there are people with the joints of "
                f"{skeleton and skeleton.name}; use one pose model for all of a source"
            )
            raise ValueError(msg)


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def _bare(skeleton: Skeleton | None) -> dict[str, Any] | None:
    if skeleton is None:
        return None
    return {"name": skeleton.name, "joints": skeleton.joints, "bones": skeleton.bones}
