"""A broker that is away, ill or closed to us: no camera notices, and events come later, in order, none twice."""

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import odd_parts
import pytest
from broker import Broker, Listener
from live_run import GOOD, LiveRun, running
from mqtt_parts import HURRY, events

from pipeline.registry import PLUGINS
from stages.sinks.mqtt import MqttSink

pytestmark = pytest.mark.slow

Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect again soon; and let each frame be an event."""
    monkeypatch.setattr(MqttSink, "pace", HURRY)
    monkeypatch.setitem(PLUGINS["rule"], "tick", odd_parts.PLUGINS["rule"]["tick"])


def sections(port: int, folder: Path, **options: Any) -> dict[str, Any]:
    mqtt = {"kind": "mqtt", "port": port, "spool": str(folder / "spool.sqlite"), "close_timeout_seconds": 5, **options}
    return {"rules": [{"kind": "tick"}], "sinks": [mqtt]}


async def until_delivered(run: LiveRun, listener: Listener, after: float) -> float:
    """Wait until somebody else has what happened after a moment, and say when that was."""

    def are_there() -> bool:
        seen = {(event["source"], event["values"]["number"]) for event in events(listener.messages)}
        return all(
            any((name, frame.index) in seen for frame in run.witness.of(name, after)) for name in GOOD
        )  # in order, so all before it are there too

    return await run.until(are_there, "the events did not come")


def assert_no_gap(run: LiveRun, listener: Listener) -> None:
    """Check that what was told is in order, without a gap, and nothing twice."""
    told = events(listener.messages)
    assert len({event["event_id"] for event in told}) == len(told)
    assert all(later["sequence"] == earlier["sequence"] + 1 for earlier, later in pairwise(told))
    assert told[-1]["sequence"] == sum(len(run.witness.of(name)) for name in GOOD)


async def test_a_broker_that_comes_late_gets_all_that_happened(
    broker: Callable[..., Broker], listener: Callable[..., Listener], good: Entries, tmp_path: Path, seconds: Record
) -> None:
    late = await asyncio.to_thread(broker)
    await asyncio.to_thread(late.stop)
    async with running(good, tmp_path, **sections(late.port, tmp_path)) as run:
        await run.until_all_live()
        await run.until_frames("good-1", 20)
        await asyncio.to_thread(late.start)
        heard = await asyncio.to_thread(listener, late)
        mended = time.monotonic()
        back = await until_delivered(run, heard, mended)
    heard.wait_for("kinestream/available", lambda message: message.text == "offline")
    assert_no_gap(run, heard)
    run.assert_undisturbed(GOOD)
    seconds("back", back - mended)


@pytest.mark.parametrize(
    ("break_it", "mend"),
    [
        (Broker.kill, Broker.start),
        (Broker.stop, Broker.start),
        (Broker.pause, Broker.resume),
    ],
    ids=["killed", "restarted", "frozen"],
)
async def test_a_broker_that_goes_away_gets_later_what_it_has_missed(
    broker: Callable[..., Broker], listener: Callable[..., Listener], good: Entries, tmp_path: Path,
    break_it: Callable[[Broker], None], mend: Callable[[Broker], None], seconds: Record,
) -> None:  # fmt: skip
    box = await asyncio.to_thread(broker)
    heard = await asyncio.to_thread(listener, box)
    async with running(good, tmp_path, **sections(box.port, tmp_path)) as run:
        await run.until_all_live()
        await until_delivered(run, heard, time.monotonic())
        await asyncio.to_thread(break_it, box)
        broken = time.monotonic()
        await run.until_frames("good-1", 20, since=broken)
        await asyncio.to_thread(mend, box)
        mended = time.monotonic()
        await asyncio.to_thread(heard.wait_until_connected)
        back = await until_delivered(run, heard, mended)
        assert run.runner.telemetry.sinks["mqtt"].error is None
    heard.wait_for("kinestream/available", lambda message: message.text == "offline")
    run.assert_undisturbed(GOOD)
    told = events(heard.messages)
    numbers = [event["sequence"] for event in {event["event_id"]: event for event in told}.values()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == sum(len(run.witness.of(name)) for name in GOOD)
    seconds("back", back - mended)


async def test_a_broker_that_refuses_the_password_costs_no_frame_and_no_event(
    broker: Callable[..., Broker], listener: Callable[..., Listener], good: Entries, tmp_path: Path, seconds: Record,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    box = await asyncio.to_thread(broker, user="me", password="changed")  # noqa: S106 - of a server of this test
    password = "ours-is-right#1"  # noqa: S105 - the same
    async with running(good, tmp_path, **sections(box.port, tmp_path, user="me", password=password)) as run:
        await run.until_all_live()
        await run.until(lambda: "refuses" in caplog.text or "authori" in caplog.text.lower(), "nothing was said")
        await run.until_frames("good-1", 20)
        assert run.runner.telemetry.sinks["mqtt"].error is None
        box.password = password
        await asyncio.to_thread(box.restart)
        heard = await asyncio.to_thread(listener, box)
        mended = time.monotonic()
        back = await until_delivered(run, heard, mended)
    assert_no_gap(run, heard)
    assert password not in caplog.text
    run.assert_undisturbed(GOOD)
    seconds("back", back - mended)
