"""Cameras come and go: each is found out in time, tried again in time, and disturbs nobody. All in virtual time."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from fake_camera import FRAME_SECONDS, Connection, FakeCamera, absent, refuses_password
from fakes import FakeSink, FakeSource, FakeStage, refuse
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import in_virtual_time

from pipeline.config import RunConfig
from pipeline.errors import ConfigError, SourceError
from pipeline.graph import Graph
from pipeline.runner import Runner
from pipeline.stage import Sink, Source, Stage
from pipeline.types import Packet, SourceStatus


class Witness(FakeSink):
    """Remembers when each packet came, its time, and every state it was told of."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.packets: list[tuple[float, str, int, float]] = []
        self.states: list[tuple[float, str, str]] = []
        self.errors: list[str | None] = []

    async def write(self, packets: Any) -> None:
        now = asyncio.get_running_loop().time()
        for packet in packets:
            self.packets.append((now, packet.source_id, packet.frame.index, packet.frame.pts_seconds))
        await super().write(packets)

    async def source_changed(self, status: SourceStatus) -> None:
        self.states.append((asyncio.get_running_loop().time(), status.source_id, status.state))
        self.errors.append(status.error)

    def of(self, source_id: str) -> list[tuple[float, int, float]]:
        return [(now, index, pts) for now, name, index, pts in self.packets if name == source_id]

    def states_of(self, source_id: str) -> list[str]:
        """Give its states in their order, each only once as long as it lasts."""
        states = [state for _, name, state in self.states if name == source_id and state != "waiting"]
        return [state for state, before in zip(states, ["", *states], strict=False) if state != before]


def play(
    sources: Sequence[Source],
    seconds: float,
    *,
    stages: Sequence[Stage] = (),
    sinks: Sequence[Sink] = (),
    meanwhile: Callable[[Runner], Awaitable[None]] | None = None,
    **options: Any,
) -> tuple[Runner, Witness]:
    """Run for so long, then stop; the accounts must balance at the end."""

    async def run() -> tuple[Runner, Witness]:
        witness = Witness()
        graph = Graph(tuple(sources), tuple(stages), (witness, *sinks))
        runner = Runner(graph, RunConfig.model_validate(options), asyncio.get_running_loop().time)
        running = asyncio.create_task(runner.run())
        if meanwhile is not None:
            await meanwhile(runner)
        await asyncio.sleep(seconds)
        assert_accounts_balance(runner)
        runner.stop()
        await running
        assert_accounts_balance(runner)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return runner, witness

    return in_virtual_time(run())


def assert_accounts_balance(runner: Runner) -> None:
    in_flight = runner.in_flight()
    for source_id, counts in runner.telemetry.sources.items():
        assert counts.received == counts.delivered + in_flight[source_id] + counts.dropped.total(), source_id


# Found out


def test_a_camera_that_is_absent_at_the_start_is_connecting_and_holds_nobody_up() -> None:
    _, seen = play([FakeCamera("gone", [absent()]), FakeCamera("here")], 60)
    assert seen.states_of("gone") == ["connecting", "stopped"]
    assert len(seen.of("here")) >= 60 / FRAME_SECONDS - 10


def test_a_camera_that_comes_late_is_live_from_then_on() -> None:
    camera = FakeCamera("late", [absent(), absent(), absent(), Connection()])
    runner, seen = play([camera], 120)
    assert seen.states_of("late")[-2:] == ["live", "stopped"]
    assert runner.telemetry.sources["late"].connections == 1
    assert runner.telemetry.sources["late"].error is None


@pytest.mark.parametrize("stall_timeout_seconds", [0.5, 5.0])
def test_a_camera_that_falls_silent_is_found_in_time_and_said_to_be_stalled(stall_timeout_seconds: float) -> None:
    camera = FakeCamera("door", [Connection(frames=100, then="silence")], stall_timeout_seconds=stall_timeout_seconds)
    _, seen = play([camera], 30)
    last_frame = next(now for now, index, _ in seen.of("door") if index == 99)
    stalled = next(now for now, _, state in seen.states if state == "stalled")
    assert stalled - last_frame <= stall_timeout_seconds + 1
    assert seen.states_of("door")[1:4] == ["live", "stalled", "reconnecting"]


def test_a_camera_that_accepts_and_says_nothing_is_found_in_time() -> None:
    camera = FakeCamera("mute", [Connection(open_seconds=1e9)], stall_timeout_seconds=5)
    _, seen = play([camera], 20)
    assert next(now for now, error in zip((s[0] for s in seen.states), seen.errors, strict=True) if error) <= 6
    assert len(camera.opened_at) >= 2


