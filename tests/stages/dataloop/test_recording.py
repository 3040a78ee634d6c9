"""The people of each frame, kept, so that nobody infers them twice."""

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from dataloop_walk import walk, walkers
from fakes import FakeSource, FakeStage
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SinkError
from pipeline.graph import Graph
from pipeline.runner import Runner
from pipeline.skeletons import skeleton_for
from pipeline.stage import Sink, Stage
from pipeline.types import Instances, Packet
from stages.dataloop.annotating.recording import Recordings, Remembered, remember
from stages.dataloop.delivery.journal import Journal
from stages.track import Track
from trackers.bytetrack import ByteTrack, Options

PEOPLE = 4


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "item.sqlite")
    journal.open({})
    yield journal
    journal.close()


@pytest.fixture
def recordings(journal: Journal) -> Recordings:
    recordings = Recordings()
    recordings.add("cam", journal)
    return recordings


def assert_same(one: Instances | None, other: Instances | None) -> None:
    """Check that two tables are the same to the last bit."""
    assert one is not None
    assert other is not None
    assert one.skeleton == other.skeleton
    for column in fields(Instances):
        if column.name != "skeleton":
            a, b = getattr(one, column.name), getattr(other, column.name)
            assert (a is None) == (b is None), column.name
            if a is not None:
                assert a.dtype == b.dtype
                assert a.shape == b.shape
                assert a.tobytes() == b.tobytes()


class Infers(Stage):
    """Finds the same people in a frame each time, and counts."""

    def __init__(self, name: str, columns: str = "all") -> None:
        self.name = name
        self.max_batch = 4
        self.seen: list[int] = []
        self.ended: list[str] = []
        self.log: list[str] = []
        self._columns = columns

    async def open(self) -> None:
        self.log.append("open")
        self.description = f"{self.name}, made up"

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        indices = [packet.frame.index for packet in packets]
        self.seen += indices
        return [packet.with_instances(self._find(packet)) for packet in packets]

    def _find(self, packet: Packet) -> Instances:
        found = walkers(packet.frame.index, PEOPLE, tracked=False)
        return found if self._columns == "all" else Instances.of(found.xyxy, found.score)

    async def end_source(self, source_id: str) -> None:
        self.ended.append(source_id)

    async def close(self) -> None:
        self.log.append("close")


class Keeps(Sink):
    """Keeps what comes."""

    name = "keeps"

    def __init__(self) -> None:
        self.packets: list[Packet] = []

    async def write(self, packets: deque[Packet]) -> None:
        while packets:
            self.packets.append(packets.popleft())


def chain(recordings: Recordings, frames: int) -> tuple[Graph, Infers, Infers, Keeps]:
    detect, pose, kept = Infers("detect", "boxes"), Infers("pose"), Keeps()
    track = Track(lambda: ByteTrack(Options()))
    graph = Graph((FakeSource("cam", frames),), (detect, pose, track), (kept,))
    return remember(graph, recordings), detect, pose, kept


rows = st.integers(0, 4)
joints = st.integers(0, 20)


@settings(max_examples=60, deadline=None)
@given(
    n=rows,
    k=joints,
    width=st.none() | st.integers(1, 5),
    guessed=st.none() | st.integers(0, 1),
    seed=st.integers(0, 99),
)
def test_any_table_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    k: int,
    width: int | None,
    guessed: int | None,
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    table = Instances.of(
        random.normal(0, 1e3, (n, 4)),
        random.uniform(0, 1, n),
        class_id=random.integers(0, 80, n),
        skeleton=skeleton_for(k) if k else None,
        keypoints=random.normal(0, 1e-3, (n, k, 2)) if k else None,
        keypoint_score=random.uniform(0, 1, (n, k)) if k else None,
    )
    if width is not None and n:
        table = table.with_columns(embedding=random.normal(0, 1, (n, width)))
    if guessed is not None:
        table = table.with_columns(predicted=random.integers(0, 2, n) == guessed)
    journal = Journal(tmp_path_factory.mktemp("journal") / "item.sqlite")
    journal.open({})
    recordings = Recordings()
    recordings.add("cam", journal)
    (packet,) = walk(1, 0)
    recordings.keep([packet.with_instances(table)])
    (known,) = recordings.recall([packet])
    assert known is not None
    assert_same(known.instances, table)
    journal.close()


