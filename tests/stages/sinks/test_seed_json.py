import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.errors import SinkError
from pipeline.types import Instances, Packet
from stages.sinks.seed_json import Options, SeedJsonSink

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def document(folder: Path, *packets: Packet) -> Any:
    with SeedJsonSink(Options(path="cam.json"), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return json.loads((folder / "cam.json").read_text())


def test_a_run_without_a_frame_is_an_empty_object(tmp_path: Path) -> None:
    assert document(tmp_path) == {}


def test_every_frame_is_there_and_a_joint_is_y_x_score(tmp_path: Path, packet: MakePacket, people: MakePeople) -> None:
    table = people(2)
    frames = document(tmp_path, packet(0, people=None), packet(1, people=0), packet(4, people=table))
    assert list(frames) == ["0", "1", "4"]
    assert frames["0"] == frames["1"] == []
    places = np.array(frames["4"])
    assert places.shape == (2, 17, 3)
    assert table.keypoints is not None
    assert table.keypoint_score is not None
    np.testing.assert_allclose(places[..., [1, 0]], table.keypoints, atol=0.00501)
    np.testing.assert_allclose(places[..., 2], table.keypoint_score, atol=0.0000501)


def test_it_is_a_whole_document_after_every_frame(tmp_path: Path, packet: MakePacket) -> None:
    with SeedJsonSink(Options(), tmp_path) as sink:
        for index in range(3):
            sink.write(packet(index))
            frames = json.loads((tmp_path / "cam-seed.json.part").read_text())
            assert list(frames) == [str(number) for number in range(index + 1)]


def test_a_full_disk_leaves_a_whole_document(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with SeedJsonSink(Options(path="cam.json"), tmp_path) as sink:
        with full_disk(3000):
            sink.write(packet(0))
            with pytest.raises(SinkError, match=r"cam\.json\.part: File too large"):
                sink.write(packet(1, people=40))
        sink.write(packet(2))
        sink.finish()
    assert list(json.loads((tmp_path / "cam.json").read_text())) == ["0", "2"]


def test_two_sources_in_one_file_are_refused(tmp_path: Path, packet: MakePacket) -> None:
    with pytest.raises(ValueError, match=r"put \{source\} into its path"):
        document(tmp_path, packet(), packet(1, "door"))
