import csv
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import SinkError
from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Instances, Packet
from stages.sinks.csv import CsvSink, Options

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]

PLAIN = ["source", "frame", "pts", "captured_at", "id", "x1", "y1", "x2", "y2", "score"]
JOINTS = [f"{joint}_{value}" for joint in COCO_17.joints for value in ("x", "y", "score")]


def table(folder: Path, *packets: Packet) -> list[list[str]]:
    with CsvSink(Options(), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    with (folder / "people.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize(
    ("people", "header"),
    [
        pytest.param(None, PLAIN, id="not-looked"),
        pytest.param(Instances.empty(), PLAIN, id="no-pose"),
        pytest.param(Instances.empty(COCO_17), PLAIN + JOINTS, id="nobody-with-joints"),
    ],
)
def test_a_run_without_people_has_a_header(
    tmp_path: Path, packet: MakePacket, people: Instances | None, header: list[str]
) -> None:
    assert table(tmp_path, packet(people=people)) == [header]


@pytest.mark.parametrize("joints", [True, False], ids=["pose", "no-pose"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "untracked"])
def test_what_is_written_comes_back(
    tmp_path: Path, packet: MakePacket, people: MakePeople, *, joints: bool, tracked: bool
) -> None:
    who = people(3, joints=joints, tracked=tracked)
    header, *rows = table(tmp_path, packet(9, people=0, joints=joints), packet(10, people=who))
    assert header == PLAIN + (JOINTS if joints else [])
    assert [row[:4] for row in rows] == [["cam", "10", "0.4", "2026-01-02T03:04:15.678900Z"]] * 3
    ids = [NO_TRACK] * 3 if who.track_id is None else who.track_id.tolist()
    assert [row[4] for row in rows] == ["" if i == NO_TRACK else str(i) for i in ids]
    numbers = np.array([row[5:] for row in rows], float)
    np.testing.assert_allclose(numbers[:, :4], who.xyxy, atol=0.00501)
    np.testing.assert_allclose(numbers[:, 4], who.score, atol=0.0000501)
    if who.keypoints is not None and who.keypoint_score is not None:
        places = numbers[:, 5:].reshape(3, 17, 3)
        np.testing.assert_allclose(places[..., :2], who.keypoints, atol=0.00501)
        np.testing.assert_allclose(places[..., 2], who.keypoint_score, atol=0.0000501)


def test_a_person_without_joints_has_empty_cells(tmp_path: Path, packet: MakePacket) -> None:
    header, first, second = table(tmp_path, packet(people=1), packet(people=1, joints=False))
    assert len(header) == len(first) == len(second)
    assert set(second[10:]) == {""}


@pytest.mark.parametrize("joints", [True, False], ids=["pose", "no-pose"])
def test_predicted_is_the_last_column_where_the_first_table_has_it(
    tmp_path: Path, packet: MakePacket, people: MakePeople, *, joints: bool
) -> None:
    known = people(3, joints=joints).with_columns(predicted=[True, False, True])
    nobody = people(0, joints=joints).with_columns(predicted=[])
    unknown = people(1, joints=joints)
    header, *rows = table(tmp_path, packet(0, people=nobody), packet(1, people=known), packet(2, people=unknown))
    assert header == [*PLAIN, *(JOINTS if joints else []), "predicted"]
    assert [row[-1] for row in rows] == ["true", "false", "true", ""]
    assert {len(row) for row in rows} == {len(header)}


def test_predicted_joints_are_refused_where_no_column_can_say_so(
    tmp_path: Path, packet: MakePacket, people: MakePeople
) -> None:
    with CsvSink(Options(), tmp_path) as sink:
        sink.write(packet(0))
        sink.write(packet(1, people=people(2).with_columns(predicted=[False, False])))
        with pytest.raises(ValueError, match=r"no column 'predicted'.*put \{source\} into its path"):
            sink.write(packet(2, people=people(2).with_columns(predicted=[False, True])))


@pytest.mark.parametrize("delimiter", [";", "\t", "|", " "])
def test_values_are_parted_as_asked_for(tmp_path: Path, packet: MakePacket, delimiter: str) -> None:
    with CsvSink(Options(delimiter=delimiter), tmp_path) as sink:
        sink.write(packet(source="a;b|c d"))
        sink.finish()
    with (tmp_path / "people.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file, delimiter=delimiter)
    assert header == PLAIN + JOINTS
    assert [row[0] for row in rows] == ["a;b|c d"] * 2


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\r"])
def test_what_cannot_part_values_is_refused(delimiter: str) -> None:
    with pytest.raises(ValidationError, match="delimiter"):
        Options(delimiter=delimiter)


@pytest.mark.parametrize("first", [True, False], ids=["coco-first", "no-pose-first"])
def test_joints_that_have_no_columns_are_refused_and_the_rest_goes_on(
    tmp_path: Path, packet: MakePacket, people: MakePeople, *, first: bool
) -> None:
    other = people(1).with_columns(skeleton=replace(COCO_17, name="other-17"))
    with CsvSink(Options(), tmp_path) as sink:
        sink.write(packet(people=1, joints=first))
        with pytest.raises(ValueError, match=r"the joints of other-17; put \{source\} into its path"):
            sink.write(packet(people=other))
        sink.write(packet(people=1, joints=first))
        sink.finish()
    assert len((tmp_path / "people.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["a,b", 'say "hi"', "two\nlines", "Tür 街", " "])
def test_any_name_of_a_source_is_one_cell(tmp_path: Path, packet: MakePacket, name: str) -> None:
    _, row = table(tmp_path, packet(source=name, people=1))
    assert row[0] == name


def test_a_name_that_is_no_utf_8_is_escaped(tmp_path: Path, packet: MakePacket) -> None:
    _, row = table(tmp_path, packet(source="x\udc80", people=1))
    assert row[0] == "x\\udc80"


def test_a_full_disk_leaves_whole_rows(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with CsvSink(Options(), tmp_path) as sink, full_disk(3000):
        sink.write(packet(0))
        with pytest.raises(SinkError, match=r"people\.csv\.part: File too large"):
            sink.write(packet(1, people=20))
    with (tmp_path / "people.csv.part").open(newline="") as file:
        assert [len(row) for row in csv.reader(file)] == [61, 61, 61]
