import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import SinkError
from pipeline.types import Instances, Packet
from stages.sinks.coco import CocoSink, Options

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def results(folder: Path, *packets: Packet, **options: Any) -> list[dict[str, Any]]:
    with CocoSink(Options(**options), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    (path,) = folder.iterdir()
    values: list[dict[str, Any]] = json.loads(path.read_text())
    return values


@pytest.mark.parametrize("people", [None, 0], ids=["not-looked", "nobody"])
def test_frames_without_people_are_an_empty_array(tmp_path: Path, packet: MakePacket, people: int | None) -> None:
    assert results(tmp_path, packet(people=people), packet(1, people=people)) == []


def test_what_is_written_comes_back(tmp_path: Path, packet: MakePacket, people: MakePeople) -> None:
    tables = [people(index, seed=index) for index in range(4)]
    rows = results(tmp_path, *(packet(index, people=table) for index, table in enumerate(tables)))
    assert [row["image_id"] for row in rows] == [1, 2, 2, 3, 3, 3]
    assert {row["category_id"] for row in rows} == {1}
    assert [row.get("track_id") for row in rows] == [1, 1, None, 1, 2, None]
    boxes = np.vstack([table.xyxy for table in tables])
    np.testing.assert_allclose([row["bbox"][:2] for row in rows], boxes[:, :2], atol=0.00501)
    np.testing.assert_allclose([row["bbox"][2:] for row in rows], boxes[:, 2:] - boxes[:, :2], atol=0.0101)
    places = np.array([row["keypoints"] for row in rows]).reshape(-1, 17, 3)
    expected = np.vstack([table.keypoints for table in tables if table.keypoints is not None])
    np.testing.assert_allclose(places[..., :2], expected, atol=0.00501)


def test_people_whose_joints_were_predicted_are_marked(tmp_path: Path, packet: MakePacket, people: MakePeople) -> None:
    table = people(3).with_columns(predicted=[False, True, False])
    rows = results(tmp_path, packet(0, people=table), packet(1, people=1))
    assert [row.get("predicted") for row in rows] == [None, True, None, None]


@pytest.mark.parametrize(
    ("joints", "boxes", "keys"),
    [
        pytest.param(True, True, {"keypoints", "bbox"}, id="both"),
        pytest.param(True, False, {"keypoints"}, id="joints-only"),
        pytest.param(False, True, {"bbox"}, id="no-pose"),
        pytest.param(False, False, {"bbox"}, id="no-pose-keeps-boxes"),
    ],
)
def test_boxes_can_be_left_out(
    tmp_path: Path, packet: MakePacket, *, joints: bool, boxes: bool, keys: set[str]
) -> None:
    (row,) = results(tmp_path, packet(people=1, joints=joints, tracked=False), boxes=boxes)
    assert set(row) == {"image_id", "category_id", "score"} | keys


def test_photographs_have_the_number_in_their_name(tmp_path: Path, packet: MakePacket) -> None:
    rows = results(
        tmp_path,
        packet(source="000000397133", people=1),
        packet(source="val/37777", people=1),
        path="all.json",
        image_id="source",
    )
    assert [row["image_id"] for row in rows] == [397133, 37777]


def test_a_photograph_without_a_number_is_refused(tmp_path: Path, packet: MakePacket) -> None:
    with CocoSink(Options(image_id="source"), tmp_path) as sink:
        with pytest.raises(ValueError, match="'beach' does not end in one; rename the source"):
            sink.write(packet(source="beach"))
        sink.write(packet(source="beach", people=0))


def test_one_file_for_all_frames_of_all_sources_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"put \{source\} into the path"):
        Options(path="all.json")


def test_the_file_is_a_whole_array_at_any_moment(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    part = tmp_path / "cam.json.part"
    with CocoSink(Options(), tmp_path) as sink, full_disk(3000):
        for index in range(2):
            sink.write(packet(index, people=2))
            assert len(json.loads(part.read_text())) == 2 * (index + 1)
        with pytest.raises(SinkError, match="File too large"):
            sink.write(packet(people=9))
        assert len(json.loads(part.read_text())) == 4
    assert len(json.loads(part.read_text())) == 4
