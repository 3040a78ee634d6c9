"""CSV: one row a person, joints by name."""

import csv
import io
from itertools import chain
from pathlib import Path
from typing import Final

from pipeline import plugin
from pipeline.types import Instances, Packet
from stages.rows import frame_values, ids, predictions, rounded, writable_text
from stages.sinks.columns import Columns, Delimiter
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.partial import Output, RecordFile

__all__ = ["CsvSink", "Options"]


class Options(plugin.Options):
    """Options of `csv`."""

    path: OutputPath = "people.csv"
    """File, relative to the run's folder; `{source}` makes one for each source."""
    delimiter: Delimiter = ","
    """What stands between two values: `,`, `;`, a tab."""


class CsvSink(FileSink):
    """Writes a header, then `source,frame,pts,captured_at,id,x1,y1,x2,y2,score,nose_x,nose_y,nose_score,...` a person.

    A frame without people has no row, and a person without an identity an empty `id`. The first table that has a row
    or a skeleton decides on the columns of joints; a run without one gets a header without joints. UTF-8, LF.

    Where a pose model looks at people in turns, the last column is `predicted`: `true` when nobody looked at the person
    in this frame, and the joints moved along with the box; else `false`.
    """

    options: Options

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _CsvFile(target, self.options.delimiter)


_WORDS: Final = {True: "true", False: "false", None: None}
"""As JSON writes them, and as pandas, DuckDB and spreadsheets read them."""


class _CsvFile(Output):
    def __init__(self, target: Path, delimiter: str) -> None:
        super().__init__(target)
        self._delimiter = delimiter
        self._file = RecordFile(self.part)
        self._columns = Columns(target)

    def write(self, packet: Packet) -> None:
        if packet.instances is None:
            return
        self._columns.admit(packet.instances)
        if self._columns.decided:
            frame = frame_values(packet.frame)
            self._append([[*frame, *person] for person in self._people(packet.instances)])

    def close(self) -> None:
        try:
            if self._file.empty:
                self._append([])
        finally:
            self._file.close()

    def _people(self, instances: Instances) -> list[list[object]]:
        boxes, scores, joints = rounded(instances)
        nothing = [[None] * len(self._columns.joint_names)] * len(boxes)
        places = nothing if joints is None else [list(chain.from_iterable(person)) for person in joints]
        last = [[_WORDS[flag]] for flag in predictions(instances)] if self._columns.predicted else [[]] * len(boxes)
        return [
            [track_id, *box, score, *person, *flag]
            for track_id, box, score, person, flag in zip(ids(instances), boxes, scores, places, last, strict=True)
        ]

    def _append(self, rows: list[list[object]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self._delimiter, lineterminator="\n")
        if self._file.empty:
            writer.writerow(self._columns.names)
        writer.writerows(rows)
        self._file.append(writable_text(text.getvalue()).encode())