def test_a_frame_is_known_by_its_number_and_its_time(recordings: Recordings) -> None:
    packets = list(walk(3, 2))
    recordings.keep(packets[:2])
    late = replace(packets[1], frame=replace(packets[1].frame, pts_seconds=9.0))
    assert [one is not None for one in recordings.recall([*packets, late])] == [True, True, False, False]


def test_sources_without_a_journal_are_passed_by(recordings: Recordings, journal: Journal) -> None:
    packets = list(walk(3, 2, source_id="other"))
    recordings.keep(packets)
    assert recordings.recall(packets) == [None, None, None]
    recordings.remove("cam")
    recordings.remove("cam")
    recordings.keep(list(walk(3, 2)))
    assert journal.file.rows("SELECT COUNT(*) FROM frame") == [(0,)]


def test_a_disk_that_is_full_ends_the_recording_with_a_warning_and_nothing_else(
    recordings: Recordings, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    (pages,) = journal.file.rows("PRAGMA page_count")[0]
    journal.file.rows(f"PRAGMA max_page_count={pages}")
    with caplog.at_level(logging.WARNING):
        recordings.keep(list(walk(50, 20)))
        recordings.keep(list(walk(50, 20)))
    (record,) = caplog.records
    assert "frames are looked at again: cannot keep" in record.getMessage()
    assert "disk is full" in record.getMessage()


def test_a_journal_that_cannot_be_read_is_an_error(recordings: Recordings, journal: Journal) -> None:
    journal.close()
    with pytest.raises(SinkError, match="is not open"):
        recordings.recall(list(walk(1, 1)))


async def test_a_remembered_stage_is_as_its_inner_one_to_the_engine(recordings: Recordings) -> None:
    inner = Infers("pose")
    inner.needs, inner.provides = frozenset({"xyxy"}), frozenset({"keypoints"})
    stage = Remembered(inner, recordings, keeps=True)
    assert (stage.name, stage.needs, stage.provides, stage.max_batch) == ("pose", inner.needs, inner.provides, 4)
    await stage.open()
    assert stage.description == "pose, made up"
    await stage.end_source("cam")
    await stage.close()
    assert (inner.ended, inner.log) == (["cam"], ["open", "close"])


async def test_frames_that_the_inner_stage_leaves_out_are_left_out_and_the_order_is_kept(
    recordings: Recordings,
) -> None:
    packets = list(walk(8, 2))
    recordings.keep([packets[2], packets[5]])
    stage = Remembered(FakeStage("pose", max_batch=8, keep=lambda one: one.frame.index != 3), recordings, keeps=True)
    done = await stage.process(packets)
    await stage.close()
    assert [one.frame.index for one in done] == [0, 1, 2, 4, 5, 6, 7]


def test_only_stages_that_infer_are_remembered_and_the_last_of_them_keeps(recordings: Recordings) -> None:
    graph, *_ = chain(recordings, 1)
    assert [(one.name, isinstance(one, Remembered)) for one in graph.stages] == [
        ("detect", True), ("pose", True), ("track", False),
    ]  # fmt: skip
    alone = remember(Graph((), (Infers("detect"),), ()), recordings).stages[0]
    assert isinstance(alone, Remembered)
    assert alone._keeps


@pytest.mark.parametrize("stopped_at", [0, 1, 17, 40], ids=["at-once", "first", "half-way", "end"])
async def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been_and_infers_nothing_twice(
    recordings: Recordings, stopped_at: int, tmp_path: Path
) -> None:
    frames = 40
    whole = Journal(tmp_path / "whole.sqlite")
    whole.open({})
    undisturbed = Recordings()
    undisturbed.add("cam", whole)
    graph, _, _, expected = chain(undisturbed, frames)
    await Runner(graph).run()
    whole.close()

    graph, first_detect, first_pose, _ = chain(recordings, stopped_at)
    await Runner(graph).run()
    graph, detect, pose, kept = chain(recordings, frames)
    await Runner(graph).run()
    assert sorted(first_pose.seen + pose.seen) == list(range(frames))
    assert sorted(first_detect.seen + detect.seen) == list(range(frames))
    assert [one.frame.index for one in kept.packets] == list(range(frames))
    for one, other in zip(kept.packets, expected.packets, strict=True):
        assert_same(one.instances, other.instances)
