"""The CSV of simple-HRNet's `extract-keypoints.py`, to the column: for programs that read it already."""

import csv
import io
from itertools import chain
from pathlib import Path
from typing import ClassVar

from pipeline import plugin
from pipeline.types import Packet
from stages.rows import seed_joints
from stages.sinks.columns import Delimiter
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.one_source import OneSourceOutput
from stages.sinks.partial import Output, RecordFile

__all__ = ["Options", "SeedCsvSink"]


class Options(plugin.Options):
    """Options of `seed-csv`."""

    path: OutputPath = "{source}-seed.csv"
    """File, relative to the run's folder, for one source: with `{source}` in it there is one for each."""
    delimiter: Delimiter = ","
    """What stands between two values: `,`, `;`, a tab."""


class SeedCsvSink(FileSink):
    """Writes `frame_index,detection_index,y0,x0,c0,y1,x1,c1,...` a person, without a header.

    53 columns with the 17 joints of COCO. A frame without people has no row; `detection_index` is the place of a person
    in its frame, from 0, and no identity. Frames count from 0, those left out by `every` too. The format has no place
    for boxes, times, identities and `predicted`: `csv` has.
    """

    options: Options
    needs: ClassVar[frozenset[str]] = frozenset({"xyxy", "keypoints"})

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _SeedCsvFile(target, self.options.delimiter)


class _SeedCsvFile(OneSourceOutput):
    def __init__(self, target: Path, delimiter: str) -> None:
        super().__init__(target)
        self._delimiter = delimiter
        self._file = RecordFile(self.part)

    def add(self, packet: Packet) -> None:
        text = io.StringIO()
        csv.writer(text, delimiter=self._delimiter, lineterminator="\n").writerows(
            [packet.frame.index, place, *chain.from_iterable(person)]
            for place, person in enumerate(seed_joints(packet.instances))
        )
        self._file.append(text.getvalue().encode())

    def close(self) -> None:
        self._file.close()
