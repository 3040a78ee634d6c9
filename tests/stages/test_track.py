"""The track stage tells each tracker what it wants to know, and no more."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from appearance_networks import save
from numpy.typing import NDArray

from pipeline.errors import WeightsError
from pipeline.types import Frame, HostPixels, Instances, Packet, Stream
from stages.track import Track
from trackers.base import Tracker
from trackers.kinesort import KineSort, Options

NEVER_ASKED = "not given"


class Listener(Tracker):
    def __init__(self, *wants: str) -> None:
        self.wants = frozenset(wants)
        self.told: list[dict[str, Any]] = []

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | str | None = NEVER_ASKED,
        warp: NDArray[np.float64] | str | None = NEVER_ASKED,
    ) -> Instances:
        self.told.append({"pts": pts_seconds, "image": image, "warp": warp})
        return instances.with_columns(track_id=np.full(len(instances), len(self.told)))

    def reset(self) -> None:
        self.told.clear()


class Untouchable:
    """Pixels that nobody may look at."""

    width, height = 64, 48

    def bgr(self) -> NDArray[np.uint8]:
        pytest.fail("somebody looked at a picture for nothing")


PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


def packet(source_id: str, index: int, pixels: object = None) -> Packet:
    shown = HostPixels(np.roll(PICTURE, 4 * index, axis=1)) if pixels is None else pixels
    frame = Frame(Stream(source_id), index, index / 25, datetime(2026, 1, 2, tzinfo=UTC), 0.0, shown)  # type: ignore[arg-type]
    return Packet(frame, Instances.of([[5, 5, 20, 40]], [0.9]))


async def listen(*wants: str, packets: list[Packet]) -> list[Listener]:
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener(*wants))
        return made[-1]

    stage = Track(make)
    for one in packets:
        await stage.process([one])
    await stage.close()
    return made


async def test_who_wants_nothing_is_told_nothing_and_no_picture_is_touched() -> None:
    (tracker,) = await listen(packets=[packet("cam", i, Untouchable()) for i in range(3)])
    assert [told["pts"] for told in tracker.told] == [0.0, 1 / 25, 2 / 25]
    assert all(told["image"] is told["warp"] is NEVER_ASKED for told in tracker.told)


async def test_who_wants_pictures_gets_those_of_its_frames() -> None:
    packets = [packet("cam", i) for i in range(3)]
    (tracker,) = await listen("image", packets=packets)
    for told, one in zip(tracker.told, packets, strict=True):
        assert told["image"] is one.frame.image
        assert told["warp"] is NEVER_ASKED


async def test_who_wants_warps_gets_those_of_its_own_camera() -> None:
    """Both cameras show other pictures: compared with each other, they would say nothing."""
    picture = np.kron(np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    packets = []
    for i in range(4):
        packets.append(packet("pans", i, HostPixels(np.roll(picture, 6 * i, axis=1))))
        packets.append(packet("stands", i, HostPixels(picture[::-1].copy())))
    pans, stands = await listen("warp", packets=packets)
    assert [told["warp"] for told in stands.told] == [None] * 4
    assert pans.told[0]["warp"] is None
    for told in pans.told[1:]:
        np.testing.assert_allclose(told["warp"], [[1, 0, 6], [0, 1, 0]], atol=0.3)


async def test_after_its_end_a_source_begins_anew() -> None:
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener("warp"))
        return made[-1]

    stage = Track(make)
    await stage.process([packet("cam", 0)])
    await stage.end_source("cam")
    await stage.end_source("nobody knows it")
    await stage.process([packet("cam", 5)])
    await stage.close()
    assert [len(tracker.told) for tracker in made] == [1, 1]
    assert made[1].told[0]["warp"] is None


async def test_who_wants_looks_gets_them_from_one_network_for_all_sources(tmp_path: Path) -> None:
    weights = save(tmp_path / "quarters.onnx")
    stage = Track(lambda: KineSort(Options(appearance=weights, device="cpu")))
    assert stage.provides == {"track_id", "embedding"}
    await stage.open()
    got = [(await stage.process([packet(name, index)]))[0] for index in range(2) for name in ("a", "b")]
    await stage.close()
    assert stage.description.startswith("quarters.onnx 256x128")
    for one in got:
        assert one.instances is not None
        assert one.instances.embedding is not None
        assert one.instances.embedding.shape == (1, 12)
        assert one.instances.track_id is not None
        assert one.instances.track_id.tolist() == [1]


async def test_in_a_frame_without_people_nobody_looks_at_the_picture(tmp_path: Path) -> None:
    stage = Track(lambda: KineSort(Options(appearance=save(tmp_path / "quarters.onnx"), device="cpu")))
    await stage.open()
    nobody = replace(packet("cam", 0, Untouchable()), instances=None)
    (got,) = await stage.process([nobody])
    await stage.close()
    assert got.instances is not None
    assert got.instances.embedding is not None
    assert got.instances.embedding.shape == (0, 12)


async def test_a_network_that_is_not_there_ends_the_run_before_anything_is_read(tmp_path: Path) -> None:
    stage = Track(lambda: KineSort(Options(appearance=tmp_path / "gone.onnx")))
    with pytest.raises(WeightsError, match=r"gone\.onnx' do not exist"):
        await stage.open()
    await stage.close()


async def test_no_network_is_loaded_for_who_does_not_ask() -> None:
    stage = Track(KineSort)
    await stage.open()
    (got,) = await stage.process([packet("cam", 0, Untouchable())])
    await stage.close()
    assert stage.provides == {"track_id"}
    assert stage.description == ""
    assert got.instances is not None
    assert got.instances.embedding is None
