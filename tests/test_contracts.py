"""What every plug-in promises, tested on each one that is registered: a new line in the registry is tested at once.

Only the promises of the base classes are here; what a plug-in does beyond them is tested in its own file.
"""

import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from checkpoints import write_hrnet, write_poseresnet
from dataloop_setup import set_up
from display import VirtualDisplay
from fakes import skip_or_fail
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from spots import write_onnx

from pipeline import plugin as plugins
from pipeline.config import PluginConfig
from pipeline.errors import ConfigError, MissingPackage, SinkError
from pipeline.registry import PLUGINS, options_model, resolve, validate_options
from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Event, Frame, HostPixels, Instances, Packet, Stream
from stages.detectors.base import Detector
from stages.poses.base import PoseModel
from stages.rules.base import Rule
from stages.sinks.base import FrameSink
from stages.sources.base import FrameSource
from trackers.base import Tracker

BASES: dict[str, type] = {
    "source": FrameSource,
    "detector": Detector,
    "pose": PoseModel,
    "tracker": Tracker,
    "rule": Rule,
    "sink": FrameSink,
}

REQUIRED: dict[str, Any] = {
    "path": "street.mp4",
    "weights": "yolo11n.pt",
    "polygon": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]],
    "a": [0.5, 0.1],
    "b": [0.5, 0.9],
    "url": "rtsp://127.0.0.1:9/{source}",
    "item": "64b000000000000000000001",
}
"""Values for options that have no default, where nothing is opened."""

NOWHERE: dict[str, dict[str, Any]] = {"mqtt": {"port": 1}}
"""Plug-in -> options that keep what tests say from a server that may really be on this machine."""

ONE_SOURCE = {"dataloop"}
"""Sinks that take one source only, and all of it: a part, or two sources, would be wrong where they write."""

WIDTH, HEIGHT = 64, 48


def every(*roles: str) -> pytest.MarkDecorator:
    cases = [pytest.param(role, name, id=f"{role}-{name}") for role in roles for name in PLUGINS[role]]
    return pytest.mark.parametrize(("role", "name"), cases)


