"""No output depends on what is hidden: with other pictures and the same people, every sink writes the same bytes."""

import asyncio
import json
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from dataloop_server import DataloopServer
from dataloop_setup import set_up
from fakes import skip_or_fail
from numpy.typing import NDArray
from watched_pixels import WatchedPixels, noise

from pipeline.config import build_config
from pipeline.errors import ConfigError, MissingPackage
from pipeline.graph import build
from pipeline.registry import PLUGINS, options_model, resolve
from pipeline.runner import Runner
from pipeline.skeletons import COCO_17
from pipeline.stage import Stage
from pipeline.types import Event, Frame, Instances, Packet, SourceStatus, Stream
from stages.privacy import Blank, Mask
from stages.privacy.pictures import GROUND
from stages.sinks.base import FrameSink

WIDTH, HEIGHT, FRAMES = 96, 64, 6
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]

Written = dict[str, bytes]
"""Everything that a sink gave to the world: name of a file, or of whatever else it is -> content."""


World = Callable[[Path], AbstractContextManager[tuple[dict[str, Any], Callable[[], Written]]]]
"""What a sink talks to. Takes the run's folder; gives the options of the sink, and what to call for all it gave."""


@contextmanager
def files(out: Path) -> Iterator[tuple[dict[str, Any], Callable[[], Written]]]:
    """Let the sink write files."""
    yield {}, lambda: {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@contextmanager
def broker(out: Path) -> Iterator[tuple[dict[str, Any], Callable[[], Written]]]:
    """Let the sink send messages, and listen to all of them: events, and how things are in the end."""
    pytest.importorskip("paho.mqtt")
    from broker import Broker, Listener  # noqa: PLC0415 - needs paho-mqtt

    out.mkdir(exist_ok=True)
    with Broker(out) as mosquitto, Listener(mosquitto) as listener:

        def written() -> Written:
            listener.wait_until(lambda messages: messages and messages[-1].payload == b"offline")
            events = [message.payload for message in listener.on("kinestream/cam/events")]
            assert len(events) == FRAMES
            last = {message.topic: message.payload for message in listener.messages}
            found = last | {f"event {number}": payload for number, payload in enumerate(events)}
            return {name: timeless(payload) for name, payload in found.items()}

        yield {"port": mosquitto.port, "spool": str(out / "spool"), "close_timeout_seconds": 5}, written


def timeless(payload: bytes) -> bytes:
    """Leave out of a message when it was sent, and which run has sent it."""
    if not payload.startswith(b"{"):
        return payload
    body = json.loads(payload)
    varying = {"event_id", "published_at", "delayed", "delay_seconds", "since"}
    return json.dumps({key: value for key, value in body.items() if key not in varying}).encode()


@contextmanager
def playlist(out: Path) -> Iterator[tuple[dict[str, Any], Callable[[], Written]]]:
    """Let the sink publish a stream, and look at its first picture: how often it is repeated depends on the time."""

    def written() -> Written:
        first, *_ = frames_of(out / "hls" / "cam" / "index.m3u8")
        return {"picture": first.tobytes()}

    yield {"url": "hls/{source}/index.m3u8", "realtime": False, "info": False}, written


@contextmanager
def platform(_: Path) -> Iterator[tuple[dict[str, Any], Callable[[], Written]]]:
    """Let the sink annotate an item, and read what the platform has of it."""
    with DataloopServer() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATALOOP_URL", server.url)
        patch.setenv("DATALOOP_TOKEN", server.new_token())
        set_up(server)
        facts: dict[str, Any] = {"filename": "/street.mp4", "mimetype": "video/mp4", "fps": 25}
        facts |= {"width": WIDTH, "height": HEIGHT}
        item = server.add_item(Path(__file__), **facts)  # nobody reads the file

        def written() -> Written:
            found = {one["metadata"]["user"]["kinestream"]["key"]: one for one in server.annotations(item)}
            where = {key: [_where(one), _where(one["metadata"]["system"])] for key, one in found.items()}
            return {key: json.dumps(facts).encode() for key, facts in where.items()}

        yield {"item": item, "min_seconds": 0}, written


def _where(annotation: dict[str, Any]) -> dict[str, Any]:
    """Take of an annotation what says who is where, and when."""
    names = ("type", "label", "coordinates", "frame", "endFrame", "snapshots_", "objectId")
    return {name: annotation[name] for name in names if name in annotation and annotation.get("type") != "pose"}


class Screen:
    """Stands in for the process that shows a window, and keeps every picture that is handed over to it."""

    pid = 1

    def __init__(self, given: Written) -> None:
        self._given = given

    def show(self, picture: NDArray[np.uint8]) -> bool:
        self._given[f"picture {len(self._given)}"] = picture.tobytes()
        return True

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def screen(_: Path) -> Iterator[tuple[dict[str, Any], Callable[[], Written]]]:
    """Let the sink show pictures, each one that it makes."""
    given: Written = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.sinks.window.Window", lambda _: Screen(given))
        patch.setattr("stages.sinks.window._REFRESH_SECONDS", 0)
        yield {}, lambda: given


@dataclass(frozen=True)
class Outlet:
    """How to get at what a sink gives to the world, and what to expect there."""

    world: World = files
    shows_pictures: bool = False
    writes: bool = True
    is_still: bool = False
    """It chooses by itself which packets it shows; so all of them are drawn alike."""


OUTLETS = {
    "dataloop": Outlet(platform),
    "mqtt": Outlet(broker),
    "null": Outlet(writes=False),
    "publish": Outlet(playlist, shows_pictures=True, is_still=True),
    "sheet": Outlet(shows_pictures=True),
    "video": Outlet(shows_pictures=True),
    "window": Outlet(screen, shows_pictures=True),
}
"""Sinks that do more than to write tables, or less. One without a row writes files, the same for any picture."""


def outlet(name: str) -> Outlet:
    return OUTLETS.get(name, Outlet())


def make_sink(name: str, out: Path, **options: object) -> FrameSink:
    try:
        kind = resolve("sink", name)
    except MissingPackage as error:
        skip_or_fail(str(error))
    sink = kind(options_model(kind).model_validate(options), out)
    assert isinstance(sink, FrameSink)
    return sink


def people(index: int) -> Instances:
    corners = np.array([[10.0, 8.0], [60.0, 20.0]]) + index
    size = np.array([14.0, 30.0])
    return Instances.of(
        np.hstack([corners, corners + size]),
        [0.9, 0.8],
        keypoints=corners[:, None] + np.linspace([0, 0], size, len(COCO_17)),
        keypoint_score=np.full((2, len(COCO_17)), 0.9),
        skeleton=COCO_17,
    ).with_columns(track_id=[1, 2])


def make_packet(index: int, image: NDArray[np.uint8]) -> Packet:
    moment = START + timedelta(seconds=index / 25)
    stream = Stream("cam", time_base=Fraction(1, 90_000))
    frame = Frame(stream, index, index / 25, moment, 0.0, WatchedPixels(image))
    event = Event("cam", "door", "enter", index, index / 25, moment, "came in", 1, (10.0, 8.0, 24.0, 38.0))
    return Packet(frame, people(index), (event,))


def make_still(index: int, image: NDArray[np.uint8]) -> Packet:
    """Make a packet that is drawn like the one before, whichever that was."""
    return replace(make_packet(index, image), instances=people(0), events=())


def pictures(seed: int) -> list[NDArray[np.uint8]]:
    return [noise(WIDTH, HEIGHT, 100 * seed + index) for index in range(FRAMES)]


def through(stages: Sequence[Stage | Mask], packet: Packet) -> Packet:
    for stage in stages:
        if isinstance(stage, Mask):
            packet = replace(packet, frame=stage.hide(packet.frame))
        else:
            (packet,) = asyncio.run(as_coroutine(stage, packet))
    return packet


async def as_coroutine(stage: Stage, packet: Packet) -> Sequence[Packet]:
    return await stage.process([packet])


def write(name: str, out: Path, images: Sequence[NDArray[np.uint8]], *stages: Stage | Mask) -> Written:
    """Let a sink write one packet for each picture, and give all that it wrote."""
    with outlet(name).world(out) as (options, written), make_sink(name, out, **options) as sink:
        sink.source_changed(SourceStatus("cam", "live", START))
        for index, image in enumerate(images):
            packet = make_still(index, images[0]) if outlet(name).is_still else make_packet(index, image)
            sink.write(through(stages, packet))
        sink.end_source("cam")
        sink.finish()
        sink.close()
        return written()


def differing(one: Written, other: Written) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


every_sink = pytest.mark.parametrize("name", PLUGINS["sink"])


@every_sink
def test_without_privacy_only_sinks_that_show_pictures_depend_on_them(name: str, tmp_path: Path) -> None:
    first, second = (write(name, tmp_path / str(seed), pictures(seed)) for seed in (1, 2))
    assert bool(first) == outlet(name).writes, f"nothing of '{name}' can be compared: give it a row in OUTLETS"
    assert bool(differing(first, second)) == outlet(name).shows_pictures


@every_sink
def test_nothing_that_a_sink_writes_depends_on_the_picture_when_it_is_blank(name: str, tmp_path: Path) -> None:
    first, second = (write(name, tmp_path / str(seed), pictures(seed), Blank()) for seed in (1, 2))
    assert bool(first) == outlet(name).writes
    assert differing(first, second) == set()


@every_sink
def test_nothing_that_a_sink_writes_depends_on_the_masked_part_of_the_picture(name: str, tmp_path: Path) -> None:
    mask = {"cam": [LEFT_HALF]}
    first, second, elsewhere = pictures(1), pictures(2), pictures(3)
    for one, other, third in zip(first, second, elsewhere, strict=True):
        other[:, WIDTH // 2 + 1 :] = one[:, WIDTH // 2 + 1 :]
        third[:, : WIDTH // 2 + 1] = one[:, : WIDTH // 2 + 1]
    written = [
        write(name, tmp_path / str(n), images, Mask(mask)) for n, images in enumerate((first, second, elsewhere))
    ]
    assert differing(written[0], written[1]) == set()
    assert bool(differing(written[0], written[2])) == outlet(name).shows_pictures


@every_sink
def test_the_picture_is_gone_before_a_sink_is_given_the_packet(name: str, tmp_path: Path) -> None:
    with outlet(name).world(tmp_path) as (options, _), make_sink(name, tmp_path, **options) as sink:
        for index, image in enumerate(pictures(1)):
            packet = make_packet(index, image)
            below = packet.frame.pixels
            assert isinstance(below, WatchedPixels)
            gone, packet = weakref.ref(below), through([Blank()], packet)
            assert below.looks == 0
            del below
            assert gone() is None
            sink.write(packet)
        sink.end_source("cam")
        sink.finish()


# What can be seen in the pictures


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def assert_one_colour(image: NDArray[np.uint8], colour: Sequence[int], tolerance: int) -> None:
    assert np.abs(image.astype(int) - colour).max() <= tolerance


class Nobody(Stage):
    """Takes the people away, who would be drawn on the picture."""

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        return [replace(packet, instances=None, events=()) for packet in packets]


def test_a_blank_video_without_people_is_of_one_colour(tmp_path: Path) -> None:
    with make_sink("video", tmp_path, info=False) as sink:
        for index, image in enumerate(pictures(1)):
            sink.write(through([Nobody(), Blank()], make_packet(index, image)))
        sink.finish()
    images = frames_of(tmp_path / "cam.mp4")
    assert len(images) == FRAMES
    for image in images:
        assert_one_colour(image, GROUND, 6)


def test_a_masked_video_is_black_where_it_is_masked_and_shows_the_rest(tmp_path: Path) -> None:
    with make_sink("video", tmp_path, info=False, crf=10) as sink:
        for index, image in enumerate(pictures(1)):
            sink.write(through([Nobody(), Mask({"*": [LEFT_HALF]})], make_packet(index, image)))
        sink.finish()
    for image in frames_of(tmp_path / "cam.mp4"):
        assert_one_colour(image[:, : WIDTH // 2 - 4], (0, 0, 0), 16)  # the encoder smears the noise over the border
        assert image[:, WIDTH // 2 + 4 :].std() > 30


# The whole pipeline


@pytest.fixture
def clip(tmp_path: Path) -> Callable[[int], Path]:
    """Write a clip of noise, a different one for each seed."""

    def make(seed: int) -> Path:
        path = tmp_path / f"clip-{seed}" / "cam.mp4"
        path.parent.mkdir()
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for image in pictures(seed):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
            container.mux(stream.encode(None))
        return path

    return make


def run(out: Path, source: dict[str, Any], **sections: Any) -> Written:
    """Run a configuration, and give what it wrote."""
    tree = {"sources": [source], "sinks": ["jsonl", {"kind": "video", "info": False}, "sheet"], **sections}
    config = build_config(tree)
    runner = Runner(build(config, out), config.run)
    asyncio.run(runner.run())
    assert runner.failures == []
    return {path.name: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_no_output_of_a_run_depends_on_the_picture_when_only_skeletons_are_wanted(
    tmp_path: Path, clip: Callable[[int], Path]
) -> None:
    clips = [clip(seed) for seed in (1, 2)]
    open_, blank = (
        [run(tmp_path / f"{word}-{n}", {"kind": "file", "path": str(path)}, privacy={"skeleton_only": word == "blank"})
         for n, path in enumerate(clips)]
        for word in ("open", "blank")
    )  # fmt: skip
    assert {"cam.mp4", "cam-sheet.png"} <= differing(*open_)
    assert {"cam.mp4", "cam-sheet.png"} <= set(blank[0])
    assert {name for name in differing(*blank) if not name.endswith(".jsonl")} == set()
    sheet = cv2.imdecode(np.frombuffer(blank[0]["cam-sheet.png"], np.uint8), cv2.IMREAD_COLOR)
    assert sheet is not None
    for image in frames_of(tmp_path / "blank-0" / "cam.mp4"):
        assert_one_colour(image, GROUND, 6)


def test_a_mask_whose_source_is_misspelt_is_refused_before_anything_runs(tmp_path: Path) -> None:
    tree = {
        "sources": [{"kind": "synthetic", "id": "door"}],
        "sinks": ["null"],
        "privacy": {"mask": {"dor": [LEFT_HALF]}},
    }
    with pytest.raises(ConfigError, match="Did you mean 'door'"):
        build(build_config(tree), tmp_path)


def test_no_output_of_a_run_shows_what_is_masked(tmp_path: Path, clip: Callable[[int], Path]) -> None:
    source = {"kind": "file", "path": str(clip(1)), "id": "door"}
    run(tmp_path / "out", source, privacy={"mask": {"door": [LEFT_HALF]}})
    for image in frames_of(tmp_path / "out" / "door.mp4"):
        assert_one_colour(image[:, : WIDTH // 2 - 8], (0, 0, 0), 16)
        assert image[:, WIDTH // 2 + 8 :].std() > 30


STREET = {"kind": "pan", "seconds": 0.12}
WITH_JOINTS = {"pose": {"kind": "blazepose"}, "sinks": ["jsonl"]}


def joints(written: Written) -> dict[tuple[str, int], Any]:
    (lines,) = written.values()
    rows = [json.loads(line) for line in lines.splitlines()]
    return {(row["source"], row["frame"]): row["people"] for row in rows}


def test_people_have_the_same_joints_whether_or_not_they_are_shown(tmp_path: Path) -> None:
    shown, hidden = (
        joints(run(tmp_path / str(only), STREET, **WITH_JOINTS, privacy={"skeleton_only": only}))
        for only in (False, True)
    )
    assert all(shown.values())
    assert shown == hidden


def test_a_model_sees_nothing_of_what_is_masked(tmp_path: Path) -> None:
    everything = {"*": [[[0, 0], [1, 0], [1, 1], [0, 1]]]}
    found = joints(run(tmp_path, STREET, **WITH_JOINTS, privacy={"mask": everything}))
    assert found
    assert not any(found.values())
