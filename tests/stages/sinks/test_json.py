import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SinkError
from pipeline.skeletons import COCO_17, MPII_16
from pipeline.types import Instances, Packet
from stages.sinks.json import JsonSink, Options
from stages.sinks.jsonl import JsonlSink
from stages.sinks.jsonl import Options as JsonlOptions

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def document(folder: Path, *packets: Packet, path: str = "cam.json") -> Any:
    with JsonSink(Options(path=path), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return json.loads((folder / "cam.json").read_text())


def test_a_run_without_a_frame_is_a_whole_document(tmp_path: Path) -> None:
    assert document(tmp_path) == {
        "source": None,
        "width": None,
        "height": None,
        "frames_per_second": None,
        "skeleton": None,
        "frames": [],
    }


def test_the_header_says_what_the_frames_are_of(tmp_path: Path, packet: MakePacket) -> None:
    first = packet(people=0)
    known = replace(first, frame=replace(first.frame, stream=replace(first.frame.stream, frames_per_second=29.97)))
    header = document(tmp_path, known, packet(1))
    frames = header.pop("frames")
    assert list(header) == ["source", "width", "height", "frames_per_second", "skeleton"]
    assert header == {
        "source": "cam",
        "width": 64,
        "height": 48,
        "frames_per_second": 29.97,
        "skeleton": {
            "name": "coco-17",
            "joints": list(COCO_17.joints),
            "bones": [list(bone) for bone in COCO_17.bones],
        },
    }
    assert [len(frame["people"]) for frame in frames] == [0, 2]


@pytest.mark.parametrize(
    "people",
    [pytest.param(None, id="not-looked"), pytest.param(Instances.of([[0, 0, 5, 5]], [1]), id="no-pose")],
)
def test_what_is_not_known_is_null(tmp_path: Path, packet: MakePacket, people: Instances | None) -> None:
    header = document(tmp_path, packet(people=people))
    assert (header["skeleton"], header["frames_per_second"]) == (None, None)


@pytest.mark.parametrize("name", ["cam", 'say "hi"', "Tür 街", "x\udc80"])
def test_frames_are_those_of_jsonl_one_a_line(
    tmp_path: Path, packet: MakePacket, people: MakePeople, name: str
) -> None:
    packets = [packet(index, name, index) for index in range(4)]
    packets.append(packet(4, name, people(2).with_columns(predicted=[True, False])))
    assert document(tmp_path, *packets)["source"] == name
    with JsonlSink(JsonlOptions(), tmp_path) as sink:
        for each in packets:
            sink.write(each)
        sink.finish()
    _, *frames, end = (tmp_path / "cam.json").read_text().splitlines()
    assert [line.removesuffix(",") for line in frames] == (tmp_path / "people.jsonl").read_text().splitlines()
    assert end == "]}"


def test_it_is_a_whole_document_after_every_frame(tmp_path: Path, packet: MakePacket) -> None:
    with JsonSink(Options(), tmp_path) as sink:
        for index in range(4):
            sink.write(packet(index))
            frames = json.loads((tmp_path / "people-cam.json.part").read_text())["frames"]
            assert [frame["frame"] for frame in frames] == list(range(index + 1))


def test_half_a_frame_at_the_end_is_mended_as_described(tmp_path: Path, packet: MakePacket) -> None:
    document(tmp_path, *(packet(index) for index in range(4)))
    torn = (tmp_path / "cam.json").read_text()[:-200]
    whole = torn.splitlines()[:-1]
    mended = json.loads("\n".join(whole).removesuffix(",") + "]}")
    assert [frame["frame"] for frame in mended["frames"]] == [0, 1, 2]


def test_a_full_disk_leaves_a_whole_document(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with JsonSink(Options(path="cam.json"), tmp_path) as sink:
        with full_disk(6000):
            sink.write(packet(0))
            with pytest.raises(SinkError, match=r"cam\.json\.part: File too large"):
                sink.write(packet(1, people=40))
        sink.write(packet(2))
        sink.finish()
    assert [frame["frame"] for frame in json.loads((tmp_path / "cam.json").read_text())["frames"]] == [0, 2]


def test_two_sources_in_one_document_are_refused(tmp_path: Path, packet: MakePacket) -> None:
    with pytest.raises(ValueError, match=r"cam\.json: it holds 'cam'.*'door'; put \{source\} into its path"):
        document(tmp_path, packet(), packet(1, "door"))


def test_every_source_has_its_document(tmp_path: Path, packet: MakePacket) -> None:
    with JsonSink(Options(), tmp_path) as sink:
        for index in range(4):
            sink.write(packet(index, f"cam-{index % 2}"))
        sink.finish()
    documents = [json.loads((tmp_path / f"people-cam-{number}.json").read_text()) for number in range(2)]
    assert [each["source"] for each in documents] == ["cam-0", "cam-1"]
    assert [[frame["frame"] for frame in each["frames"]] for each in documents] == [[0, 2], [1, 3]]


@pytest.mark.parametrize("joints", [True, False], ids=["coco-first", "no-pose-first"])
def test_joints_that_the_header_does_not_name_are_refused(tmp_path: Path, packet: MakePacket, *, joints: bool) -> None:
    other = Instances.of([[0, 0, 5, 5]], [1], skeleton=MPII_16)
    with pytest.raises(ValueError, match="joints of mpii-16; use one pose model"):
        document(tmp_path, packet(joints=joints), packet(1, people=other))
