"""One item from packets to the platform."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dataloop_server import DataloopServer
from dataloop_walk import FPS, MODEL, OPTIONS, TEMPLATE, walk, walkers

from pipeline.errors import SinkError
from pipeline.types import Instances
from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.item_annotations import ItemAnnotations
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.upload import UploadLimits
from stages.dataloop.items import Item, get_item
from stages.dataloop.timeline.annotations import AnnotationOptions
from stages.dataloop.timeline.playback import play

FRAMES = 60


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.url
    with Platform.from_environment(timeout_seconds=5) as platform:
        yield platform


@pytest.fixture
def make_item(dataloop: DataloopServer, platform: Platform, tmp_path: Path) -> Callable[..., Item]:
    def make(name: str = "walk.mp4", **facts: Any) -> Item:
        (tmp_path / name).write_bytes(b"nobody reads this")
        facts = {"width": 320, "height": 240, **({"fps": FPS} if name.endswith("mp4") else {}), **facts}
        return get_item(platform, dataloop.add_item(tmp_path / name, **facts))

    return make


@pytest.fixture
def begin(platform: Platform, tmp_path: Path) -> Iterator[Callable[..., ItemAnnotations]]:
    """Begin with an item, `ItemAnnotations` with the options of its constructor; abandoned after the test."""
    begun: list[tuple[ItemAnnotations, Journal]] = []

    def begin_it(item: Item, options: AnnotationOptions = OPTIONS, *, resume: bool = False) -> ItemAnnotations:
        journal = Journal(tmp_path / f"{item.id}.sqlite")
        journal.open({}, resume=resume)
        limits = UploadLimits(pause_seconds=0.001)
        annotations = ItemAnnotations(platform, item, TEMPLATE, journal, MODEL, options=options, limits=limits)
        begun.append((annotations, journal))
        return annotations

    yield begin_it
    for annotations, journal in begun:
        annotations.abandon()
        journal.close()


def test_the_platform_shows_the_people_where_they_were_seen(
    dataloop: DataloopServer, make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    item = make_item(frame_count=FRAMES)
    annotations = begin(item)
    for packet in walk(FRAMES, 3):
        annotations.write(packet)
    uploaded = annotations.finish().result(10)
    stored = dataloop.annotations(item.id)
    assert (uploaded.people, uploaded.annotations) == (3, len(stored))
    assert annotations.warnings == []
    for index in (0, 17, FRAMES - 1):
        people = walkers(index, 3)
        assert people.keypoints is not None
        shown = play(stored, index)
        assert len(shown) == 3
        for row, person in enumerate(shown[name] for name in sorted(shown)):
            joints = person["joints"]
            for label, (x, y) in zip(TEMPLATE.labels, people.keypoints[row].tolist(), strict=True):
                assert joints[label] == pytest.approx((x, y), abs=OPTIONS.tolerance_px + 0.1)


def test_a_picture_has_no_frames(
    dataloop: DataloopServer, make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    item = make_item("people.jpg")
    annotations = begin(item)
    (packet,) = walk(1, 2)
    assert packet.instances is not None
    annotations.write(packet.with_instances(walkers(0, 2, tracked=False)))
    assert annotations.finish().result(10).people == 2
    assert not any("frame" in one["metadata"]["system"] for one in dataloop.annotations(item.id))


def test_frames_where_nobody_looked_are_frames_where_nobody_is(
    make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    annotations = begin(make_item(frame_count=10))
    for packet in walk(10, 1):
        annotations.write(packet.with_instances(Instances.empty()))
    assert annotations.finish().result(10).people == 0


def test_frames_that_are_not_those_of_the_platform_are_a_warning(
    make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    annotations = begin(make_item(frame_count=500))
    for packet in walk(10, 1):
        annotations.write(packet)
    (warning,) = annotations.warnings
    assert "500" in warning


def test_a_video_whose_frame_rate_is_not_known_is_refused(
    make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    with pytest.raises(ValueError, match="no frame rate"):
        begin(make_item(fps=None))


def test_what_a_full_disk_did_not_take_is_kept_and_written_with_the_next_frame(
    dataloop: DataloopServer, make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations], tmp_path: Path
) -> None:
    item = make_item(frame_count=FRAMES)
    annotations = begin(item)
    file = annotations._upload._journal.file
    (pages,) = file.rows("PRAGMA page_count")[0]
    file.rows(f"PRAGMA max_page_count={pages + 1}")
    refused = 0
    for packet in walk(FRAMES, 3):
        try:
            annotations.write(packet)
        except SinkError as error:
            assert str(tmp_path) in str(error)  # noqa: PT017 - all but the first ones raise it
            refused += 1
    assert refused > 10
    file.rows("PRAGMA max_page_count=100000")
    uploaded = annotations.finish().result(10)
    assert uploaded.annotations == len(dataloop.annotations(item.id))
    assert {
        one["metadata"]["system"]["endFrame"] for one in dataloop.annotations(item.id) if one["type"] == "pose"
    } == {FRAMES - 1}


def test_one_that_was_abandoned_goes_on_with_the_same_packets(
    dataloop: DataloopServer, make_item: Callable[..., Item], begin: Callable[..., ItemAnnotations]
) -> None:
    item = make_item(frame_count=FRAMES)
    first = begin(item)
    for packet in walk(40, 3):
        first.write(packet)
    first.abandon()
    first._upload._journal.close()
    again = begin(item, resume=True)
    for packet in walk(FRAMES, 3):
        again.write(packet)
    uploaded = again.finish().result(10)
    there = [one["metadata"]["user"]["kinestream"]["key"] for one in dataloop.annotations(item.id)]
    assert len(there) == len(set(there)) == uploaded.annotations