def each(role: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", PLUGINS[role], ids=[f"{role}-{name}" for name in PLUGINS[role]])


def find(role: str, name: str) -> Any:
    """Import a plug-in; skip, visibly, where a package is not installed."""
    try:
        return resolve(role, name)
    except MissingPackage as error:
        skip_or_fail(str(error))


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with VirtualDisplay() as display:
        yield display.name


@pytest.fixture(autouse=True)
def _on_a_display(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(request.node, "callspec") and request.node.callspec.params.get("name") == "window":
        monkeypatch.setenv("DISPLAY", request.getfixturevalue("display"))


@pytest.fixture(autouse=True)
def _on_a_platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if hasattr(request.node, "callspec") and request.node.callspec.params.get("name") == "dataloop":
        find("sink", "dataloop")
        server = request.getfixturevalue("dataloop")
        facts = {"filename": "/street.mp4", "mimetype": "video/mp4", "width": WIDTH, "height": HEIGHT, "fps": 25}
        monkeypatch.setitem(REQUIRED, "item", server.add_item(Path(__file__), **facts))  # nobody reads the file
        set_up(server)


def make(role: str, name: str, *more: object, **options: object) -> Any:
    """Construct a plug-in; `more` is what its role takes beside the options: a source's id, a sink's folder."""
    plugin = find(role, name)
    model = options_model(plugin)
    required = {field: REQUIRED[field] for field, info in model.model_fields.items() if info.is_required()}
    return plugin(model.model_validate(required | NOWHERE.get(name, {}) | options), *more)


def make_any(role: str, name: str, out: Path) -> Any:
    return make(role, name, *{"source": ("cam",), "sink": (out,), "rule": (name,)}.get(role, ()))


# Every plug-in


@every(*BASES)
def test_options_stand_beside_the_class_frozen_and_strict(role: str, name: str) -> None:
    model = options_model(find(role, name))
    assert issubclass(model, plugins.Options)
    assert model is not plugins.Options
    assert model.model_config["frozen"] is True
    assert model.model_config["extra"] == "forbid"


@every(*BASES)
def test_every_option_is_described_and_leaves_the_names_of_the_configuration_alone(role: str, name: str) -> None:
    fields = options_model(find(role, name)).model_fields
    assert [option for option, field in fields.items() if not field.description] == []
    assert not set(fields) & set(PluginConfig.model_fields)


@every(*BASES)
def test_options_cannot_be_changed(role: str, name: str, tmp_path: Path) -> None:
    options = make_any(role, name, tmp_path).options
    for field in type(options).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(options, field, None)


@every(*BASES)
def test_a_misspelt_option_is_refused_with_its_path(role: str, name: str) -> None:
    with pytest.raises(ConfigError, match=r"sinks\.3\.pathh: unknown option 'pathh'"):
        validate_options(find(role, name), {"pathh": "x"}, "sinks.3")


@every(*BASES)
def test_the_class_is_of_its_role_and_is_what_the_module_offers(role: str, name: str) -> None:
    plugin = find(role, name)
    assert issubclass(plugin, BASES[role])
    assert not getattr(plugin, "__abstractmethods__", None)
    assert {"Options", plugin.__name__} <= set(sys.modules[plugin.__module__].__all__)


@every(*BASES)
def test_the_module_begins_with_a_sentence(role: str, name: str) -> None:
    first, *_ = (sys.modules[find(role, name).__module__].__doc__ or "").splitlines()
    assert first.endswith(".")
    assert first[0].isupper()
    assert " " in first


@every(*BASES)
def test_the_constructor_opens_nothing(role: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find(role, name)
    monkeypatch.chdir(tmp_path)
    threads, started = threading.active_count(), time.monotonic()
    make_any(role, name, tmp_path / "out")
    assert time.monotonic() - started < 2
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []


@every("source", "detector", "pose", "sink")
def test_closing_before_opening_and_twice_is_fine(role: str, name: str, tmp_path: Path) -> None:
    plugin = make_any(role, name, tmp_path / "out")
    plugin.close()
    plugin.close()
    assert list(tmp_path.iterdir()) == []


class Door(plugins.Plugin):
    """Writes down what happens to it; `stuck`, it fails to open."""

    def __init__(self, *, stuck: bool) -> None:
        self.stuck = stuck
        self.log: list[str] = []

    def open(self) -> None:
        self.log.append("open")
        if self.stuck:
            msg = "stuck"
            raise RuntimeError(msg)

    def close(self) -> None:
        self.log.append("close")


def test_with_opens_and_closes() -> None:
    with Door(stuck=False) as door:
        assert door.log == ["open"]
    assert door.log == ["open", "close"]


def test_with_closes_after_a_failure_inside_and_after_one_to_open() -> None:
    door, stuck = Door(stuck=False), Door(stuck=True)
    with pytest.raises(ZeroDivisionError), door:
        _ = 1 / 0
    with pytest.raises(RuntimeError, match="stuck"), stuck:
        pytest.fail("it did not open")
    assert door.log == stuck.log == ["open", "close"]


# Sources

Inputs = dict[str, Any]


def _video(folder: Path) -> Inputs:
    path = folder / "five.mp4"
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for shade in range(0, 250, 50):
            picture = np.full((HEIGHT, WIDTH, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(stream.encode())
    return {"path": str(path)}


def _pictures(folder: Path) -> Inputs:
    for shade in (10, 200):
        cv2.imwrite(str(folder / f"{shade}.png"), np.full((HEIGHT, WIDTH, 3), shade, np.uint8))
    return {"path": str(folder)}


def _photograph(folder: Path) -> Inputs:
    return {"image": f"{_pictures(folder)['path']}/10.png", "width": WIDTH, "height": HEIGHT, "seconds": 0.2}


LIVE_ONLY = frozenset({"camera", "rtsp"})
"""These need a camera, and end with an error: they are tested beside their own parts, with real servers."""


def each_that_ends() -> pytest.MarkDecorator:
    names = [name for name in PLUGINS["source"] if name not in LIVE_ONLY]
    return pytest.mark.parametrize("name", names, ids=[f"source-{name}" for name in names])


SOURCE_INPUTS: dict[str, tuple[Callable[[Path], Inputs], int]] = {
    "file": (_video, 5),
    "images": (_pictures, 2),
    "pan": (_photograph, 5),
    "synthetic": (lambda _: {"frames": 3, "width": WIDTH, "height": HEIGHT}, 3),
}
"""Source -> a tiny input, and how many frames are in it."""


@pytest.fixture
def source(name: str, tmp_path: Path) -> Iterator[FrameSource]:
    if name not in SOURCE_INPUTS:
        pytest.fail(f"the source '{name}' has no tiny input yet: add one to SOURCE_INPUTS")
    source: FrameSource = make("source", name, "cam", **SOURCE_INPUTS[name][0](tmp_path))
    yield source
    source.close()


def read_all(source: FrameSource) -> list[Frame]:
    return list(iter(source.read, None))


@each_that_ends()
def test_a_source_gives_its_frames_in_order_then_none_and_none_again(name: str, source: FrameSource) -> None:
    source.open()
    frames = read_all(source)
    assert len(frames) == SOURCE_INPUTS[name][1]
    assert [frame.index for frame in frames] == list(range(len(frames)))
    times = [frame.pts_seconds for frame in frames]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert source.read() is None
    assert source.read() is None


@each_that_ends()
def test_a_frame_is_a_read_only_picture_of_the_stated_size(source: FrameSource) -> None:
    source.open()
    for frame in read_all(source):
        assert (frame.width, frame.height) == (WIDTH, HEIGHT)
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert not frame.image.flags.writeable


@each_that_ends()
def test_a_frame_knows_when_it_came_and_from_where(source: FrameSource) -> None:
    before = time.monotonic()
    source.open()
    frames = read_all(source)
    arrived = [frame.arrived_monotonic for frame in frames]
    assert before <= arrived[0]
    assert arrived == sorted(arrived)
    assert arrived[-1] <= time.monotonic()
    for frame in frames:
        assert frame.captured_at.utcoffset() == timedelta(0)
        assert abs(frame.captured_at - datetime.now(UTC)) < timedelta(minutes=1)
        assert frame.stream is frames[0].stream
        assert frame.stream.time_base > 0
        assert frame.stream.live == source.live
        assert frame.stream.expected_frames in {None, len(frames)}


@each_that_ends()
def test_a_source_that_was_renamed_before_it_opened_gives_frames_of_that_name(source: FrameSource) -> None:
    source.source_id = "cam-2"
    source.open()
    assert {frame.source_id for frame in read_all(source)} == {"cam-2"}


@each_that_ends()
def test_frames_outlive_their_source_and_may_be_looked_at_from_any_thread(source: FrameSource) -> None:
    source.open()
    frames = read_all(source)
    source.close()
    with ThreadPoolExecutor(4) as threads:
        pictures = list(threads.map(lambda frame: frame.image, frames * 4))
    for index, picture in enumerate(pictures):
        assert np.array_equal(picture, pictures[index % len(frames)])


@each_that_ends()
def test_a_source_may_be_closed_half_way(source: FrameSource) -> None:
    source.open()
    assert source.read() is not None
    source.close()
    source.close()


@each("source")
def test_an_entry_expands_to_sources_that_nobody_opened(name: str, tmp_path: Path) -> None:
    plugin = find("source", name)
    options = make("source", name, "cam", **(SOURCE_INPUTS[name][0](tmp_path) if name in SOURCE_INPUTS else {})).options
    (unnamed,), (named,) = plugin.expand(options, None), plugin.expand(options, "door")
    assert isinstance(unnamed, plugin)
    assert unnamed.source_id
    assert named.source_id == "door"


# Sinks


def people(n: int, columns: Collection[str]) -> Instances:
    """Make n people with as many columns as a chain that provides `columns` gives them."""
    corners, size = np.arange(n)[:, None] * 5 + [4, 4], np.array([12, 24])
    table = Instances.of(np.hstack([corners, corners + size]), np.linspace(0.9, 0.1, n))
    if "keypoints" in columns:
        joints = corners[:, None] + np.linspace([0, 0], size, len(COCO_17))
        scores = np.linspace(np.zeros(n), np.ones(n), len(COCO_17), axis=1)
        table = table.with_columns(keypoints=joints, keypoint_score=scores, skeleton=COCO_17)
    if "track_id" in columns:
        table = table.with_columns(track_id=[NO_TRACK, *range(1, n)][:n])
    return table


def packets(columns: Collection[str]) -> Iterator[Packet]:
    """Make six frames of two sources in turn; there are 0, 2, 0, 0, 3 and 1 people in them."""
    picture = HostPixels(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
    captured_at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    streams = [Stream(f"cam-{number}", time_base=Fraction(1, 1000), frames_per_second=25) for number in (1, 2)]
    for index, n in enumerate((0, 2, 0, 0, 3, 1)):
        for stream in streams:
            frame = Frame(stream, index, index / 25, captured_at, time.monotonic(), picture)
            packet = Packet(frame, people(n, columns) if columns else None)
            yield packet.with_events([happening(frame)]) if "events" in columns else packet


def packets_for(sink: str, columns: Collection[str]) -> Iterator[Packet]:
    """Make the packets that a sink may get."""
    return (packet for packet in packets(columns) if sink not in ONE_SOURCE or packet.source_id == "cam-1")


def happening(frame: Frame) -> Event:
    return Event(frame.source_id, "door", "enter", frame.index, frame.pts_seconds, frame.captured_at, "because")


CHAINS: tuple[tuple[str, ...], ...] = (
    (),
    ("xyxy",),
    ("xyxy", "track_id"),
    ("xyxy", "keypoints"),
    ("xyxy", "keypoints", "track_id"),
)

every_chain = pytest.mark.parametrize("columns", CHAINS, ids=[" ".join(columns) or "nothing" for columns in CHAINS])


def files(folder: Path, *, part: bool) -> list[Path]:
    found = folder.rglob("*") if folder.exists() else iter(())
    return [path for path in found if path.is_file() and (path.suffix == ".part") == part]


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of the run, which is not there yet; the current folder is another one."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "run"


@each("sink")
@every_chain
def test_a_sink_that_is_finished_leaves_its_targets_and_nothing_half_done(
    name: str, columns: tuple[str, ...], out: Path
) -> None:
    sink: FrameSink = make("sink", name, out)
    sink.open()
    for packet in packets_for(name, {*columns, *sink.needs}):
        sink.write(packet)
    for source_id in ("cam-1", "cam-2"):
        sink.end_source(source_id)
    sink.finish()
    sink.close()
    targets = {target.replace("{source}", source) for target in sink.targets() for source in ("cam-1", "cam-2")}
    assert {str(path) for path in files(out, part=False)} >= targets
    assert all(Path(target).stat().st_size for target in targets)
    assert files(out, part=True) == []
    assert list(Path.cwd().iterdir()) == []


@each("sink")
def test_a_sink_that_was_given_nothing_can_be_finished(name: str, out: Path) -> None:
    sink: FrameSink = make("sink", name, out)
    sink.open()
    sink.end_source("cam-1")
    sink.finish()
    sink.close()
    assert files(out, part=True) == []


@each("sink")
def test_a_sink_that_is_closed_but_not_finished_leaves_no_final_name(name: str, out: Path) -> None:
    sink: FrameSink = make("sink", name, out)
    sink.open()
    for packet in packets_for(name, CHAINS[-1]):
        sink.write(packet)
    sink.close()
    sink.close()
    assert files(out, part=False) == []


@each("sink")
def test_a_sink_that_was_closed_after_a_failure_can_be_opened_again(name: str, out: Path) -> None:
    if name in ONE_SOURCE:
        return  # what came in between is lost: it refuses
    sink: FrameSink = make("sink", name, out)
    first, *rest = packets(CHAINS[-1])
    sink.open()
    sink.write(first)
    sink.close()
    sink.open()
    for packet in rest:
        sink.write(packet)
    sink.finish()
    sink.close()
    assert bool(files(out, part=False)) == bool(sink.targets())


@each("sink")
def test_a_sink_that_cannot_write_says_so_and_where(name: str, out: Path) -> None:
    sink: FrameSink = make("sink", name, out)
    if not sink.targets():
        return  # it writes no file, so there is nothing that it cannot write
    out.write_text("in the way", encoding="utf-8")
    with pytest.raises(SinkError, match="run") as caught:
        sink.open()
    assert isinstance(caught.value.__cause__, OSError)
    sink.close()
    assert out.read_text(encoding="utf-8") == "in the way"


@each("sink")
def test_targets_are_below_the_folder_of_the_run_and_known_before_opening(name: str, out: Path) -> None:
    sink: FrameSink = make("sink", name, out)
    assert all(Path(target).is_relative_to(out) for target in sink.targets())
    assert sink.overflow in {"block", "drop_oldest"}
    assert sink.needs <= {"xyxy", "keypoints", "track_id", "events", "pixels"}


# Trackers


def walkers(index: int) -> Instances:
    """Two people who walk towards each other on lanes of their own; and in every tenth frame, nobody at all."""
    if index % 10 == 9:
        return Instances.empty(COCO_17)
    x = np.array([20.0 + 4 * index, 400.0 - 4 * index])
    y = np.array([50.0, 250.0])
    boxes = np.stack([x, y, x + 40, y + 100], axis=1)
    return Instances.of(boxes, [0.9, 0.8], skeleton=COCO_17)


def ids(tracked: Instances) -> list[int]:
    assert tracked.track_id is not None
    return [int(track_id) for track_id in tracked.track_id]


@each("tracker")
def test_two_people_who_walk_get_the_first_two_ids_and_keep_them(name: str) -> None:
    tracker: Tracker = make("tracker", name)
    tables = [ids(tracker.update(walkers(index), index / 25)) for index in range(50)]
    assert all(len(table) == len(walkers(index)) for index, table in enumerate(tables))
    assert sorted(tables[-2]) == [1, 2]
    for place in (0, 1):
        assert {table[place] for table in tables if table} - {NO_TRACK} == {tables[-2][place]}


@each("tracker")
def test_after_a_reset_ids_start_again(name: str) -> None:
    tracker: Tracker = make("tracker", name)
    for _ in range(2):
        seen = {track_id for index in range(20) for track_id in ids(tracker.update(walkers(index), index / 25))}
        assert seen - {NO_TRACK} == {1, 2}
        tracker.reset()


@each("tracker")
def test_trackers_share_no_identities(name: str) -> None:
    one, other = make("tracker", name), make("tracker", name)
    for index in range(20):
        assert ids(one.update(walkers(index), index / 25)) == ids(other.update(walkers(index), index / 25))


@each("tracker")
@pytest.mark.parametrize("step_seconds", [0.0, -0.04, 3600.0], ids=["standing", "backwards", "an hour"])
def test_a_clock_that_misbehaves_stops_no_tracker(name: str, step_seconds: float) -> None:
    tracker: Tracker = make("tracker", name)
    for index in range(20):
        assert len(tracker.update(walkers(index), 100 + index * step_seconds)) == len(walkers(index))


@each("tracker")
def test_a_source_where_nobody_ever_comes_has_no_identities(name: str) -> None:
    tracker: Tracker = make("tracker", name)
    for index in range(20):
        assert ids(tracker.update(Instances.empty(), index / 25)) == []


boxes = st.tuples(*[st.floats(-50, 700, width=32)] * 2, *[st.floats(0, 300, width=32)] * 2)
rows = st.lists(st.tuples(boxes, st.floats(0, 1, width=32), st.integers(0, 1)), max_size=5)


@each("tracker")
@settings(max_examples=40)
@given(scene=st.lists(rows, max_size=12))
def test_rows_come_back_as_they_were_with_ids_from_one_without_gaps(name: str, scene: list[list[Any]]) -> None:
    tracker: Tracker = make("tracker", name)
    seen: set[int] = set()
    for index, frame in enumerate(scene):
        table = Instances.of(
            [[x, y, x + w, y + h] for (x, y, w, h), _, _ in frame],
            [score for _, score, _ in frame],
            class_id=[class_id for *_, class_id in frame],
            skeleton=COCO_17,
        )
        tracked = tracker.update(table, index / 25)
        for column in ("xyxy", "score", "class_id", "keypoints", "keypoint_score"):
            assert np.array_equal(getattr(tracked, column), getattr(table, column))
        given_ids = [track_id for track_id in ids(tracked) if track_id != NO_TRACK]
        assert len(set(given_ids)) == len(given_ids)
        seen |= set(given_ids)
        assert seen == set(range(1, len(seen) + 1))


# Detectors and poses

MODELS: dict[tuple[str, str], str | Callable[[Path], Path] | None] = {
    ("detector", "blazepose"): None,
    ("detector", "onnx"): "yolo11n_int8_openvino_model/yolo11n.xml",
    ("detector", "ultralytics"): "yolo11n_int8_openvino_model",
    ("pose", "blazepose"): None,
    ("pose", "hrnet"): lambda folder: write_hrnet(folder / "hrnet_64x64.pth"),
    ("pose", "onnx"): lambda folder: write_onnx(folder / "spots.onnx"),
    ("pose", "poseresnet"): lambda folder: write_poseresnet(folder / "resnet_64x64.pth"),
    ("pose", "ultralytics"): "yolov8n-pose_int8_openvino_model",
}
"""Model -> its weights among the measuring data, or what writes untrained ones into a folder; None where it fetches its
own."""

UNTRAINED = {("pose", name): {"engine": "torch", "device": "cpu"} for name in ("hrnet", "poseresnet")}
"""Model -> what else it needs: PyTorch runs a network as it is; other engines convert it first, half a minute long."""


def each_model(role: str) -> pytest.MarkDecorator:
    def marks(name: str) -> list[pytest.MarkDecorator]:
        return [pytest.mark.slow, *([pytest.mark.shared] if isinstance(MODELS.get((role, name)), str) else [])]

    cases = [pytest.param(role, name, marks=marks(name), id=f"{role}-{name}") for name in PLUGINS[role]]
    return pytest.mark.parametrize(("role", "name"), cases)


@pytest.fixture
def model(role: str, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if (role, name) not in MODELS:
        pytest.fail(f"the {role} '{name}' has no weights to be tested with: add a line to MODELS")
    weights = MODELS[role, name]
    if isinstance(weights, str):
        options = {"weights": str(request.getfixturevalue("shared") / "models" / weights)}
    else:
        options = {} if weights is None else {"weights": str(weights(tmp_path)), **UNTRAINED.get((role, name), {})}
    with make(role, name, **options) as opened:
        yield opened


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """Make four frames of three sources and sizes: two of real people, one of noise, one black and thin."""
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    pan = find("source", "pan")
    with pan.expand(options_model(pan).model_validate({"seconds": 0.08}), "street")[0] as source:
        filmed = read_all(source)
    others = [
        Frame(Stream(source_id), 0, 0.0, datetime.now(UTC), time.monotonic(), HostPixels(picture))
        for source_id, picture in (("noise", noise), ("dark", np.zeros((200, 33, 3), np.uint8)))
    ]
    return [*filmed, *others]


def in_batches(call: Callable[..., list[Instances]], size: int, *columns: Sequence[Any]) -> list[Instances]:
    starts = range(0, len(columns[0]), size)
    return [table for start in starts for table in call(*(column[start : start + size] for column in columns))]


def assert_in_frame(table: Instances, frame: Frame) -> None:
    x1, y1, x2, y2 = table.xyxy.T
    assert (x1 >= 0).all()
    assert (y1 >= 0).all()
    assert (x2 <= frame.width).all()
    assert (y2 <= frame.height).all()
    assert (x1 <= x2).all()
    assert (y1 <= y2).all()
    assert ((table.score >= 0) & (table.score <= 1)).all()


def assert_has_joints(table: Instances) -> None:
    assert table.skeleton is not None
    assert table.keypoint_score is not None
    assert ((table.keypoint_score >= 0) & (table.keypoint_score <= 1)).all()


@every("detector", "pose")
def test_a_model_says_how_much_it_takes_at_once(role: str, name: str, tmp_path: Path) -> None:
    model = make_any(role, name, tmp_path)
    assert model.max_batch >= 1
    model.end_source("cam-nobody-knows")


@each("pose")
def test_a_pose_model_says_what_it_does_with_boxes(name: str) -> None:
    assert find("pose", name).boxes in {"needed", "optional", "unused"}


@each_model("detector")
def test_an_open_detector_says_what_it_is_and_what_runs_it(model: Detector) -> None:
    assert model.description.endswith(" on cpu")


@each_model("pose")
def test_an_open_pose_model_says_what_it_is_and_what_runs_it(model: PoseModel) -> None:
    assert model.description.endswith(" on cpu")


@each_model("detector")
def test_a_detector_gives_one_table_a_frame_inside_of_it_best_first(model: Detector, frames: list[Frame]) -> None:
    tables = in_batches(model.detect, model.max_batch, frames)
    assert len(tables) == len(frames)
    for table, frame in zip(tables, frames, strict=True):
        assert_in_frame(table, frame)
        assert (np.diff(table.score) <= 0).all()
        assert table.track_id is None
    assert all(len(table) >= 1 for table in tables[:2])


@each_model("detector")
def test_a_detector_finds_the_same_alone_as_in_a_batch(model: Detector, frames: list[Frame]) -> None:
    together = in_batches(model.detect, model.max_batch, frames)
    alone = in_batches(model.detect, 1, frames)
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one.xyxy, other.xyxy, atol=1)
        assert np.allclose(one.score, other.score, atol=0.02)


@each_model("pose")
def test_a_pose_model_without_boxes_gives_one_table_with_joints_a_frame(model: PoseModel, frames: list[Frame]) -> None:
    if model.boxes == "needed":
        pytest.skip("it needs the boxes of a detector")
    tables = in_batches(model.estimate, model.max_batch, frames, [None] * len(frames))
    assert len(tables) == len(frames)
    for table, frame in zip(tables, frames, strict=True):
        assert_in_frame(table, frame)
        assert_has_joints(table)
    assert all(len(table) >= 1 for table in tables[:2])


@each_model("pose")
def test_a_pose_model_keeps_the_rows_it_is_given(model: PoseModel, frames: list[Frame]) -> None:
    if model.boxes == "unused":
        pytest.skip("it finds people by itself, and the engine refuses a detector before it")
    odd = Instances.of([[5, 5, 30, 90], [0, 0, 0, 0], [-50, -50, 900, 900], [10, 20, 10, 60]], [0.2, 0.9, 0.5, 0.4])
    tables = [odd, Instances.empty(), odd.with_columns(track_id=[4, 3, 2, NO_TRACK]), odd[:1]]
    found = in_batches(model.estimate, model.max_batch, frames, tables)
    for after, before in zip(found, tables, strict=True):
        assert_has_joints(after)
        assert np.array_equal(after.xyxy, before.xyxy)
        assert np.array_equal(after.score, before.score)
        assert (after.track_id is None) == (before.track_id is None)
    assert ids(found[2]) == [4, 3, 2, NO_TRACK]


# Rules


def judged(name: str, frames: int = 60) -> list[Event]:
    """Show a rule two people with joints who walk towards each other, and nobody in every tenth frame."""
    rule: Rule = make("rule", name, "mine")
    stream, picture = Stream("street"), HostPixels(np.zeros((480, 640, 3), np.uint8))
    events = []
    for index in range(frames):
        frame = Frame(stream, index, index / 10, datetime(2026, 1, 2, tzinfo=UTC), 0.0, picture)
        table = walkers(index)
        people = table.with_columns(track_id=np.arange(len(table)) + 1)
        events += rule.update(frame, people)
    return events


@each("rule")
def test_an_event_says_of_which_rule_source_and_frame_it_is_and_why(name: str) -> None:
    for event in judged(name):
        assert (event.rule, event.source_id) == ("mine", "street")
        assert event.pts_seconds == event.frame_index / 10
        assert event.kind
        assert event.reason
        assert event.track_id in {None, 1, 2}


@each("rule")
def test_the_same_people_make_the_same_events_every_time(name: str) -> None:
    first, second = ([(e.kind, e.frame_index, e.reason, dict(e.values)) for e in judged(name)] for _ in range(2))
    assert first == second


@each("rule")
def test_a_rule_bears_nobody_and_people_without_identity(name: str) -> None:
    rule: Rule = make("rule", name, "mine")
    frame = Frame(
        Stream("street"), 0, 0.0, datetime(2026, 1, 2, tzinfo=UTC), 0.0, HostPixels(np.zeros((9, 9, 3), np.uint8))
    )
    strangers = walkers(0).with_columns(track_id=[NO_TRACK, NO_TRACK])
    found = [
        event
        for people in (Instances.empty(), strangers, Instances.empty(COCO_17))
        for event in rule.update(frame, people)
    ]
    assert all(event.is_state and event.track_id is None for event in found)


@each("rule")
def test_a_rule_needs_columns_that_there_are(name: str) -> None:
    assert find("rule", name).needs <= {"xyxy", "keypoints", "track_id"}
