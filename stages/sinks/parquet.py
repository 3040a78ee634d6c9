"""Parquet: the columns of `csv` with their types, for pandas, DuckDB, Spark."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import PositiveInt

from pipeline import plugin
from pipeline.types import Frame, Instances, Packet
from stages.rows import ids, joints, predictions, writable_text
from stages.sinks.columns import PREDICTED, Columns
from stages.sinks.file_sink import FileSink
from stages.sinks.naming import OutputPath
from stages.sinks.partial import Output, unwritable

__all__ = ["Options", "ParquetSink"]


class Options(plugin.Options):
    """Options of `parquet`."""

    path: OutputPath = "people.parquet"
    """File, relative to the run's folder; `{source}` makes one for each source."""
    row_group_rows: PositiveInt = 10_000
    """People a row group: that many are kept in memory (about 3 MB of 10 000 with 17 joints), then written."""


class ParquetSink(FileSink):
    """Writes one row a person: source, frame, pts, captured_at (UTC), id (null without one), box, score, joints.

    Numbers are not rounded. As in `csv`, the first table that has a row or a skeleton decides on the columns; the last
    one is the boolean `predicted` where a pose model looks at people in turns.

    The format keeps its table of contents at the end: a `.part` can be read after a failed run, which still writes
    that end, but not when the process was killed or the disk is full. Where that matters, use `jsonl` or `csv`.
    """

    options: Options

    def begin(self, target: Path) -> Output:
        """Create the file."""
        return _ParquetFile(target, self.options)


class _ParquetFile(Output):
    def __init__(self, target: Path, options: Options) -> None:
        super().__init__(target)
        self._row_group_rows = options.row_group_rows
        self._columns = Columns(target)
        self._rows = _Rows()
        self._writer: pq.ParquetWriter | None = None
        try:
            self._file = pa.OSFile(str(self.part), "w")
        except OSError as error:
            raise unwritable(self.part, error) from error

    def write(self, packet: Packet) -> None:
        self.check()
        if packet.instances is None:
            return
        self._columns.admit(packet.instances)
        if len(packet.instances) == 0:  # hours of nobody must not fill the memory
            return
        self._rows.add(packet.frame, packet.instances, len(self._columns.joint_names))
        if len(self._rows.ids) >= self._row_group_rows:
            with self._failing():
                self._flush()

    def close(self) -> None:
        if self._file.closed:
            return
        with self._failing(), self._file:
            if self._failure is None:
                self._flush().close()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.failed(error) from error

    def _flush(self) -> pq.ParquetWriter:
        schema = _schema(self._columns)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, schema)
        if self._rows.ids:
            self._writer.write_table(self._rows.table(schema))
            self._rows = _Rows()
        return self._writer


@dataclass(slots=True)
class _Rows:
    """The rows of a row group, kept by frame until they are written."""

    ids: list[int | None] = field(default_factory=list)
    frames: list[tuple[str, int, float, datetime]] = field(default_factory=list)
    people: list[int] = field(default_factory=list)
    predicted: list[bool | None] = field(default_factory=list)
    numbers: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, frame: Frame, instances: Instances, joint_columns: int) -> None:
        people = len(instances)
        places = joints(instances)
        missing = np.full((people, joint_columns), np.nan, np.float32)  # becomes null
        flat = missing if places is None else places.reshape(people, joint_columns)
        self.ids += ids(instances)
        self.frames.append((writable_text(frame.source_id), frame.index, frame.pts_seconds, frame.captured_at))
        self.people.append(people)
        self.predicted += predictions(instances)
        self.numbers.append(np.column_stack((instances.xyxy, instances.score, flat)))

    def table(self, schema: pa.Schema) -> pa.Table:
        frames = (
            list(chain.from_iterable(map(repeat, column, self.people))) for column in zip(*self.frames, strict=True)
        )
        columns = [*frames, self.ids, *np.concatenate(self.numbers).T]
        if schema.names[-1] == PREDICTED:
            columns.append(self.predicted)
        arrays = [pa.array(column, of.type, from_pandas=True) for column, of in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)


def _schema(columns: Columns) -> pa.Schema:
    types = {
        "source": pa.string(),
        "frame": pa.int64(),
        "pts": pa.float64(),
        "captured_at": pa.timestamp("us", "UTC"),
        "id": pa.int64(),
        PREDICTED: pa.bool_(),
    }
    return pa.schema([(name, types.get(name, pa.float32())) for name in columns.names])
