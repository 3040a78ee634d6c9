"""The promises of the engine: order, accounting, failure domains, three levels of stopping."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from fakes import FakeSink, FakeSource, FakeStage, HoldingStage, ManualClock, refuse
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import RunConfig
from pipeline.errors import OutOfMemory, PipelineError, SinkError, SourceError, StageError, WeightsError
from pipeline.graph import Graph
from pipeline.runner import Runner
from pipeline.stage import Sink, Source, Stage
from pipeline.types import Packet


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> object:
    threads = threading.active_count()
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert threading.active_count() == threads


def make_runner(
    sources: Sequence[Source],
    stages: Sequence[Stage] | None = None,
    sinks: Sequence[Sink] = (),
    clock: Callable[[], float] | None = None,
    **settings: float,
) -> Runner:
    graph = Graph(tuple(sources), (FakeStage(),) if stages is None else tuple(stages), tuple(sinks))
    config = RunConfig.model_validate(settings)
    return Runner(graph, config) if clock is None else Runner(graph, config, clock)


def assert_accounts_balance(runner: Runner) -> None:
    in_flight = runner.in_flight()
    for source_id, counts in runner.telemetry.sources.items():
        assert counts.received == counts.delivered + in_flight[source_id] + counts.dropped.total(), source_id
    for name, sink in runner.telemetry.sinks.items():
        assert sink.received == sink.written + runner.waiting(name) + sink.dropped.total(), name


async def test_a_source_without_frames_ends_the_run_at_once() -> None:
    source, stage, sink = FakeSource(count=0), FakeStage(), FakeSink()
    await make_runner([source], [stage], [sink]).run()
    assert source.log == ["open", "close"]
    assert stage.log == ["open", "close"]
    assert stage.ended == ["cam"]
    assert sink.log == ["open", "end cam", "close complete"]


async def test_every_frame_of_every_file_arrives_once_and_in_order() -> None:
    sources = [FakeSource(name, count) for name, count in (("a", 20), ("b", 1), ("c", 13))]
    stages = [FakeStage("one", max_batch=4), FakeStage("two"), FakeStage("three", max_batch=3)]
    first, second = FakeSink("first"), FakeSink("second", max_batch=1)
    runner = make_runner(sources, stages, [first, second])
    await runner.run()
    for sink in (first, second):
        for source in sources:
            assert [index for name, index in sink.written if name == source.source_id] == list(range(source.count))
    assert_accounts_balance(runner)
    assert runner.failures == []


async def test_a_chain_without_stages_joins_sources_to_sinks() -> None:
    sink = FakeSink()
    await make_runner([FakeSource("a", 40), FakeSource("b", 5)], [], [sink]).run()
    assert len(sink.written) == 45
    assert sink.log[-1] == "close complete"


async def test_a_full_channel_shows_whom_everybody_waits_for() -> None:
    gate = asyncio.Event()
    stages = [FakeStage("quick", max_batch=2), FakeStage("slow", max_batch=3, gate=gate)]
    runner = make_runner([FakeSource(count=50)], stages, [FakeSink("table")])
    run = asyncio.create_task(runner.run())
    for _ in range(100):
        await asyncio.sleep(0)
    statistics = runner.channel_statistics()
    assert (statistics["slow"].used, statistics["slow"].capacity) == (3, 3)
    assert statistics["sink:table"].peak == 0
    gate.set()
    await run


async def test_batches_mix_sources_and_grow_by_themselves() -> None:
    gate = asyncio.Event()
    stage = FakeStage(max_batch=8, gate=gate)
    run = asyncio.create_task(make_runner([FakeSource(name, 6) for name in "abc"], [stage], [FakeSink()]).run())
    for _ in range(50):
        await asyncio.sleep(0)
    gate.set()
    await run
    assert max(len(batch) for batch in stage.batches) == 8
    assert len(stage.batches[0]) <= 3


@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    poison=st.sets(st.integers(0, 11), max_size=2),
    unwanted=st.sets(st.integers(0, 11), max_size=3),
    behind=st.integers(0, 20),
)
def test_the_accounts_balance_at_every_step_of_any_run(
    counts: list[int], limits: list[int], poison: set[int], unwanted: set[int], behind: int
) -> None:
    async def play() -> None:
        sources = [FakeSource(f"s{number}", count) for number, count in enumerate(counts)]
        stages = [
            FakeStage(
                f"stage{number}",
                max_batch=limit,
                fail_on=lambda packet, n=number: n == 0 and packet.frame.index in poison,  # type: ignore[misc]
                keep=lambda packet, n=number: n > 0 or packet.frame.index not in unwanted,  # type: ignore[misc]
            )
            for number, limit in enumerate(limits)
        ]
        stages.insert(len(limits) // 2, HoldingStage(behind=behind))
        sink = FakeSink()
        runner = make_runner(sources, stages, [sink])
        run = asyncio.create_task(runner.run())
        while not run.done():
            assert_accounts_balance(runner)
            await asyncio.sleep(0)
        assert_accounts_balance(runner)
        if not isinstance(run.exception(), StageError):
            assert run.exception() is None
            assert runner.in_flight().total() == 0
            for source in sources:
                got = [index for name, index in sink.written if name == source.source_id]
                assert got == [i for i in range(source.count) if i not in poison | unwanted]

    logging.disable(logging.CRITICAL)
    try:
        asyncio.run(play())
    finally:
        logging.disable(logging.NOTSET)


async def test_what_a_stage_holds_back_is_in_flight_and_comes_in_order_when_its_source_ends() -> None:
    stage, sink = HoldingStage(behind=5), FakeSink()
    runner = make_runner([FakeSource("a", 9), FakeSource("b", 2, hang=True)], [stage, FakeStage("next")], [sink])
    run = asyncio.create_task(runner.run())
    while runner.telemetry.sources["a"].delivered < 9 or runner.telemetry.sources["b"].received < 2:
        assert_accounts_balance(runner)
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert sink.written == [("a", index) for index in range(9)]
    assert runner.in_flight() == {"b": 2}
    runner.stop()
    await run
    assert sink.written[9:] == [("b", 0), ("b", 1)]
    assert_accounts_balance(runner)


async def test_a_source_ends_for_those_behind_after_the_rest_that_was_held() -> None:
    class Counting(FakeSink):
        async def end_source(self, source_id: str) -> None:
            await super().end_source(f"{source_id} after {len(self.written)}")

    sink = Counting()
    await make_runner([FakeSource(count=7)], [HoldingStage(behind=5), FakeStage("next")], [sink]).run()
    assert sink.log == ["open", "end cam after 7", "close complete"]


async def test_what_a_sink_is_just_writing_is_accounted_for() -> None:
    class Slow(FakeSink):
        async def write(self, packets: deque[Packet]) -> None:
            while packets:
                await asyncio.sleep(0)
                packets.popleft()
                await asyncio.sleep(0)

    runner = make_runner([FakeSource(count=20)], sinks=[Slow()])
    run = asyncio.create_task(runner.run())
    while not run.done():
        assert_accounts_balance(runner)
        await asyncio.sleep(0)
    assert runner.telemetry.sinks["memory"].written == 20


async def test_what_a_stage_held_and_does_not_give_back_is_dropped() -> None:
    stage, sink = HoldingStage(behind=6, keep_at_end=lambda packet: packet.frame.index != 13), FakeSink()
    runner = make_runner([FakeSource(count=15)], [stage], [sink])
    await runner.run()
    assert [index for _, index in sink.written] == [index for index in range(15) if index != 13]
    assert runner.telemetry.sources["cam"].dropped == {"hold:filtered": 1}
    assert_accounts_balance(runner)


async def test_cancelled_or_failed_what_a_stage_held_is_still_accounted_for() -> None:
    runner = make_runner([FakeSource(count=4, hang=True)], [HoldingStage(behind=9)], [FakeSink()])
    run = asyncio.create_task(runner.run())
    for _ in range(100):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert runner.in_flight() == {"cam": 4}
    assert_accounts_balance(runner)
    runner = make_runner([FakeSource(count=4)], [HoldingStage(behind=9, end_error=ValueError("odd"))], [FakeSink()])
    with pytest.raises(StageError, match="stage 'hold' could not finish source 'cam': ValueError: odd"):
        await runner.run()
    assert_accounts_balance(runner)


@given(
    counts=st.lists(st.integers(0, 8), min_size=1, max_size=3),
    behind=st.integers(0, 10),
    steps=st.integers(0, 150),
    cancel=st.booleans(),
)
def test_whenever_a_run_is_stopped_what_is_held_is_delivered_and_cancelled_it_is_still_in_flight(
    counts: list[int], behind: int, steps: int, *, cancel: bool
) -> None:
    async def play() -> None:
        sources = [FakeSource(f"s{number}", count, hang=True) for number, count in enumerate(counts)]
        runner = make_runner(sources, [HoldingStage(behind=behind), FakeStage("next")], [FakeSink()])
        run = asyncio.create_task(runner.run())
        for _ in range(steps):
            await asyncio.sleep(0)
            assert_accounts_balance(runner)
        if cancel:
            run.cancel()
        else:
            runner.stop()
        while not run.done():
            await asyncio.sleep(0)
            assert_accounts_balance(runner)
        assert cancel or runner.in_flight().total() == 0
        assert_accounts_balance(runner)

    asyncio.run(play())


async def test_a_drain_that_takes_too_long_leaves_what_is_held_in_flight() -> None:
    class Stuck(HoldingStage):
        async def end_source(self, source_id: str) -> Sequence[Packet]:
            await asyncio.Event().wait()
            return await super().end_source(source_id)

    stage, sink = Stuck(behind=9), FakeSink()
    runner = make_runner([FakeSource(count=4, hang=True)], [stage], [sink], drain_timeout_seconds=0.01)
    run = asyncio.create_task(runner.run())
    while len(stage.held()) < 4:
        await asyncio.sleep(0)
    runner.stop()
    await run
    assert "hold" in runner.late
    assert (stage.log[-1], sink.log[-1]) == ("close", "close complete")
    assert runner.in_flight() == {"cam": 4}
    assert_accounts_balance(runner)


@pytest.mark.parametrize("position", [0, 2], ids=["before", "behind"])
async def test_a_stage_that_gives_up_beside_one_that_holds_back_leaves_the_accounts_in_balance(position: int) -> None:
    stages: list[Stage] = [FakeStage("quick"), HoldingStage(behind=4), FakeStage("next")]
    stages[position] = FakeStage("broken", fail_on=lambda packet: packet.frame.index > 6)
    sink = FakeSink()
    runner = make_runner([FakeSource("a", 30), FakeSource("b", 30)], stages, [sink])
    with pytest.raises(StageError, match="stage 'broken' failed on 3 batches in a row"):
        await runner.run()
    assert sum(runner.in_flight().values()) >= 8
    assert sink.log[-1] == "close"
    assert_accounts_balance(runner)


async def test_a_sink_that_fails_meanwhile_takes_nothing_from_another_one_of_what_is_held() -> None:
    bad = FakeSink("bad", fail_on=refuse(2), open_errors=[None, *[SinkError("still full")] * 99])
    good = FakeSink("good")
    runner = make_runner([FakeSource("a", 9), FakeSource("b", 0)], [HoldingStage(behind=5)], [bad, good])
    await runner.run()
    assert [index for _, index in good.written] == list(range(9))
    assert runner.telemetry.sinks["bad"].dropped["unavailable"] == 7
    assert_accounts_balance(runner)


async def test_a_frame_that_breaks_a_stage_that_holds_back_is_dropped_alone() -> None:
    sink = FakeSink()
    stage = HoldingStage(behind=4, fail_on=lambda packet: packet.frame.index % 3 == 1)
    runner = make_runner([FakeSource(count=10)], [stage], [sink])
    await runner.run()
    assert [index for _, index in sink.written] == [0, 2, 3, 5, 6, 8, 9]
    assert runner.telemetry.sources["cam"].dropped == {"hold:RuntimeError": 3}
    assert_accounts_balance(runner)


async def test_a_live_source_drops_its_oldest_frames_before_any_work_is_spent() -> None:
    gate = asyncio.Event()
    stage, sink = FakeStage(gate=gate), FakeSink()
    runner = make_runner([FakeSource(count=50, live=True)], [stage], [sink], max_age_seconds=1e12)
    run = asyncio.create_task(runner.run())
    while runner.telemetry.sources["cam"].received < 50:
        await asyncio.sleep(0)
    gate.set()
    await run
    counts = runner.telemetry.sources["cam"]
    assert sink.written[-1] == ("cam", 49)
    assert counts.dropped["decode:overflow"] == 50 - len(sink.written)
    assert len(sink.written) <= 3
    assert_accounts_balance(runner)


async def test_a_live_frame_that_is_too_old_is_dropped_and_a_file_frame_is_not() -> None:
    clock = ManualClock()

    class Aging(FakeSource):
        async def read(self) -> object:  # type: ignore[override]
            frame = await super().read()
            clock.now += 10.0
            return frame

    live = Aging("live", 1, live=True, clock=clock)
    still = Aging("file", 1, clock=clock)
    sink = FakeSink()
    runner = make_runner([live, still], [FakeStage("detect")], [sink], clock)
    await runner.run()
    assert runner.telemetry.sources["live"].dropped == {"detect:stale": 1}
    assert sink.written == [("file", 0)]
    assert_accounts_balance(runner)


async def test_a_source_that_cannot_be_opened_stops_no_other() -> None:
    sink = FakeSink()
    runner = make_runner(
        [FakeSource("bad", open_error=SourceError("no such camera")), FakeSource("good", 5)], None, [sink]
    )
    await runner.run()
    assert [str(error) for error in runner.failures] == ["no such camera"]
    assert len(sink.written) == 5
    assert runner.telemetry.sources["bad"].state == "failed"
    assert runner.telemetry.sources["good"].state == "finished"


@pytest.mark.parametrize("error", [SourceError("cut off at 3 s"), ZeroDivisionError("bug")], ids=["told", "bug"])
async def test_a_source_that_fails_midway_keeps_what_was_read(error: Exception) -> None:
    source, sink = FakeSource("bad", 7, then=error), FakeSink()
    runner = make_runner([source], None, [sink])
    await runner.run()
    assert len(sink.written) == 7
    assert sink.log[-1] == "close complete"
    assert source.log == ["open", "close"]
    (failure,) = runner.failures
    assert isinstance(failure, SourceError)
    assert failure is error or failure.__cause__ is error


async def test_one_frame_that_breaks_the_model_is_dropped_by_the_name_of_its_error() -> None:
    stage, sink = FakeStage("pose", max_batch=4, fail_on=lambda packet: packet.frame.index == 3), FakeSink()
    runner = make_runner([FakeSource(count=10)], [stage], [sink])
    await runner.run()
    assert [index for _, index in sink.written] == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert runner.telemetry.sources["cam"].dropped == {"pose:RuntimeError": 1}
    assert_accounts_balance(runner)


async def test_a_model_that_fails_three_batches_in_a_row_ends_the_run_and_names_frame_and_cause() -> None:
    stages = [FakeStage("first"), FakeStage("broken", fail_on=lambda packet: packet.frame.index >= 4)]
    source, sink = FakeSource("street", 50), FakeSink()
    runner = make_runner([source], [*stages, FakeStage("last")], [sink])
    with pytest.raises(StageError, match=r"stage 'broken' failed on 3 batches in a row.*'street' frame 6") as caught:
        await runner.run()
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert source.log[-1] == stages[0].log[-1] == stages[1].log[-1] == "close"
    assert sink.log[-1] == "close"
    assert len(sink.written) == 4
    assert_accounts_balance(runner)


async def test_two_failures_with_a_success_between_do_not_end_the_run() -> None:
    stage = FakeStage("flaky", fail_on=lambda packet: packet.frame.index % 3 != 2)
    runner = make_runner([FakeSource(count=30)], [stage], [FakeSink()])
    await runner.run()
    assert runner.telemetry.sources["cam"].dropped["flaky:RuntimeError"] == 20


async def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost() -> None:
    stage = FakeStage(max_batch=8, largest_batch=3, error=OutOfMemory)
    sink = FakeSink()
    runner = make_runner([FakeSource(name, 20) for name in "abcd"], [stage], [sink])
    await runner.run()
    assert len(sink.written) == 80
    assert runner.telemetry.batches_halved >= 1
    assert all(len(batch) <= 4 for batch in stage.batches[10:])


async def test_memory_too_small_for_one_frame_is_a_failure_of_the_stage() -> None:
    stage = FakeStage(max_batch=4, largest_batch=0, error=OutOfMemory)
    with pytest.raises(StageError, match="OutOfMemory"):
        await make_runner([FakeSource(count=20)], [stage], [FakeSink()]).run()


async def test_a_stage_that_cannot_be_opened_ends_the_run_before_anything_is_read() -> None:
    source, first = FakeSource(), FakeStage("first")
    broken, sink = FakeStage("broken", open_error=WeightsError("truncated")), FakeSink()
    with pytest.raises(WeightsError, match="truncated"):
        await make_runner([source], [first, broken], [sink]).run()
    assert source.log == []
    assert first.log == broken.log == ["open", "close"]
    assert sink.log == []


async def test_a_sink_that_cannot_be_opened_at_the_start_ends_the_run_before_anything_is_read() -> None:
    source, sink = FakeSource(), FakeSink(open_errors=[SinkError("read-only")])
    with pytest.raises(SinkError, match="read-only"):
        await make_runner([source], None, [sink]).run()
    assert source.log == []


async def test_a_sink_that_fails_stops_no_other_and_is_named_at_the_end() -> None:
    good, bad = (
        FakeSink("good"),
        FakeSink("bad", fail_on=refuse(5), open_errors=[None, *[SinkError("still full")] * 99]),
    )
    runner = make_runner([FakeSource(count=40)], None, [bad, good])
    await runner.run()
    assert len(good.written) == 40
    assert [index for _, index in bad.written] == [0, 1, 2, 3, 4]
    assert runner.telemetry.sinks["bad"].dropped["unavailable"] == 35
    assert good.log[-1] == "close complete"
    assert any("disk full" in str(error) or "still full" in str(error) for error in runner.failures)
    assert_accounts_balance(runner)


async def test_a_sink_that_failed_is_opened_again_after_a_while() -> None:
    clock = ManualClock()
    bad, good = FakeSink("bad", fail_on=refuse(5), max_batch=1), FakeSink("good")

    class Passing(FakeSource):
        async def read(self) -> object:  # type: ignore[override]
            clock.now += 1.0
            return await super().read()

    runner = make_runner([Passing(count=40)], None, [bad, good], clock)
    await runner.run()
    assert bad.written[:5] == [("cam", index) for index in range(5)]
    assert bad.written[-1] == ("cam", 39)
    assert bad.log[:4] == ["open", "close", "open", "end cam"]
    assert runner.telemetry.sinks["bad"].failures == 1
    assert_accounts_balance(runner)


async def test_when_no_sink_works_any_more_the_run_of_a_file_ends_at_once() -> None:
    source = FakeSource(count=10_000)
    with pytest.raises(SinkError, match="disk full"):
        await make_runner([source], None, [FakeSink(fail_on=refuse(5))]).run()
    assert source.index < 100


async def test_a_packet_that_breaks_a_sink_is_dropped_and_the_rest_is_written() -> None:
    sink = FakeSink(fail_on=lambda packet: ValueError("odd") if packet.frame.index in {3, 4} else None)
    runner = make_runner([FakeSource(count=10)], None, [sink])
    await runner.run()
    assert [index for _, index in sink.written] == [0, 1, 2, 5, 6, 7, 8, 9]
    assert runner.telemetry.sinks["memory"].dropped == {"ValueError": 2}
    assert runner.failures == []
    assert_accounts_balance(runner)


async def test_a_slow_sink_that_may_drop_holds_nobody_up() -> None:
    gate = asyncio.Event()
    slow, fast = FakeSink("slow", overflow="drop_oldest", gate=gate, max_batch=4), FakeSink("fast")
    runner = make_runner([FakeSource(count=100)], None, [slow, fast])
    run = asyncio.create_task(runner.run())
    while len(fast.written) < 100:
        await asyncio.sleep(0)
    assert slow.written == []
    gate.set()
    await run
    assert slow.written[-1] == ("cam", 99)
    assert runner.telemetry.sinks["slow"].dropped["overflow"] == 100 - len(slow.written)
    assert_accounts_balance(runner)


async def test_a_stop_delivers_every_frame_already_read() -> None:
    source, sink = FakeSource(count=5, hang=True), FakeSink()
    runner = make_runner([source], [FakeStage(), FakeStage("two")], [sink])
    run = asyncio.create_task(runner.run())
    while runner.telemetry.sources["cam"].received < 5:
        await asyncio.sleep(0)
    runner.stop()
    runner.stop()
    await run
    assert len(sink.written) == 5
    assert sink.log[-1] == "close complete"
    assert source.log[-1] == "close"
    assert runner.telemetry.sources["cam"].state == "stopped"
    assert runner.late == ()
    assert_accounts_balance(runner)


async def test_a_frame_that_waits_for_room_when_the_stop_comes_is_counted() -> None:
    gate = asyncio.Event()
    runner = make_runner([FakeSource(count=100)], [FakeStage(gate=gate)], [FakeSink()])
    run = asyncio.create_task(runner.run())
    for _ in range(100):
        await asyncio.sleep(0)
    runner.stop()
    gate.set()
    await run
    assert runner.telemetry.sources["cam"].dropped == {"decode:stopped": 1}
    assert_accounts_balance(runner)


async def test_a_stop_while_models_load_gives_up_loading() -> None:
    class Slow(FakeStage):
        async def open(self) -> None:
            await super().open()
            await asyncio.Event().wait()

    source, stage = FakeSource(), Slow()
    runner = make_runner([source], [stage], [FakeSink()])
    run = asyncio.create_task(runner.run())
    while not stage.log:
        await asyncio.sleep(0)
    runner.stop()
    await run
    assert source.log == []
    assert stage.log == ["open", "close"]


async def test_a_stop_that_cannot_drain_in_time_names_who_is_late() -> None:
    stuck, sink = FakeStage("stuck", gate=asyncio.Event()), FakeSink()
    runner = make_runner([FakeSource(count=50)], [FakeStage("quick"), stuck], [sink], drain_timeout_seconds=0.01)
    run = asyncio.create_task(runner.run())
    for _ in range(50):
        await asyncio.sleep(0)
    runner.stop()
    await run
    assert "stuck" in runner.late
    assert stuck.log[-1] == "close"
    assert sink.log[-1] == "close complete"
    assert_accounts_balance(runner)


async def test_cancelling_ends_everything_and_closes_every_part_as_incomplete() -> None:
    source, stage, sink = FakeSource(count=50), FakeStage(gate=asyncio.Event()), FakeSink()
    runner = make_runner([source], [stage], [sink])
    run = asyncio.create_task(runner.run())
    for _ in range(50):
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert source.log[-1] == stage.log[-1] == sink.log[-1] == "close"
    assert_accounts_balance(runner)


async def test_no_more_files_are_open_at_once_than_allowed() -> None:
    open_now: set[str] = set()
    most = 0

    class Counting(FakeSource):
        async def open(self) -> None:
            nonlocal most
            open_now.add(self.source_id)
            most = max(most, len(open_now))
            await super().open()

        async def close(self) -> None:
            open_now.discard(self.source_id)
            await super().close()

    sink = FakeSink()
    await make_runner([Counting(f"f{n}", 5) for n in range(9)], None, [sink], max_open_files=2).run()
    assert most == 2
    assert len(sink.written) == 45


async def test_each_source_ends_after_max_frames() -> None:
    sink = FakeSink()
    await make_runner([FakeSource("a", 50), FakeSource("b", 3)], None, [sink], max_frames=4).run()
    assert sorted(sink.written) == [("a", 0), ("a", 1), ("a", 2), ("a", 3), ("b", 0), ("b", 1), ("b", 2)]


async def test_a_sink_that_cannot_be_finished_is_a_failure_of_the_run() -> None:
    class Unfinishable(FakeSink):
        async def close(self, *, complete: bool) -> None:
            await super().close(complete=complete)
            if complete:
                msg = "cannot rename"
                raise SinkError(msg)

    runner = make_runner([FakeSource(count=3)], None, [Unfinishable("table"), FakeSink("other")])
    await runner.run()
    assert [type(error) for error in runner.failures] == [SinkError]
    assert runner.telemetry.sinks["table"].error == "cannot rename"


async def test_every_error_of_ours_masks_secrets() -> None:
    for kind in PipelineError.__subclasses__():
        assert "hunter2" not in str(kind("cannot open rtsp://admin:hunter2@10.0.0.1/live?token=hunter2"))


async def test_packets_are_never_compared_with_each_other() -> None:
    frame = await FakeSource().read()
    assert frame is not None
    assert Packet(frame) != Packet(frame)


async def test_an_error_of_any_kind_while_opening_says_which_part_it_was() -> None:
    for parts, kind in (
        ((FakeStage("pose", open_error=ImportError("no torch")), FakeSink()), StageError),
        ((FakeStage(), FakeSink("table", open_errors=[OSError("read-only")])), SinkError),
    ):
        with pytest.raises(kind, match=r"'(pose|table)' cannot be opened: (ImportError: no torch|OSError: read-only)"):
            await make_runner([FakeSource()], [parts[0]], [parts[1]]).run()
