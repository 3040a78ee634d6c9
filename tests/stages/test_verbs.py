"""The verbs: plug-ins on threads, joined to the engine."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from fakes import make_frame, make_packet
from numpy.typing import NDArray
from programs import until

from pipeline import plugin
from pipeline.errors import SinkError
from pipeline.types import Event, Frame, Instances, Packet, Place
from pipeline.worker import abandoned_workers
from stages.decode import Decode
from stages.detect import Detect
from stages.detectors.base import Detector
from stages.pose import EstimatePose
from stages.poses.base import PoseModel
from stages.rule import Judge
from stages.rules.base import Rule
from stages.sink import Write
from stages.sinks.base import FrameSink
from stages.sources.base import FrameSource
from stages.sources.synthetic import Options, SyntheticSource
from stages.track import Track
from trackers.base import Tracker

SOMEBODY = Instances.of([[1, 2, 3, 4]], [0.5])


class OneDetector(Detector):
    max_batch = 4

    def __init__(self, found: int | None = None) -> None:
        self.found = found
        self.threads: set[int] = set()
        self.forgotten: list[str] = []

    def detect(self, frames: Any) -> list[Instances]:
        self.threads.add(threading.get_ident())
        return [SOMEBODY] * (len(frames) if self.found is None else self.found)

    def end_source(self, source_id: str) -> None:
        self.forgotten.append(source_id)


class NeedyPose(PoseModel):
    boxes = "needed"

    def estimate(self, frames: Any, instances: Any) -> list[Instances]:  # noqa: ARG002 - the shape of the contract
        return list(instances)


class CountingTracker(Tracker):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        assert image is None
        assert warp is None
        self.seen.append(pts_seconds)
        return instances.with_columns(track_id=np.full(len(instances), len(self.seen)))

    def reset(self) -> None:
        self.seen.clear()


class MoodySink(FrameSink):
    def __init__(self, bad: dict[str, Exception]) -> None:
        super().__init__(plugin.Options(), Path())
        self.bad = bad
        self.log: list[str] = []

    def _do(self, what: str) -> None:
        self.log.append(what)
        if what in self.bad:
            raise self.bad[what]

    def open(self) -> None:
        self._do("open")

    def write(self, packet: Packet) -> None:
        self._do(f"write {packet.frame.index}")

    def end_source(self, source_id: str) -> None:
        self._do(f"end {source_id}")

    def finish(self) -> None:
        self._do("finish")

    def close(self) -> None:
        self._do("close")


async def test_a_renamed_source_gives_frames_of_that_name() -> None:
    source = Decode(SyntheticSource(Options(frames=2), "synthetic"))
    source.rename("door")
    await source.open()
    frame = await source.read()
    await source.close()
    assert isinstance(frame, Frame)
    assert (source.source_id, frame.source_id) == ("door", "door")


async def test_a_detector_works_on_one_thread_of_its_own_and_forgets_sources() -> None:
    detector = OneDetector()
    stage = Detect(lambda: detector)
    await stage.open()
    done = [await stage.process([make_packet(0), make_packet(1, "b")]) for _ in range(3)]
    await stage.end_source("b")
    await stage.close()
    assert all(packet.instances is SOMEBODY for batch in done for packet in batch)
    assert stage.max_batch == 4
    assert len(detector.threads) == 1
    assert threading.get_ident() not in detector.threads
    assert detector.forgotten == ["b"]


async def test_a_detector_that_forgets_a_frame_is_found_out() -> None:
    stage = Detect(lambda: OneDetector(found=1))
    with pytest.raises(ValueError, match="zip"):
        await stage.process([make_packet(0), make_packet(1)])
    await stage.close()


async def test_a_top_down_pose_model_needs_boxes_and_gets_them() -> None:
    stage = EstimatePose(NeedyPose)
    assert stage.needs == {"xyxy"}
    (packet,) = await stage.process([make_packet(0, instances=SOMEBODY)])
    await stage.close()
    assert packet.instances is SOMEBODY


async def test_each_source_has_a_tracker_of_its_own_until_it_ends() -> None:
    made: list[CountingTracker] = []

    def make() -> Tracker:
        made.append(CountingTracker())
        return made[-1]

    stage = Track(make)
    for packet in (make_packet(0, "a", SOMEBODY), make_packet(0, "b", SOMEBODY), make_packet(1, "a", SOMEBODY)):
        await stage.process([packet])
    await stage.end_source("a")
    (again,) = await stage.process([make_packet(2, "a", SOMEBODY)])
    await stage.close()
    assert [tracker.seen for tracker in made] == [[0.0, 1 / 25], [0.0], [2 / 25]]
    assert again.instances is not None
    assert again.instances.track_id is not None
    assert again.instances.track_id.tolist() == [1]


async def test_a_frame_without_a_table_is_tracked_as_a_frame_without_people() -> None:
    stage = Track(CountingTracker)
    (packet,) = await stage.process([Packet(make_frame(0))])
    await stage.close()
    assert packet.instances is not None
    assert len(packet.instances) == 0


class Echo(Rule):
    """Says which frames it has seen so far."""

    def __init__(self, name: str = "echo", needs: frozenset[str] = frozenset({"track_id"})) -> None:
        super().__init__(plugin.Options(), name)
        self.needs = needs  # type: ignore[misc] # of a class; here, of this one
        self.seen: list[int] = []

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        self.seen.append(frame.index)
        return [self.event("seen", frame, f"{self.seen}, {len(people)} people")]


async def test_a_packet_says_where_its_rules_look() -> None:
    class Watching(Echo):
        def places(self, frame: Frame) -> tuple[Place, ...]:
            return (Place(self.name, ((0, 0), (frame.width, 0), (0, frame.height))),)

    stage = Judge([Watching, Echo, lambda: Watching("other")])
    (packet,) = await stage.process([make_packet()])
    await stage.close()
    assert [(place.rule, place.points) for place in packet.places] == [
        ("echo", ((0, 0), (6, 0), (0, 4))),
        ("other", ((0, 0), (6, 0), (0, 4))),
    ]


async def test_each_source_has_rules_of_its_own_until_it_ends() -> None:
    stage = Judge([Echo, lambda: Echo("other")])
    reasons = {}
    for index, source in ((0, "a"), (0, "b"), (1, "a")):
        (packet,) = await stage.process([make_packet(index, source, SOMEBODY)])
        reasons[source] = [(event.rule, event.source_id, event.reason) for event in packet.events]
    await stage.end_source("a")
    (again,) = await stage.process([make_packet(2, "a", SOMEBODY)])
    await stage.close()
    assert reasons["a"] == [("echo", "a", "[0, 1], 1 people"), ("other", "a", "[0, 1], 1 people")]
    assert reasons["b"] == [("echo", "b", "[0], 1 people"), ("other", "b", "[0], 1 people")]
    assert [event.reason for event in again.events] == ["[2], 1 people"] * 2


async def test_rules_see_a_frame_without_a_table_as_one_without_people() -> None:
    stage = Judge([Echo])
    (packet,) = await stage.process([Packet(make_frame(0))])
    await stage.close()
    assert [event.reason for event in packet.events] == ["[0], 0 people"]
    assert packet.instances is None


async def test_rules_need_what_any_of_them_needs_and_take_one_frame_at_a_time() -> None:
    stage = Judge([Echo, lambda: Echo("joints", frozenset({"keypoints"}))])
    await stage.close()
    assert stage.needs == {"track_id", "keypoints"}
    assert stage.provides == {"events"}
    assert stage.max_batch == 1


async def test_a_sink_takes_out_what_it_has_written_and_leaves_the_culprit_leftmost() -> None:
    sink = Write(MoodySink({"write 2": ValueError("odd")}), "moody")
    packets = deque(make_packet(index) for index in range(5))
    with pytest.raises(ValueError, match="odd"):
        await sink.write(packets)
    assert [packet.frame.index for packet in packets] == [2, 3, 4]
    await sink.close(complete=False)


@pytest.mark.parametrize("step", ["open", "end cam", "finish", "close"])
async def test_any_error_of_a_sink_plugin_is_a_failure_of_that_sink(step: str) -> None:
    plugin_sink = MoodySink({step: OSError("gone")})
    sink = Write(plugin_sink, "moody")

    async def use() -> None:
        await sink.open()
        await sink.end_source("cam")
        await sink.close(complete=True)

    with pytest.raises(SinkError, match=r"sink 'moody' cannot .*OSError: gone"):
        await use()
    plugin_sink.bad.clear()
    await sink.close(complete=False)


@pytest.mark.parametrize(("complete", "steps"), [(True, ["finish", "close"]), (False, ["close"])])
async def test_only_a_complete_output_is_finished(complete: bool, steps: list[str]) -> None:  # noqa: FBT001 - a table row
    plugin_sink = MoodySink({})
    sink = Write(plugin_sink, "moody")
    await sink.open()
    await sink.close(complete=complete)
    assert plugin_sink.log == ["open", *steps]


async def test_a_sink_that_cannot_be_finished_is_closed_all_the_same() -> None:
    plugin_sink = MoodySink({"finish": SinkError("full")})
    sink = Write(plugin_sink, "moody")
    with pytest.raises(SinkError, match="full"):
        await sink.close(complete=True)
    assert plugin_sink.log == ["finish", "close"]


# A live source, opened again and again


class Camera(FrameSource):
    """Gives frames; or hangs in `read` until it is let go."""

    live = True
    stall_timeout_seconds = 3.0
    host = "10.0.0.7"
    made: ClassVar[list["Camera"]] = []

    def __init__(self, options: Any, source_id: str) -> None:
        super().__init__(options, source_id)
        self.let_go = threading.Event()
        self.hangs = False
        self.log: list[str] = []
        self.made.append(self)

    def open(self) -> None:
        self.log.append("open")
        self.description = f"connection {len(self.made)}"

    def read(self) -> Frame | None:
        if self.hangs:
            assert self.let_go.wait(30)
        self.log.append("read")
        return make_frame(live=True)

    def close(self) -> None:
        self.log.append("close")


@pytest.fixture
def camera() -> Iterator[Camera]:
    Camera.made = []
    yield Camera(None, "door")
    for made in Camera.made:
        made.let_go.set()


async def test_a_live_source_says_what_the_engine_must_know(camera: Camera) -> None:
    source = Decode(camera)
    assert (source.live, source.stall_timeout_seconds, source.host) == (True, 3.0, "10.0.0.7")


async def test_a_source_that_is_opened_again_is_a_fresh_one_of_the_same_name(camera: Camera) -> None:
    source = Decode(camera)
    source.rename("window")
    await source.open()
    assert source.description == "connection 1"
    await source.close()
    await source.open()
    assert source.description == "connection 2"
    await source.close()
    assert [made.log for made in Camera.made] == [["open", "close"], ["open", "close"]]
    assert {made.source_id for made in Camera.made} == {"window"}


async def test_a_call_that_hangs_is_left_behind_and_closes_its_own_connection_when_it_returns(camera: Camera) -> None:
    source = Decode(camera)
    await source.open()
    camera.hangs = True
    for call in (source.read(), source.close()):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call, 0.01)
    assert abandoned_workers() == ("decode door",)
    thread = next(thread for thread in threading.enumerate() if thread.name == "decode door")
    await source.open()
    assert await source.read() is not None
    camera.let_go.set()
    until(lambda: thread.name == "idle worker", "the call did not come back")
    assert camera.log == ["open", "read", "close"]
    assert Camera.made[1].log == ["open", "read"]
    assert abandoned_workers() == ()
    await source.close()
