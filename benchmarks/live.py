"""What live streams promise, measured with real parts: an RTSP server, a proxy that misbehaves, an MQTT broker.

    python benchmarks/live.py                                  # all but the soak, about 15 minutes
    python benchmarks/live.py stall latency                    # some rows
    python benchmarks/live.py soak --minutes 10                # random faults on 8 streams
    python benchmarks/live.py latency --video people.mp4 --detector yolo11n.pt

Prints a table in Markdown. Needs what `make test` needs: mosquitto, and GStreamer's RTSP server.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]  # the servers are those of the tests

from broker import Broker, Listener
from clips import Clip, write_clip
from fault_proxy import Corrupt, Cut, Fault, FaultProxy, Pass, Refuse, Silent, Stall, Trickle
from live_parts import Slowed, Witness
from rtsp_server import RtspServer

from pipeline.config import build_config
from pipeline.graph import Graph, build, make_sources
from pipeline.registry import PLUGINS
from pipeline.runner import Runner
from pipeline.stage import Sink, Stage

PLUGINS["rule"]["tick"] = "live_parts:Tick"


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    wanted: str
    seen: str


@dataclass
class Bench:
    """What the rows share."""

    folder: Path
    video: Path | None
    detector: str
    minutes: float

    def clip(self, name: str = "small", **options: Any) -> Clip:  # noqa: ANN401 - those of `write_clip`
        path = self.folder / f"{name}.mp4"
        return write_clip(path, **{"fps": 15, "gop": 15, "seconds": 4.0} | options)


def source(name: str, url: str) -> dict[str, Any]:
    return {"kind": "rtsp", "id": name, "url": url}


@contextlib.asynccontextmanager
async def running(
    sources: list[dict[str, Any]],
    out: Path,
    sink: Sink | None = None,
    change: Callable[[tuple[Stage, ...]], tuple[Stage, ...]] = lambda stages: stages,
    **sections: Any,  # noqa: ANN401 - of a configuration
) -> AsyncIterator[Runner]:
    """Run a chain while the block lasts, then stop it; the accounts must balance."""
    config = build_config({"sources": sources, "sinks": ["null"], "run": {"keep_running": True}} | sections)
    graph = build(config, out)
    sinks = graph.sinks if sink is None else (sink, *(part for part in graph.sinks if part.name != "null"))
    runner = Runner(Graph(graph.sources, change(graph.stages), sinks), config.run)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await task
    check_accounts(runner)


def check_accounts(runner: Runner) -> None:
    in_flight = runner.in_flight()
    for name, counts in runner.telemetry.sources.items():
        assert counts.received == counts.delivered + in_flight[name] + counts.dropped.total(), name


async def until(condition: Callable[[], bool], seconds: float, what: str) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            msg = f"{what} did not happen within {seconds:g} s"
            raise TimeoutError(msg)
        await asyncio.sleep(0.02)
    return time.monotonic() - started


def live_count(runner: Runner) -> int:
    return sum(counts.state == "live" for counts in runner.telemetry.sources.values())


def p99_ms(intervals: np.ndarray) -> float:
    return float(np.percentile(intervals, 99)) * 1000


async def stall(bench: Bench) -> list[Row]:
    """Break one of 16 streams, and watch the others."""
    return [await _stall_by(fault, bench) for fault in (Silent(), Stall(), Trickle(), Cut())]


async def _stall_by(fault: Fault, bench: Bench) -> Row:
    witness = Witness()
    state = "reconnecting" if isinstance(fault, Cut) else "stalled"
    with RtspServer({"/cam": bench.clip()}) as server, FaultProxy(server.port) as proxy:
        urls = [server.url("/cam")] * 15
        sources = [source(f"good-{n}", url) for n, url in enumerate(urls)]
        sources.append(source("bad", server.url("/cam", port=proxy.port)))
        async with running(sources, bench.folder / "stall", witness) as runner:
            await until(lambda: live_count(runner) == 16, 30, "16 live streams")
            await asyncio.sleep(1)
            calm_from = time.monotonic()
            await asyncio.sleep(10)
            broken_at = time.monotonic()
            proxy.apply(fault)
            await until(lambda: witness.first("bad", state, broken_at) is not None, 10, "the fault was found")
            found_after = (witness.first("bad", state, broken_at) or 0) - broken_at
            await asyncio.sleep(max(0.0, 10 - found_after))
            broken_until = time.monotonic()
            proxy.apply(Pass())
            back_after = await until(lambda: live_count(runner) == 16, 70, "the camera was back")
    names = [f"good-{n}" for n in range(15)]
    calm = np.concatenate([witness.intervals(name, calm_from, broken_at) for name in names])
    broken = np.concatenate([witness.intervals(name, broken_at, broken_until) for name in names])
    ratio = p99_ms(broken) / p99_ms(calm)
    return Row(
        f"1 of 16 cameras: {type(fault).__name__.lower()}",
        "found in <= 6 s; p99 interval of the other 15 within 20 %",
        f"found after {found_after:.2f} s; p99 {p99_ms(calm):.1f} -> {p99_ms(broken):.1f} ms"
        f" ({(ratio - 1) * 100:+.1f} %); back {back_after:.1f} s after it was mended",
    )


async def reboot(bench: Bench) -> list[Row]:
    """Switch 200 cameras off for a while, all at once."""
    clip = bench.clip("tiny", width=64, height=48, fps=2, gop=2, seconds=6.0)
    witness = Witness()
    with RtspServer({"/cam": clip}) as server, FaultProxy(server.port) as proxy:
        sources = [source(f"cam-{n}", server.url("/cam", port=proxy.port)) for n in range(200)]
        async with running(sources, bench.folder / "reboot", witness) as runner:
            started = await until(lambda: live_count(runner) == 200, 180, "200 live streams")
            proxy.apply(Refuse())
            proxy.cut(reset=True)
            await asyncio.sleep(60)
            off = live_count(runner)
            proxy.apply(Pass())
            took = await until(lambda: live_count(runner) == 200, 120, "all cameras were back")
    return [
        Row(
            "200 cameras of one host off for 60 s",
            "all live again in <= 60 s",
            f"{took:.1f} s ({off} live while it was off; first start of all: {started:.1f} s)",
        )
    ]


async def slow(bench: Bench) -> list[Row]:
    """Let the detector take ten times as long as it does."""
    witness = Witness()
    clip = Clip(bench.video, 0, 0, 30, 0, "h264") if bench.video else bench.clip()
    with RtspServer({"/cam": clip}) as server:
        sources = [source(f"cam-{n}", server.url("/cam")) for n in range(4)]
        async with running(
            sources,
            bench.folder / "slow",
            witness,
            lambda stages: (Slowed(stages[0], 10), *stages[1:]),
            detect=bench.detector,
            track="bytetrack",
        ) as runner:
            await until(lambda: len(witness.ages) > 20, 120, "some frames were through")
            witness.clear()
            memory = [psutil.Process().memory_info().rss]
            for _ in range(6):
                await asyncio.sleep(20)
                memory.append(psutil.Process().memory_info().rss)
            one = runner.telemetry.histogram("detect").quantile_seconds(0.95) or 0
            dropped = sum(
                (counts.dropped for counts in runner.telemetry.sources.values()),
                start=type(next(iter(runner.telemetry.sources.values())).dropped)(),
            )
            ages = np.percentile(witness.ages, [50, 95])
    mib = [round(value / 2**20) for value in memory]
    return [
        Row(
            f"detector slowed 10 times ({one:.2f} s a batch), 4 streams, 120 s",
            "p95 age of processed frames <= 0.5 s + one inference; memory flat",
            f"p50 {ages[0]:.2f} s, p95 {ages[1]:.2f} s (bound {0.5 + one:.2f} s);"
            f" RSS every 20 s: {', '.join(map(str, mib))} MiB;"
            f" {len(witness.ages)} frames through, dropped {dict(dropped)}",
        )
    ]


async def latency(bench: Bench) -> list[Row]:
    """Time the way from a frame's arrival to its event in another client's hands."""
    clip = Clip(bench.video, 0, 0, 30, 0, "h264") if bench.video else bench.clip()
    (bench.folder / "broker").mkdir()
    with (
        RtspServer({"/cam": clip}) as server,
        Broker(bench.folder / "broker") as broker,
        Listener(broker, "kinestream/#") as listener,
    ):
        mqtt = {"kind": "mqtt", "port": broker.port, "spool": str(bench.folder / "latency.sqlite")}
        async with running(
            [source("cam", server.url("/cam"))],
            bench.folder / "latency",
            detect=bench.detector,
            track="bytetrack",
            rules=[{"kind": "tick"}],
            sinks=[mqtt],
        ):
            await asyncio.sleep(60)
        events = [message for message in listener.messages if message.topic.endswith("/events")]
        received = [(message.at, message.json()["values"]) for message in events]
    warm = received[30:]  # the first ones wait for the models to warm up
    total = np.array([at - values["arrived"] for at, values in warm])
    inference = np.array([values["judged"] - values["arrived"] for _, values in warm])
    rest = np.array([at - values["judged"] for at, values in warm])
    p95 = [float(np.percentile(values, 95)) * 1000 for values in (total, inference, rest)]
    return [
        Row(
            f"RTSP frame to MQTT event, {len(warm)} events in 60 s, one a frame",
            "p95 <= inference + 150 ms",
            f"p95 {p95[0]:.0f} ms in all, {p95[1]:.0f} ms up to the rule; after it p95 {p95[2]:.1f} ms",
        )
    ]


async def broker_down(bench: Bench) -> list[Row]:
    """Make 5,000 events while the broker cannot be reached."""
    (bench.folder / "down").mkdir()
    with (
        Broker(bench.folder / "down") as broker,
        FaultProxy(broker.port) as proxy,
        Listener(broker, "kinestream/#") as listener,
    ):
        proxy.apply(Refuse())
        mqtt = {"kind": "mqtt", "port": proxy.port, "spool": str(bench.folder / "down.sqlite")}
        synthetic = {"kind": "synthetic", "id": "cam", "frames": 5000, "people": 2}
        started = time.monotonic()
        async with running([synthetic], bench.folder / "run", rules=[{"kind": "tick"}], sinks=[mqtt]) as runner:
            await until(lambda: runner.telemetry.sinks["mqtt"].written >= 5000, 300, "5,000 events were made")
            made = time.monotonic() - started
            proxy.apply(Pass())
            back = time.monotonic()

            def events() -> list[Any]:
                return [message.json() for message in listener.messages if message.topic.endswith("/events")]

            await until(lambda: len(events()) >= 5000, 180, "all events were delivered")
            took = time.monotonic() - back
            await asyncio.sleep(2)  # doubles would come now
            numbers = [event["values"]["number"] for event in events()]
            delayed = sum(bool(event["delayed"]) for event in events())
    order = "in" if numbers == sorted(numbers) else "OUT OF"
    return [
        Row(
            "5,000 events while the broker is away",
            "none lost, none doubled, in order",
            f"{len(set(numbers))} delivered, {len(numbers) - len(set(numbers))} doubled, {order} order,"
            f" {delayed} marked as delayed; made in {made:.1f} s, delivered within {took:.1f} s of the broker's return",
        )
    ]


async def churn(bench: Bench) -> list[Row]:
    """Add and remove a real stream 500 times, beside one that stays."""
    me = psutil.Process()
    witness = Witness()
    with RtspServer({"/cam": bench.clip()}) as server:
        async with running([source("steady", server.url("/cam"))], bench.folder / "churn", witness) as runner:
            config = build_config({"sources": [], "sinks": ["null"]})

            async def cycle(number: int) -> None:
                name = f"cam-{number % 5}"
                entry = build_config({"sources": [source(name, server.url("/cam"))]}).sources[0]
                runner.sources.add(*make_sources(config, entry))
                await until(lambda: runner.telemetry.sources[name].state == "live", 20, f"{name} live")
                await runner.sources.remove(name)
                witness.arrivals.pop(name, None)
                witness.ages.clear()
                witness.states.clear()

            seen = []
            for _hundred in range(9):
                for number in range(100):
                    await cycle(number)
                seen.append(census(me))
            gap = max(witness.intervals("steady", 0, time.monotonic()))
    before, after = seen[3], seen[-1]  # the allocator has taken what it takes after some hundred threads
    change = (after["rss"] / before["rss"] - 1) * 100
    curve = ", ".join(f"{one['rss'] / 2**20:.1f}" for one in seen)
    return [
        Row(
            "500 cycles of adding and removing an RTSP stream, after 400 others",
            "RSS, threads and file descriptors within 2 %",
            f"RSS {change:+.1f} % (MiB every 100 cycles: {curve}),"
            f" threads {before['threads']} -> {after['threads']}, descriptors {before['fds']} -> {after['fds']};"
            f" longest interval of the stream that stays {gap * 1000:.0f} ms",
        )
    ]


def census(process: psutil.Process) -> dict[str, int]:
    gc.collect()
    return {"rss": process.memory_info().rss, "threads": process.num_threads(), "fds": process.num_fds()}


async def idle(bench: Bench) -> list[Row]:
    """Wait for 16 cameras that are all off."""
    with FaultProxy(1) as proxy:
        proxy.apply(Refuse())
        sources = [source(f"cam-{n}", f"rtsp://127.0.0.1:{proxy.port}/cam") for n in range(16)]
        async with running(sources, bench.folder / "idle", Witness()):
            await asyncio.sleep(30)  # while they are young, attempts are frequent
            me = psutil.Process()
            before, started = me.cpu_times(), time.monotonic()
            await asyncio.sleep(60)
            after, took = me.cpu_times(), time.monotonic() - started
    used = (after.user + after.system - before.user - before.system) / took
    return [Row("16 cameras, all off, for 60 s", "< 2 % of a core", f"{used * 100:.2f} % of a core")]


async def stop(bench: Bench) -> list[Row]:
    """Ask a process to stop while one of its cameras hangs."""
    rows = []
    for name, fault in (("silent from the start", Silent()), ("stalled in mid-stream", Stall(200_000))):
        out = bench.folder / f"stop-{name.split()[0]}"
        with RtspServer({"/cam": bench.clip()}) as server, FaultProxy(server.port) as proxy:
            proxy.apply(fault)
            urls = [server.url("/cam"), server.url("/cam", port=proxy.port)]
            command = [str(Path(sys.executable).with_name("kinestream")), "run", *urls, "--preset", "embedded"]
            words = [*command, "--sink", "video", "--sink", "jsonl", "--out", str(out), "--quiet"]
            process = await asyncio.create_subprocess_exec(*words)
            await until(lambda out=out: any(out.glob("*.mp4*")), 60, "a video was begun")
            await asyncio.sleep(6)
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(process.wait(), 30)
            took = time.monotonic() - asked
        rows.append(Row(f"SIGTERM with a camera {name}", "<= 10 s, exit code 0", f"{took:.1f} s, exit code {code}"))
    return rows


async def soak(bench: Bench) -> list[Row]:
    """Break streams at random for minutes."""
    chance = random.Random(7)
    faults = (Silent(), Stall(), Trickle(), Cut(), Cut(reset=True), Corrupt(0.05), Refuse(), Pass(), Pass(), Pass())
    witness = Witness()
    checks = 0
    memory: list[float] = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(RtspServer({"/cam": bench.clip()}))
        proxies = [stack.enter_context(FaultProxy(server.port)) for _ in range(8)]
        sources = [source(f"cam-{n}", server.url("/cam", port=proxy.port)) for n, proxy in enumerate(proxies)]
        async with running(sources, bench.folder / "soak", witness, track=None) as runner:
            end = time.monotonic() + bench.minutes * 60
            while time.monotonic() < end:
                proxy = chance.choice(proxies)
                proxy.apply(chance.choice(faults))
                if chance.random() < 0.05:
                    server.restart()
                await asyncio.sleep(chance.uniform(0.2, 3))
                check_accounts(runner)
                checks += 1
                if checks % 20 == 0:
                    memory.append(psutil.Process().memory_info().rss / 2**20)
                    witness.clear()
                    witness.states.clear()
            for proxy in proxies:
                proxy.apply(Pass())
            back = await until(lambda: live_count(runner) == 8, 90, "all streams were back")
            counts = runner.telemetry.sources.values()
            received, delivered = (sum(getattr(c, name) for c in counts) for name in ("received", "delivered"))
            connections = sum(c.connections for c in counts)
            dropped = json.dumps(dict(sum((c.dropped for c in counts), start=type(next(iter(counts)).dropped)())))
    return [
        Row(
            f"{bench.minutes:g} min, 8 streams, random faults",
            "the accounts balance at every look",
            f"{checks} looks, all balanced; {received} frames received, {delivered} delivered, dropped {dropped};"
            f" {connections} connections; all live {back:.1f} s after the last fault;"
            f" RSS {memory[0]:.0f} -> {memory[-1]:.0f} MiB",
        )
    ]


ROWS: dict[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "stall": stall,
    "reboot": reboot,
    "slow": slow,
    "latency": latency,
    "broker": broker_down,
    "churn": churn,
    "idle": idle,
    "stop": stop,
    "soak": soak,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[[], *ROWS], help=", ".join(ROWS))
    parser.add_argument("--video", type=Path, help="H.264 in MP4, for `slow` and `latency`; a drawn clip without")
    parser.add_argument("--detector", default="blazepose", help="For `slow` and `latency`.")
    parser.add_argument("--minutes", type=float, default=10.0, help="Of `soak`.")
    asked = parser.parse_args()
    print("| what | wanted | seen |\n|---|---|---|", flush=True)
    for name in asked.rows or [name for name in ROWS if name != "soak"]:
        with tempfile.TemporaryDirectory() as folder:
            for row in asyncio.run(
                _measured(ROWS[name], Bench(Path(folder), asked.video, asked.detector, asked.minutes))
            ):
                print(f"| {row.what} | {row.wanted} | {row.seen} |", flush=True)


async def _measured(row: Callable[[Bench], Awaitable[list[Row]]], bench: Bench) -> list[Row]:
    return await row(bench)


if __name__ == "__main__":
    main()
