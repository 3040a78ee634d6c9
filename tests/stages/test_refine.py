"""The refine stage holds packets, gives them in order, and lets go of pictures that nobody looks at."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from fakes import FakeSink, FakeSource

from pipeline.graph import Graph
from pipeline.runner import Runner
from pipeline.types import Frame, HostPixels, Instances, Packet, Stream
from stages.refine import Options, Refine


def packet(source_id: str, index: int, size: tuple[int, int] = (48, 64)) -> Packet:
    pixels = HostPixels(np.full((*size, 3), index % 256, np.uint8))
    frame = Frame(Stream(source_id), index, index / 8, datetime(2026, 1, 2, tzinfo=UTC), 0.0, pixels)
    people = Instances.of([[index, 5, index + 20, 40]], [0.9]).with_columns(track_id=[1])
    return Packet(frame, None if index == 4 else people)


async def test_packets_of_each_source_come_a_window_later_and_the_rest_at_its_end() -> None:
    stage, got = Refine(Options()), list[tuple[str, int]]()
    for index in range(30):
        for source_id in ("a", "b"):
            got += [(one.source_id, one.frame.index) for one in await stage.process([packet(source_id, index)])]
    assert got == [(source_id, index) for index in range(14) for source_id in ("a", "b")]
    assert len(stage.held()) == 32
    rest = await stage.end_source("a")
    assert [one.frame.index for one in rest] == list(range(14, 30))
    assert {one.source_id for one in stage.held()} == set(stage._sources) == {"b"}
    assert await stage.end_source("never seen") == []
    await stage.close()
    assert stage.held() == []


async def test_packets_get_the_people_that_hindsight_knows_of() -> None:
    stage = Refine(Options())
    for index in range(12):
        assert await stage.process([packet("a", index)]) == []
    rest = await stage.end_source("a")
    await stage.close()
    assert [len(one.instances or ()) for one in rest] == [1] * 12
    filled = rest[4].instances
    assert filled is not None
    assert filled.xyxy[0].tolist() == pytest.approx([4, 5, 24, 40], abs=0.5)


async def test_files_without_people_or_frames_go_through_and_when_stopped_nothing_is_left_behind() -> None:
    sources = [FakeSource("long", 70), FakeSource("nothing", 0), FakeSource("stopped", 5, hang=True)]
    stage, sink = Refine(Options()), FakeSink()
    runner = Runner(Graph(tuple(sources), (stage,), (sink,)))
    run = asyncio.create_task(runner.run())
    while runner.telemetry.sources["long"].delivered < 70 or len(stage.held()) < 5:
        await asyncio.sleep(0)
    assert runner.in_flight() == {"stopped": 5}
    runner.stop()
    await run
    assert runner.in_flight().total() == 0
    assert [index for name, index in sink.written if name == "long"] == list(range(70))
    assert [index for name, index in sink.written if name == "stopped"] == list(range(5))
    assert stage.held() == []


async def test_a_frame_without_a_time_is_refused_and_those_before_and_after_it_are_as_they_were() -> None:
    async def tables(*, odd: bool) -> Sequence[Packet]:
        stage = Refine(Options())
        for index in range(10):
            await stage.process([packet("a", index)])
            if odd:
                wrong = replace(packet("a", index).frame, pts_seconds=float("nan"))
                with pytest.raises(ValueError, match="pts_seconds must be finite"):
                    await stage.process([replace(packet("a", index), frame=wrong)])
                assert len(stage.held()) == index + 1
        rest = await stage.end_source("a")
        await stage.close()
        return rest

    for one, other in zip(await tables(odd=False), await tables(odd=True), strict=True):
        assert one.frame.index == other.frame.index
        assert one.instances is not None
        assert other.instances is not None
        assert one.instances.xyxy.tolist() == other.instances.xyxy.tolist()


async def test_pictures_are_kept_only_where_somebody_looks_at_them() -> None:
    for keeps in (True, False):
        stage = Refine(Options())
        stage.keeps_pixels = keeps
        tracemalloc.start()
        for index in range(16):
            await stage.process([packet("a", index, (480, 640))])
        held_bytes, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        (first, *_) = await stage.end_source("a")
        await stage.close()
        assert (first.frame.width, first.frame.height) == (640, 480)
        if keeps:
            assert held_bytes > 16 * 480 * 640 * 3
            assert first.frame.image.shape == (480, 640, 3)
        else:
            assert held_bytes < 3 * 480 * 640 * 3
            with pytest.raises(RuntimeError, match="refine has let go of this picture"):
                _ = first.frame.image