def test_the_end_of_a_stream_is_a_lost_connection_and_not_the_end() -> None:
    camera = FakeCamera("door", [Connection(frames=50), Connection()])
    runner, seen = play([camera], 30)
    assert seen.states_of("door")[1:4] == ["live", "reconnecting", "live"]
    assert runner.telemetry.sources["door"].connections == 2
    assert runner.failures == []


def test_a_live_source_that_ends_for_good_is_finished() -> None:
    runner, _ = play([FakeCamera("demo", [Connection(frames=3, then="end")]), FakeCamera("other")], 5)
    assert runner.telemetry.sources["demo"].state == "finished"


def test_an_error_of_a_kind_that_nobody_expects_is_a_lost_connection_too() -> None:
    camera = FakeCamera("odd", [Connection(frames=5, then="crash"), Connection()])
    _, seen = play([camera], 30)
    assert seen.states_of("odd")[1:4] == ["live", "reconnecting", "live"]
    assert "ValueError: nobody thought of this" in str(seen.errors)


def test_a_connection_that_does_not_close_is_left_behind() -> None:
    camera = FakeCamera("stuck", [Connection(frames=5, close_seconds=1e9), Connection()])
    _, seen = play([camera], 30)
    assert seen.states_of("stuck")[-2:] == ["live", "stopped"]


