from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.types import Instances, Packet
from stages.drawing.contact_sheet import Thumbnail, compose
from stages.drawing.palette import identity_colour
from stages.sinks.sheet import Options, SheetSink

MakePacket = Callable[..., Packet]


def sheet_of(folder: Path, *packets: Packet, **options: Any) -> np.ndarray[Any, Any]:
    with SheetSink(Options(path="sheet.png", **options), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.finish()
    image = cv2.imread(str(folder / "sheet.png"))
    assert image is not None
    return image


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 100, 257])
@pytest.mark.parametrize("pictures", [1, 4])
def test_pictures_are_few_and_evenly_spaced(tmp_path: Path, packet: MakePacket, frames: int, pictures: int) -> None:
    with SheetSink(Options(pictures=pictures), tmp_path) as sink:
        for index in range(frames):
            sink.write(packet(index, people=None))
            (output,) = sink._outputs.values()
            assert len(output._kept) <= 2 * pictures  # type: ignore[attr-defined] # looks inside on purpose
        shown = [float(thumbnail.caption[2:]) for thumbnail in output._kept]  # type: ignore[attr-defined] # as above
    assert len(shown) >= min(frames, pictures)
    gaps = np.diff(shown)
    assert np.allclose(gaps, gaps[:1], atol=0.11)


@pytest.mark.parametrize("people", [None, 0, 3], ids=["not-looked", "nobody", "people"])
def test_a_sheet_can_be_opened_and_holds_the_pictures(tmp_path: Path, packet: MakePacket, people: int | None) -> None:
    packets = [packet(index, people=people) for index in range(5)]
    image = sheet_of(tmp_path, *packets, pictures=5, columns=3, width=64)
    assert image.shape[1] == 3 * (64 + 16) + 16
    assert image.shape[0] > 2 * 48


def test_sources_share_a_sheet_and_sizes_may_differ(tmp_path: Path, packet: MakePacket) -> None:
    sizes = [(64, 48), (48, 64), (1, 1), (1920, 1080)]
    sheet_of(tmp_path, *(packet(i, source=f"cam-{i}", size=size) for i, size in enumerate(sizes)))
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_failed_run_leaves_the_sheet_so_far(tmp_path: Path, packet: MakePacket) -> None:
    with SheetSink(Options(), tmp_path) as sink:
        sink.write(packet())
    assert (tmp_path / "cam-sheet.png.part").read_bytes().startswith(b"\x89PNG")


def test_the_legend_shows_who_is_seen_most_and_how_many_more() -> None:
    thumbnail = Thumbnail(np.zeros((90, 160, 3), np.uint8), "0:00.0")
    few = compose([thumbnail], 1, "title", [3, 1])
    many = compose([thumbnail], 1, "title", list(range(1, 1000)))
    none = compose([thumbnail], 1, "title", [])
    assert few.shape == many.shape
    assert none.shape[0] < few.shape[0]
    colours = {tuple(pixel) for pixel in few.reshape(-1, 3).tolist()}
    assert {identity_colour(1), identity_colour(3)} <= colours
    assert identity_colour(2) not in colours


def test_identities_are_told_apart_by_source(tmp_path: Path, packet: MakePacket) -> None:
    person = Instances.of([[1.0, 1.0, 9.0, 9.0]], [1.0]).with_columns(track_id=[1])
    with SheetSink(Options(path="sheet.png"), tmp_path) as sink:
        sink.write(packet(source="a", people=person))
        sink.write(packet(source="b", people=person))
        (output,) = sink._outputs.values()
        assert output._title() == "a, b   2 frames   2 identities"  # type: ignore[attr-defined] # looks inside on purpose


def test_another_format_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"must end in \.png"):
        Options(path="sheet.jpg")
