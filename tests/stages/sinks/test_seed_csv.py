import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.skeletons import MPII_16
from pipeline.types import Instances, Packet
from stages.sinks.seed_csv import Options, SeedCsvSink

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def text(folder: Path, *packets: Packet, delimiter: str = ",") -> str:
    with SeedCsvSink(Options(path="cam.csv", delimiter=delimiter), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return (folder / "cam.csv").read_text()


@pytest.mark.parametrize("people", [None, 0], ids=["not-looked", "nobody"])
def test_frames_without_people_have_no_row_and_there_is_no_header(
    tmp_path: Path, packet: MakePacket, people: int | None
) -> None:
    assert text(tmp_path) == ""
    assert text(tmp_path, packet(people=people)) == ""


def test_a_row_is_exactly_this(tmp_path: Path, packet: MakePacket) -> None:
    joints = np.stack([np.arange(16) + 0.126, np.arange(16) * 10.0], axis=-1)
    people = Instances.of(
        [[0, 0, 5, 5]] * 2,
        [0.9, 0.8],
        keypoints=[joints, joints + 1],
        keypoint_score=np.full((2, 16), 1 / 3),
        skeleton=MPII_16,
    )
    first, second = text(tmp_path, packet(7, people=people)).splitlines()
    assert first.startswith("7,0,0.0,0.13,0.3333,10.0,1.13,0.3333,20.0,2.13,0.3333,")
    assert second.startswith("7,1,1.0,1.13,0.3333,11.0,2.13,0.3333,")
    assert len(first.split(",")) == 2 + 3 * 16


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_is_written_comes_back(tmp_path: Path, packet: MakePacket, people: MakePeople, delimiter: str) -> None:
    tables = [people(index, seed=index) for index in (2, 0, 3)]
    packets = [packet(10 * index, people=table) for index, table in enumerate(tables)]
    rows = list(csv.reader(text(tmp_path, *packets, delimiter=delimiter).splitlines(), delimiter=delimiter))
    assert [row[:2] for row in rows] == [["0", "0"], ["0", "1"], ["20", "0"], ["20", "1"], ["20", "2"]]
    assert {len(row) for row in rows} == {53}
    places = np.array([row[2:] for row in rows], float).reshape(5, 17, 3)
    keypoints = np.vstack([table.keypoints for table in tables if table.keypoints is not None])
    scores = np.vstack([table.keypoint_score for table in tables if table.keypoint_score is not None])
    np.testing.assert_allclose(places[..., [1, 0]], keypoints, atol=0.00501)
    np.testing.assert_allclose(places[..., 2], scores, atol=0.0000501)


def test_rows_are_there_as_soon_as_they_are_written(tmp_path: Path, packet: MakePacket) -> None:
    with SeedCsvSink(Options(), tmp_path) as sink:
        for index in range(3):
            sink.write(packet(index, people=1))
            assert len((tmp_path / "cam-seed.csv.part").read_text().splitlines()) == index + 1


def test_two_sources_in_one_file_are_refused(tmp_path: Path, packet: MakePacket) -> None:
    with pytest.raises(ValueError, match=r"put \{source\} into its path"):
        text(tmp_path, packet(), packet(1, "door"))


def test_what_cannot_part_values_is_refused() -> None:
    with pytest.raises(ValidationError, match="delimiter"):
        Options(delimiter=", ")