def test_a_lost_camera_does_not_touch_the_others() -> None:
    bad = [FakeCamera(f"bad-{n}", [Connection(frames=20 + n, then="silence"), absent()]) for n in range(8)]
    _, seen = play([*bad, FakeCamera("good")], 60)
    times = [now for now, _, _ in seen.of("good")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 2 * FRAME_SECONDS


# Tried again


def test_refused_credentials_are_a_state_and_tried_again_slowly() -> None:
    camera = FakeCamera("locked", [refuses_password])
    _, seen = play([camera], 600)
    assert "auth_error" in seen.states_of("locked")
    assert all(later - earlier >= 60 for earlier, later in pairwise(camera.opened_at))
    assert len(camera.opened_at) >= 4


def test_attempts_become_rare_but_never_end() -> None:
    camera = FakeCamera("gone", [absent()])
    play([camera], 3600)
    first_minute = sum(opened < 60 for opened in camera.opened_at)
    last_half_hour = sum(opened > 1800 for opened in camera.opened_at)
    assert 3 <= first_minute <= 30
    assert 20 <= last_half_hour <= 200


def test_waiting_starts_over_after_half_a_minute_of_good_frames() -> None:
    good = Connection(frames=31 / FRAME_SECONDS)
    camera = FakeCamera("door", [*[absent()] * 12, good, absent(), Connection()])
    _, seen = play([camera], 1500)
    lost = next(now for now, _, state in seen.states if state == "reconnecting")
    back = next(now for now, _, state in seen.states if state == "live" and now > lost)
    assert back - lost < 5


def test_a_camera_that_flaps_is_tried_ever_more_rarely() -> None:
    camera = FakeCamera("flapping", [Connection(frames=25)])
    play([camera], 1800)
    assert len(camera.opened_at) < 200


@pytest.mark.parametrize("when_down", ["refused", "silent"])
@pytest.mark.parametrize("hosts", ["each its own", "all on one recorder"])
@pytest.mark.parametrize("seed", range(2))
def test_two_hundred_cameras_are_back_within_a_minute_after_the_switch(
    when_down: str, hosts: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    down_from, down_until = 40.0, 640.0
    random.seed(seed)

    def choose() -> Connection:
        now = asyncio.get_running_loop().time()
        if down_from <= now < down_until:
            return absent() if when_down == "refused" else Connection(open_seconds=1e9)
        return Connection(frames=max(0, down_from - now) / FRAME_SECONDS if now < down_from else 1e9, then="silence")

    monkeypatch.setattr("fake_camera.FRAME_SECONDS", 1.0)  # one frame a second: it is about connections here
    monkeypatch.setitem(globals(), "FRAME_SECONDS", 1.0)
    cameras = [
        FakeCamera(f"cam-{n}", choose=choose, host=f"10.0.0.{n}" if hosts == "each its own" else "recorder")
        for n in range(200)
    ]
    _, seen = play(cameras, down_until + 75)
    back = {name: now for now, name, state in reversed(seen.states) if state == "live" and now >= down_until}
    assert len(back) == 200
    assert max(back.values()) - down_until <= 60


def test_few_connections_to_one_host_are_opened_at_once() -> None:
    cameras = [FakeCamera(f"cam-{n}", [Connection(open_seconds=0.5)], host="recorder") for n in range(32)]
    play(cameras, 30)
    opened = sorted(camera.opened_at[0] for camera in cameras)
    assert all(sum(start <= other < start + 0.49 for other in opened) <= 4 for start in opened)
    assert opened[-1] <= 5


def test_a_host_that_does_not_answer_holds_its_neighbours_up_for_a_second_only() -> None:
    mute = [FakeCamera(f"mute-{n}", [Connection(open_seconds=1e9)], host="recorder") for n in range(4)]
    good = FakeCamera("good", host="recorder")
    play([*mute, good], 5)
    assert good.opened_at[0] <= 1.5


# Frames


def test_index_and_time_go_on_across_connections() -> None:
    connections = [
        Connection(frames=10, first_pts_seconds=5000),
        Connection(frames=10),
        Connection(first_pts_seconds=7),
    ]
    _, seen = play([FakeCamera("door", connections)], 20)
    frames = seen.of("door")
    assert [index for _, index, _ in frames] == list(range(len(frames)))
    assert frames[0][2] == 5000
    for (then, _, before), (now, _, after) in pairwise(frames):
        assert after - before == pytest.approx(now - then, abs=1e-6)


def test_damaged_frames_are_counted_and_shown_to_nobody() -> None:
    camera = FakeCamera("door", [Connection(frames=20, corrupt=frozenset({0, 1, 7, 8}))])
    runner, seen = play([camera], 0.95)
    assert [index for _, index, _ in seen.of("door")] == [2, 3, 4, 5, 6, *range(9, 20)]
    assert runner.telemetry.sources["door"].dropped["decode:corrupt"] == 4


def test_damaged_frames_are_a_sign_of_life_but_not_of_a_live_camera() -> None:
    camera = FakeCamera("grey", [Connection(corrupt=frozenset(range(10_000)))], stall_timeout_seconds=1)
    _, seen = play([camera], 20)
    assert len(camera.opened_at) == 1
    assert "live" not in seen.states_of("grey")


def test_a_slow_chain_gets_fresh_frames_and_every_other_one_is_counted() -> None:
    class Slow(FakeStage):
        ages: list[float]

        async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
            now = asyncio.get_running_loop().time()
            self.ages.extend(now - packet.frame.arrived_monotonic for packet in packets)
            await asyncio.sleep(10 * FRAME_SECONDS)
            return await super().process(packets)

    slow = Slow("detect", max_batch=4)
    slow.ages = []
    runner, _ = play([FakeCamera(f"cam-{n}") for n in range(3)], 60, stages=[slow])
    assert max(slow.ages) <= 0.5
    for counts in runner.telemetry.sources.values():
        assert counts.dropped["decode:overflow"] > 1000
        assert counts.delivered > 100


def test_so_many_frames_and_then_it_is_over() -> None:
    runner, seen = play([FakeCamera("door", [Connection(frames=4)])], 60, max_frames=10)
    assert runner.telemetry.sources["door"].state == "finished"
    assert len(seen.of("door")) == 10


# States


def test_sinks_are_told_every_state_with_its_reason() -> None:
    camera = FakeCamera("door", [absent(), Connection(frames=5), Connection()])
    _, seen = play([camera], 30)
    assert seen.states_of("door") == ["connecting", "live", "reconnecting", "live", "stopped"]
    reasons = [error for error, before in zip(seen.errors, ["", *seen.errors], strict=False) if error != before]
    assert reasons == [None, "cannot connect: connection refused", None, "the camera closed the stream", None]


def test_a_sink_that_comes_back_is_told_how_every_source_is() -> None:
    broken = Witness(name="table", fail_on=refuse(3))
    play([FakeCamera("door"), FakeCamera("gone", [absent()])], 30, sinks=[broken])
    assert broken.log.count("open") == 2
    told = [(name, state) for _, name, state in broken.states]
    assert told.count(("door", "live")) == 2


# Stopping


@pytest.mark.parametrize(
    "connection",
    [
        absent(),
        refuses_password,
        Connection(open_seconds=1e9),
        Connection(frames=5, then="silence"),
        Connection(frames=5, then="silence", close_seconds=1e9),
        Connection(open_seconds=1e9, close_seconds=1e9),
    ],
    ids=["absent", "refused", "silent", "stalled", "stuck", "stuck while opening"],
)
@pytest.mark.parametrize("after_seconds", [0.0, 0.05, 3.0, 7.0, 45.0])
def test_a_run_stops_within_seconds_whatever_the_camera_does(connection: Connection, after_seconds: float) -> None:
    async def run() -> float:
        loop = asyncio.get_running_loop()
        runner = Runner(
            Graph((FakeCamera("bad", [connection]), FakeCamera("good")), (), (FakeSink(),)), clock=loop.time
        )
        running = asyncio.create_task(runner.run())
        await asyncio.sleep(after_seconds)
        asked = loop.time()
        runner.stop()
        await running
        return loop.time() - asked

    assert in_virtual_time(run()) <= 5


# Control at run time


def test_a_source_added_while_it_runs_is_read() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(10)
        runner.sources.add(FakeCamera("new"))

    _, seen = play([FakeCamera("old")], 10, meanwhile=meanwhile)
    assert len(seen.of("new")) >= 200
    times = [now for now, _, _ in seen.of("old")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 2 * FRAME_SECONDS


def test_a_run_may_wait_for_its_first_source_and_outlive_its_last() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(10)
        runner.sources.add(FakeSource("clip", 5))
        await asyncio.sleep(10)
        assert runner.telemetry.sources["clip"].delivered == 5
        runner.sources.add(FakeSource("clip", 7))

    runner, _ = play([], 10, meanwhile=meanwhile, keep_running=True)
    assert runner.telemetry.sources["clip"].delivered == 12


def test_a_removed_source_is_through_when_removing_returns() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(5)
        await runner.sources.remove("door")
        counts = runner.telemetry.sources["door"]
        assert counts.state == "stopped"
        assert counts.received == counts.delivered + counts.dropped.total()
        assert runner.sources.ids == ("other",)

    stage = FakeStage("track")
    _, seen = play([FakeCamera("door"), FakeCamera("other")], 5, stages=[stage], meanwhile=meanwhile)
    assert stage.ended[0] == "door"
    assert "end door" in seen.log


def test_a_source_that_hangs_is_removed_within_five_seconds() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(3)
        started = asyncio.get_running_loop().time()
        await runner.sources.remove("stuck")
        assert asyncio.get_running_loop().time() - started <= 5

    stuck = FakeCamera("stuck", [Connection(frames=5, then="silence", close_seconds=1e9)])
    play([stuck, FakeCamera("other")], 1, meanwhile=meanwhile)


def test_removing_says_so_when_something_behind_the_source_hangs() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(1)
        with pytest.raises(SourceError, match=r"'door' has ended, but what was read of it is not through after 8 s"):
            await runner.sources.remove("door")

    stage = FakeStage("detect", gate=asyncio.Event())
    runner, _ = play([FakeCamera("door")], 1, stages=[stage], meanwhile=meanwhile)
    assert "detect" in runner.late


def test_names_that_are_taken_or_unknown_are_refused() -> None:
    async def meanwhile(runner: Runner) -> None:
        with pytest.raises(ConfigError, match="there is a source 'door' already"):
            runner.sources.add(FakeCamera("door"))
        for call in (runner.sources.pause, runner.sources.resume):
            with pytest.raises(ConfigError, match="there is no source 'window'; there are: door"):
                call("window")
        with pytest.raises(ConfigError, match="there is no source 'window'"):
            await runner.sources.remove("window")
        with pytest.raises(ConfigError, match="there is no source 'window'"):
            await runner.sources.replace(FakeCamera("window"))

    runner, _ = play([FakeCamera("door")], 1, meanwhile=meanwhile)
    with pytest.raises(ConfigError, match="the run has ended"):
        runner.sources.add(FakeCamera("window"))


def test_a_replaced_source_goes_on_under_its_name_with_frames_from_the_start() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(5)
        await runner.sources.replace(FakeCamera("door", [Connection(first_pts_seconds=100)]))

    stage = FakeStage("track")
    _, seen = play([FakeCamera("door")], 5, stages=[stage], meanwhile=meanwhile)
    indices = [index for _, index, _ in seen.of("door")]
    assert indices.count(0) == 2
    assert stage.ended == ["door", "door"]


def test_a_paused_camera_is_disconnected_and_comes_back_when_told() -> None:
    camera = FakeCamera("door")

    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(5)
        runner.sources.pause("door")
        runner.sources.pause("door")
        await asyncio.sleep(100)
        assert not camera.is_open
        assert runner.telemetry.sources["door"].state == "paused"
        runner.sources.resume("door")
        runner.sources.resume("door")

    _, seen = play([camera, FakeCamera("other")], 5, meanwhile=meanwhile)
    assert seen.states_of("door")[1:5] == ["live", "paused", "reconnecting", "live"]
    assert len(camera.opened_at) == 2


def test_a_camera_resumed_and_paused_in_one_breath_stays_paused() -> None:
    camera = FakeCamera("door")

    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(1)
        runner.sources.pause("door")
        await asyncio.sleep(1)
        runner.sources.resume("door")
        runner.sources.pause("door")
        await asyncio.sleep(10)
        assert runner.telemetry.sources["door"].state == "paused"

    play([camera], 1, meanwhile=meanwhile)
    assert len(camera.opened_at) == 1


@pytest.mark.parametrize("connection", [absent(), Connection(open_seconds=1e9), Connection(frames=3, then="silence")])
def test_a_camera_in_trouble_can_be_paused(connection: Connection) -> None:
    camera = FakeCamera("door", [connection])

    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(2)
        runner.sources.pause("door")
        attempts = len(camera.opened_at)
        await asyncio.sleep(300)
        assert runner.telemetry.sources["door"].state == "paused"
        assert len(camera.opened_at) <= attempts + 1

    play([camera], 1, meanwhile=meanwhile)


def test_a_paused_file_goes_on_where_it_was() -> None:
    async def meanwhile(runner: Runner) -> None:
        while runner.telemetry.sources["clip"].received < 20:
            await asyncio.sleep(0)
        runner.sources.pause("clip")
        await asyncio.sleep(10)
        read = runner.telemetry.sources["clip"].received
        assert read < 60
        assert runner.telemetry.sources["clip"].state == "paused"
        await asyncio.sleep(10)
        assert runner.telemetry.sources["clip"].received == read
        runner.sources.resume("clip")

    _, seen = play([FakeSource("clip", 60)], 5, meanwhile=meanwhile)
    assert [index for _, index, _ in seen.of("clip")] == list(range(60))


def test_a_source_paused_before_the_run_is_not_opened() -> None:
    async def meanwhile(runner: Runner) -> None:
        runner.sources.pause("door")
        await asyncio.sleep(20)

    camera = FakeCamera("door")
    play([camera], 1, meanwhile=meanwhile)
    assert camera.opened_at == []


def test_five_hundred_sources_that_came_and_went_leave_nothing_behind() -> None:
    async def meanwhile(runner: Runner) -> None:
        await asyncio.sleep(1)
        before = len(asyncio.all_tasks())
        for cycle in range(500):
            name = f"cam-{cycle % 7}"
            runner.sources.add(
                FakeCamera(name, [(absent(), Connection(), Connection(frames=1))[cycle % 3]], host="recorder")
            )
            await asyncio.sleep(0.3)
            await runner.sources.remove(name)
        assert len(asyncio.all_tasks()) == before
        assert runner.sources.ids == ("steady",)
        assert len(runner.sources.collector._open) == 1
        assert not runner.sources._opening._waiters

    _, seen = play([FakeCamera("steady")], 1, meanwhile=meanwhile)
    times = [now for now, _, _ in seen.of("steady")]
    assert max(later - earlier for earlier, later in pairwise(times)) < 2 * FRAME_SECONDS


connections = st.builds(
    Connection,
    open_error=st.sampled_from([None, None, None, SourceError("refused")]),
    open_seconds=st.sampled_from([0.0, 0.1, 1.0, 1e9]),
    frames=st.integers(0, 60),
    then=st.sampled_from(["close", "silence", "crash"]),
    corrupt=st.frozensets(st.integers(0, 60), max_size=8),
    first_pts_seconds=st.sampled_from([0.0, -3.0, 95_000.0]),
    close_seconds=st.sampled_from([0.0, 0.5, 1e9]),
)


@settings(max_examples=40)
@given(scripts=st.lists(st.lists(connections, min_size=1, max_size=5), min_size=1, max_size=5), seed=st.integers(0, 99))
def test_whatever_cameras_do_the_accounts_balance_and_frames_stay_in_order(
    scripts: list[list[Connection]], seed: int
) -> None:
    random.seed(seed)
    cameras = [FakeCamera(f"cam-{n}", script, stall_timeout_seconds=1) for n, script in enumerate(scripts)]

    async def meanwhile(runner: Runner) -> None:
        for step in range(60):
            await asyncio.sleep(random.uniform(0, 1))
            assert_accounts_balance(runner)
            name = f"cam-{step % len(cameras)}"
            random.choice([runner.sources.pause, runner.sources.resume, runner.sources.resume])(name)

    _, seen = play(cameras, 5, meanwhile=meanwhile)
    for camera in cameras:
        frames = seen.of(camera.source_id)
        assert all(before[1] < after[1] and before[2] < after[2] for before, after in pairwise(frames))
