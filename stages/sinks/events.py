"""Events of rules as JSON lines: one line an event, readable while it is written."""

import json
from pathlib import Path
from typing import ClassVar

from pipeline import plugin
from pipeline.types import Packet
from stages.rows import event_object
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.partial import Output, RecordFile

__all__ = ["EventsSink", "Options"]


class Options(plugin.Options):
    """Options of `events`."""

    path: OutputPath = "events.jsonl"
    """File, relative to the run's folder; `{source}` makes one for each source."""
    states: bool = True
    """Write states too (`count`, `occupancy`), not only what happened."""


class EventsSink(FileSink):
    """Writes `{"source", "frame", "pts", "captured_at", "rule", "kind", "state", "id", "reason", "values", "box" ...}`.

    What else a rule says (`seconds`, `count`, `direction`) is in `values`; `state` is true where only the last one of
    its kind counts. `id`, `box` and `keypoints` are left out where the event concerns nobody in particular.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"events"})
    options: Options

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _EventsFile(target, states=self.options.states)


class _EventsFile(Output):
    def __init__(self, target: Path, *, states: bool) -> None:
        super().__init__(target)
        self._states = states
        self._file = RecordFile(self.part)

    def write(self, packet: Packet) -> None:
        events = [event for event in packet.events if self._states or not event.is_state]
        if events:
            lines = (json.dumps(event_object(event), separators=(",", ":")) + "\n" for event in events)
            self._file.append("".join(lines).encode())

    def close(self) -> None:
        self._file.close()
