"""Events as JSON lines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.types import Event, Packet
from stages.sinks.events import EventsSink, Options

MakePacket = Callable[..., Packet]


def event(packet: Packet, kind: str = "enter", **more: Any) -> Event:
    frame = packet.frame
    return Event(frame.source_id, "door", kind, frame.index, frame.pts_seconds, frame.captured_at, "inside", **more)


def lines(folder: Path, packets: list[Packet], **options: Any) -> list[dict[str, Any]]:
    with EventsSink(Options(**options), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_run_in_which_nothing_happens_leaves_an_empty_file(tmp_path: Path, packet: MakePacket) -> None:
    assert lines(tmp_path, [packet(0), packet(1)]) == []


def test_an_event_that_concerns_nobody_has_no_person_in_it(tmp_path: Path, packet: MakePacket) -> None:
    happened = packet(25)
    assert lines(tmp_path, [happened.with_events([event(happened, values={"count": 3})])]) == [
        {
            "source": "cam",
            "rule": "door",
            "kind": "enter",
            "state": False,
            "frame": 25,
            "pts": 1.0,
            "captured_at": "2026-01-02T03:04:30.678900Z",
            "reason": "inside",
            "values": {"count": 3},
        }
    ]


def test_a_person_is_rounded_to_what_pixels_and_scores_can_mean(tmp_path: Path, packet: MakePacket) -> None:
    happened = packet(0)
    joints = np.array([[1.23456, 2, 0.123456]])
    who = event(happened, track_id=7, xyxy=(1 / 3, 2.0, 3.0, 4.0), keypoints=joints)
    (line,) = lines(tmp_path, [happened.with_events([who])])
    assert (line["id"], line["box"], line["keypoints"]) == (7, [0.33, 2.0, 3.0, 4.0], [[1.23, 2.0, 0.1235]])


@pytest.mark.parametrize(("states", "kinds"), [(True, ["count", "enter"]), (False, ["enter"])])
def test_states_can_be_left_out(tmp_path: Path, packet: MakePacket, kinds: list[str], *, states: bool) -> None:
    happened = packet(0)
    happened = happened.with_events([event(happened, "count", is_state=True), event(happened)])
    assert [line["kind"] for line in lines(tmp_path, [happened], states=states)] == kinds
