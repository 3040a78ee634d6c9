from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.types import NO_TRACK, Instances, Packet
from stages.sinks.mot import MotSink, Options

MakePacket = Callable[..., Packet]


def text(folder: Path, *packets: Packet) -> str:
    with MotSink(Options(), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    return (folder / "cam.txt").read_text()


@pytest.mark.parametrize(
    ("people", "tracked"),
    [
        pytest.param(None, True, id="not-looked"),
        pytest.param(0, True, id="nobody"),
        pytest.param(3, False, id="no-tracker"),
    ],
)
def test_without_identities_the_file_is_empty(
    tmp_path: Path, packet: MakePacket, people: int | None, *, tracked: bool
) -> None:
    assert text(tmp_path, packet(people=people, tracked=tracked)) == ""


def test_a_row_is_exactly_this_and_frames_count_from_1(tmp_path: Path, packet: MakePacket) -> None:
    people = Instances.of(
        [[1.0, 2.0, 11.5, 22.257], [0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 6.0, 6.0]], [0.9, 0.8, 1.0]
    ).with_columns(track_id=[7, NO_TRACK, 2])
    assert text(tmp_path, packet(0, people=people), packet(4, people=people[:1])) == (
        "1,7,1.0,2.0,10.50,20.26,0.9,-1,-1,-1\n1,2,5.0,5.0,1.00,1.00,1.0,-1,-1,-1\n5,7,1.0,2.0,10.50,20.26,0.9,-1,-1,-1\n"
    )


def test_one_file_for_all_sources_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"put \{source\} into the path"):
        Options(path="all.txt")
