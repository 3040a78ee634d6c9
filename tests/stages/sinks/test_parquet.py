from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances, Packet
from stages.sinks.parquet import Options, ParquetSink

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def table(folder: Path, *packets: Packet, row_group_rows: int = 10_000) -> pa.Table:
    with ParquetSink(Options(row_group_rows=row_group_rows), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return pq.read_table(folder / "people.parquet")


@pytest.mark.parametrize(
    ("people", "columns"),
    [
        pytest.param(None, 10, id="not-looked"),
        pytest.param(Instances.empty(), 10, id="no-pose"),
        pytest.param(Instances.empty(COCO_17), 61, id="nobody-with-joints"),
    ],
)
def test_a_run_without_people_is_an_empty_table(
    tmp_path: Path, packet: MakePacket, people: Instances | None, columns: int
) -> None:
    assert table(tmp_path, packet(people=people)).shape == (0, columns)


@pytest.mark.parametrize("row_group_rows", [1, 4, 10_000])
@pytest.mark.parametrize("joints", [True, False], ids=["pose", "no-pose"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "untracked"])
def test_what_is_written_comes_back_exactly(
    tmp_path: Path, packet: MakePacket, people: MakePeople, *, row_group_rows: int, joints: bool, tracked: bool
) -> None:
    packets = [packet(index, f"cam-{index % 2}", people(index, joints=joints, tracked=tracked)) for index in range(5)]
    rows = table(tmp_path, *packets, row_group_rows=row_group_rows)
    owners = [each for each in packets for _ in range(len(each.instances or ()))]
    tables = [each.instances for each in packets if each.instances is not None]
    assert rows["source"].to_pylist() == [owner.source_id for owner in owners]
    assert rows["frame"].to_pylist() == [owner.frame.index for owner in owners]
    assert rows["pts"].to_pylist() == [owner.frame.pts_seconds for owner in owners]
    assert rows["captured_at"].to_pylist() == [owner.frame.captured_at for owner in owners]
    assert rows["captured_at"].to_pylist()[0].utcoffset() == timedelta(0)
    ids = [i for each in tables for i in ([NO_TRACK] * len(each) if each.track_id is None else each.track_id.tolist())]
    assert rows["id"].to_pylist() == [None if i == NO_TRACK else i for i in ids]
    np.testing.assert_array_equal(
        np.column_stack([rows[name] for name in ("x1", "y1", "x2", "y2", "score")]),
        np.vstack([np.column_stack((each.xyxy, each.score)) for each in tables]),
    )
    if joints:
        np.testing.assert_array_equal(
            np.column_stack([rows[f"{joint}_y"] for joint in COCO_17.joints]),
            np.vstack([each.keypoints[..., 1] for each in tables if each.keypoints is not None]),
        )


def test_a_person_without_joints_has_nulls(tmp_path: Path, packet: MakePacket) -> None:
    rows = table(tmp_path, packet(people=1), packet(people=1, joints=False))
    assert rows["nose_x"].is_null().to_pylist() == [False, True]
    assert rows["right_ankle_score"].is_null().to_pylist() == [False, True]


def test_predicted_is_a_boolean_where_the_first_table_has_it(
    tmp_path: Path, packet: MakePacket, people: MakePeople
) -> None:
    known = people(2).with_columns(predicted=[True, False])
    rows = table(tmp_path, packet(0, people=known), packet(1, people=1), row_group_rows=2)
    assert rows.schema.names[-1] == "predicted"
    assert str(rows.schema.field("predicted").type) == "bool"
    assert rows["predicted"].to_pylist() == [True, False, None]
    assert rows["right_ankle_score"].is_null().to_pylist() == [False] * 3


def test_predicted_joints_are_refused_where_no_column_can_say_so(
    tmp_path: Path, packet: MakePacket, people: MakePeople
) -> None:
    with pytest.raises(ValueError, match="no column 'predicted'"):
        table(tmp_path, packet(0), packet(1, people=people(1).with_columns(predicted=[True])))


def test_types_are_those_of_the_values(tmp_path: Path, packet: MakePacket) -> None:
    types = {field.name: str(field.type) for field in table(tmp_path, packet(joints=False)).schema}
    assert types == {
        "source": "string",
        "frame": "int64",
        "pts": "double",
        "captured_at": "timestamp[us, tz=UTC]",
        "id": "int64",
        **dict.fromkeys(["x1", "y1", "x2", "y2", "score"], "float"),
    }


def test_row_groups_are_written_as_it_goes(tmp_path: Path, packet: MakePacket) -> None:
    part = tmp_path / "people.parquet.part"
    with ParquetSink(Options(row_group_rows=4), tmp_path) as sink:
        sink.write(packet(0))
        before = part.stat().st_size
        sink.write(packet(1))
        assert part.stat().st_size > before
        sink.write(packet(2))
        sink.finish()
    groups = pq.ParquetFile(tmp_path / "people.parquet").metadata
    assert [groups.row_group(index).num_rows for index in range(groups.num_row_groups)] == [4, 2]


def test_a_failed_run_can_be_read(tmp_path: Path, packet: MakePacket) -> None:
    with ParquetSink(Options(row_group_rows=4), tmp_path) as sink:
        for index in range(5):
            sink.write(packet(index))
    assert pq.read_table(tmp_path / "people.parquet.part").num_rows == 10


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path: Path, packet: MakePacket) -> None:
    assert table(tmp_path, packet(source="x\udc80", people=1))["source"].to_pylist() == ["x\\udc80"]


def test_frames_of_nobody_take_no_memory(tmp_path: Path, packet: MakePacket) -> None:
    with ParquetSink(Options(), tmp_path) as sink:
        sink.write(packet(people=0))
        (output,) = sink._outputs.values()
        assert output._rows.frames == []  # type: ignore[attr-defined] # looks inside on purpose
