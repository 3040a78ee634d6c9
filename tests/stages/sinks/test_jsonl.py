import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.types import NO_TRACK, Event, Instances, Packet
from stages.sinks.jsonl import JsonlSink, Options

MakePacket = Callable[..., Packet]
MakePeople = Callable[..., Instances]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(packet: Packet, folder: Path) -> dict[str, Any]:
    with JsonlSink(Options(), folder) as sink:
        sink.write(packet)
        sink.finish()
    (line,) = lines(folder / "people.jsonl")
    return line


@pytest.mark.parametrize(
    "people",
    [pytest.param(None, id="not-looked"), pytest.param(0, id="nobody"), pytest.param(Instances.empty(), id="empty")],
)
def test_a_frame_without_people_is_a_line(tmp_path: Path, packet: MakePacket, people: Any) -> None:
    assert written(packet(25, people=people), tmp_path) == {
        "source": "cam",
        "frame": 25,
        "pts": 1.0,
        "captured_at": "2026-01-02T03:04:30.678900Z",
        "people": [],
    }


def test_what_a_rule_saw_is_in_the_line_of_its_frame(tmp_path: Path, packet: MakePacket) -> None:
    happened = packet(0)
    frame = happened.frame
    event = Event("cam", "door", "enter", 0, 0.0, frame.captured_at, "inside", track_id=7, values={"count": 3})
    assert written(happened.with_events([event]), tmp_path)["events"] == [
        {"rule": "door", "kind": "enter", "state": False, "id": 7, "reason": "inside", "values": {"count": 3}}
    ]


def test_a_line_is_exactly_this(tmp_path: Path, packet: MakePacket) -> None:
    people = Instances.of([[1, 2.346, 3, 1 / 3]], [0.9]).with_columns(track_id=[7])
    written(packet(people=people, pts=1 / 3), tmp_path)
    assert (tmp_path / "people.jsonl").read_text() == (
        '{"source":"cam","frame":0,"pts":0.333333,"captured_at":"2026-01-02T03:04:05.678900Z",'
        '"people":[{"id":7,"score":0.9,"box":[1.0,2.35,3.0,0.33]}]}\n'
    )


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("joints", [True, False], ids=["pose", "no-pose"])
@pytest.mark.parametrize("tracked", [True, False], ids=["tracked", "untracked"])
def test_what_is_written_comes_back(
    tmp_path: Path, packet: MakePacket, people: MakePeople, *, count: int, joints: bool, tracked: bool
) -> None:
    table = people(count, joints=joints, tracked=tracked)
    rows = written(packet(people=table), tmp_path)["people"]
    np.testing.assert_allclose([row["box"] for row in rows], table.xyxy, atol=0.00501)
    np.testing.assert_allclose([row["score"] for row in rows], table.score, atol=0.0000501)
    expected = [None] * count if table.track_id is None else [None if i == NO_TRACK else i for i in table.track_id]
    assert [row["id"] for row in rows] == expected
    assert all(("keypoints" in row) == joints for row in rows)
    if table.keypoints is not None and table.keypoint_score is not None:
        places = np.array([row["keypoints"] for row in rows])
        np.testing.assert_allclose(places[..., :2], table.keypoints, atol=0.00501)
        np.testing.assert_allclose(places[..., 2], table.keypoint_score, atol=0.0000501)


@given(name=st.text(st.characters(exclude_categories=())))
def test_any_name_of_a_source_comes_back(
    tmp_path_factory: pytest.TempPathFactory, packet: MakePacket, name: str
) -> None:
    assert written(packet(source=name), tmp_path_factory.mktemp("out"))["source"] == name


def test_capture_times_are_written_in_utc(tmp_path: Path, packet: MakePacket) -> None:
    frame = packet().frame
    local = replace(frame, captured_at=datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2))))
    assert written(Packet(local), tmp_path)["captured_at"] == "2025-12-31T23:00:00.000000Z"


@pytest.mark.parametrize("flags", [[True, False, True], [False] * 3], ids=["some", "none"])
def test_predicted_joints_are_marked_where_the_table_tells(
    tmp_path: Path, packet: MakePacket, people: MakePeople, flags: list[bool]
) -> None:
    rows = written(packet(people=people(3).with_columns(predicted=flags)), tmp_path)["people"]
    assert [row["predicted"] for row in rows] == flags
    (row, *_) = written(packet(people=people(3)), tmp_path)["people"]
    assert "predicted" not in row


def test_a_line_is_there_as_soon_as_it_is_written(tmp_path: Path, packet: MakePacket) -> None:
    with JsonlSink(Options(), tmp_path) as sink:
        for index in range(3):
            sink.write(packet(index, source=f"cam-{index}"))
            assert [line["frame"] for line in lines(tmp_path / "people.jsonl.part")] == list(range(index + 1))


def test_a_full_disk_leaves_whole_lines(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with JsonlSink(Options(), tmp_path) as sink:
        with full_disk(5000):
            sink.write(packet(0))
            sink.write(packet(1))
            with pytest.raises(SinkError, match=r"people\.jsonl\.part: File too large"):
                sink.write(packet(2, people=40))
        sink.write(packet(3))
        sink.finish()
    assert [line["frame"] for line in lines(tmp_path / "people.jsonl")] == [0, 1, 3]


def test_a_killed_process_loses_nothing_that_was_written(tmp_path: Path) -> None:
    program = """
import os, pathlib, signal, sys
from conftest import make_packet
from stages.sinks.jsonl import JsonlSink, Options
sink = JsonlSink(Options(), pathlib.Path(sys.argv[1]))
sink.open()
for index in range(50):
    sink.write(make_packet(index))
os.kill(os.getpid(), signal.SIGKILL)
"""
    here = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        check=False,
        cwd=here.parents[1],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent, here.parents[1])))},
    )
    assert ended.returncode == -signal.SIGKILL
    assert len(lines(tmp_path / "people.jsonl.part")) == 50
