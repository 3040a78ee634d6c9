"""A camera that cannot be reached, or falls silent: said in time, tried again, back when mended; no other notices."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clips import Clip
from fault_proxy import Cut, Fault, FaultProxy, Pass, Refuse, Silent, Stall, Trickle
from live_run import FOUND_SECONDS, GOOD, camera, running
from rtsp_server import RtspServer

from pipeline.report import make_report

pytestmark = pytest.mark.slow

Proxy = Callable[[int], FaultProxy]
Server = Callable[..., RtspServer]
Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]

PASSWORD = "correct-horse#7"  # noqa: S105 - of a server that lives as long as a test
WRONG = "battery/staple:9"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Refuse(), "refused"),
        (Silent(), "no proper answer within 1 s"),
        (Trickle(), "no proper answer within 1 s"),
        (Cut(), "hung up, or does not answer with video"),
        (Cut(reset=True), "hung up, or does not answer with video"),
    ],
    ids=["absent", "silent", "trickling", "hanging up", "resetting"],
)
async def test_a_camera_that_cannot_be_reached_at_the_start_is_live_once_it_can(
    steady: RtspServer, good: Entries, fault_proxy: Proxy, tmp_path: Path, fault: Fault, words: str,
    seconds: Record,
) -> None:  # fmt: skip
    proxy = fault_proxy(steady.port)
    proxy.apply(fault)
    started = time.monotonic()
    async with running([camera("bad", proxy.through(steady.url("/cam"))), *good], tmp_path) as run:
        found = await run.until(lambda: run.witness.errors("bad"), "nothing was said to be wrong")
        assert found - started <= FOUND_SECONDS + 1  # of imports and models
        for name in GOOD:
            await run.until_frames(name, 20)
        assert run.state("bad") == "connecting"
        mended = time.monotonic()
        proxy.apply(Pass())
        back = await run.until_state("bad", "live")
        await run.until_frames("bad", 10)
    assert run.witness.states("bad") == ["connecting", "live", "stopped"]
    assert words in run.witness.errors("bad").lower()
    run.assert_undisturbed(GOOD)
    seconds("found", found - started)
    seconds("back", back - mended)


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Stall(), "stalled"),
        (Trickle(), "stalled"),
        (Cut(), "reconnecting"),
        (Cut(reset=True), "reconnecting"),
    ],
    ids=["silent", "trickling", "hanging up", "resetting"],
)
async def test_a_camera_that_fails_in_mid_stream_is_found_and_comes_back(
    steady: RtspServer, good: Entries, fault_proxy: Proxy, tmp_path: Path, fault: Fault, state: str,
    seconds: Record,
) -> None:  # fmt: skip
    proxy = fault_proxy(steady.port)
    async with running([camera("bad", proxy.through(steady.url("/cam"))), *good], tmp_path) as run:
        await run.until_all_live()
        await run.until_frames("bad", 10)
        broken = time.monotonic()
        proxy.apply(fault)
        found = await run.until_state("bad", state, since=broken)
        assert found - broken <= FOUND_SECONDS
        await run.until_state("bad", "reconnecting", since=broken)
        mended = time.monotonic()
        proxy.apply(Pass())
        back = await run.until_state("bad", "live", since=mended)
        await run.until_frames("bad", 10, since=back)
    between = ["stalled", "reconnecting"] if state == "stalled" else ["reconnecting"]
    assert run.witness.states("bad") == ["connecting", "live", *between, "live", "stopped"]
    seen = run.witness.of("bad")
    assert [frame.index for frame in seen] == sorted({frame.index for frame in seen})
    assert all(later.pts > earlier.pts for earlier, later in pairwise(seen))
    run.assert_undisturbed(GOOD)
    seconds("found", found - broken)
    seconds("back", back - mended)


@pytest.mark.parametrize(
    ("break_it", "mend", "state"),
    [
        (lambda server: server.starve("/cam"), lambda server: server.feed("/cam"), "stalled"),
        (lambda server: server.pause(), lambda server: server.resume(), "stalled"),
        (lambda server: server.kill(), lambda server: server.start(), "reconnecting"),
    ],
    ids=["sends no pictures", "is frozen", "loses its power"],
)
async def test_a_camera_that_is_itself_ill_is_found_and_comes_back(
    rtsp_server: Server, clip: Clip, good: Entries, tmp_path: Path, *, state: str,
    break_it: Callable[[RtspServer], None], mend: Callable[[RtspServer], None], seconds: Record,
) -> None:  # fmt: skip
    server = rtsp_server({"/cam": clip})
    async with running([camera("bad", server.url("/cam")), *good], tmp_path) as run:
        await run.until_all_live()
        await run.until_frames("bad", 10)
        broken = time.monotonic()
        await asyncio.to_thread(break_it, server)
        found = await run.until_state("bad", state, since=broken)
        assert found - broken <= FOUND_SECONDS
        await run.until_state("bad", "reconnecting", since=broken)
        await asyncio.to_thread(mend, server)
        mended = time.monotonic()
        back = await run.until_state("bad", "live", since=found)
        await run.until_frames("bad", 10, since=back)
    run.assert_undisturbed(GOOD)
    seconds("found", found - broken)
    seconds("back", back - mended)


async def test_a_wrong_path_is_said_in_words_and_tried_again(
    steady: RtspServer, rtsp_server: Server, clip: Clip, good: Entries, fault_proxy: Proxy, tmp_path: Path,
    seconds: Record,
) -> None:  # fmt: skip
    proxy = fault_proxy(steady.port)
    after_the_update = rtsp_server({"/renamed": clip})
    started = time.monotonic()
    async with running([camera("bad", proxy.through(steady.url("/renamed"))), *good], tmp_path) as run:
        found = await run.until_state("bad", "connecting", error="404")
        await run.until_all_live(but="bad")
        await run.until(lambda: proxy.connections >= 2, "it was not tried again")
        assert run.state("bad") == "connecting"
        mended = time.monotonic()
        proxy.target_port = after_the_update.port
        back = await run.until_state("bad", "live")
    run.assert_undisturbed(GOOD)
    seconds("found", found - started)
    seconds("back", back - mended)


async def test_a_wrong_password_is_a_state_tried_slowly_and_told_to_nobody(
    rtsp_server: Server, clip: Clip, good: Entries, fault_proxy: Proxy, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, seconds: Record,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    server = rtsp_server({"/cam": clip}, user="me", password=PASSWORD, auth="digest")
    by_url, by_option = fault_proxy(server.port), fault_proxy(server.port)
    bad = [
        camera("bad", by_url.through(server.url("/cam", user="me", password=WRONG))),
        camera("bad-too", by_option.through(server.url("/cam")), user="me", password=WRONG),
    ]
    started = time.monotonic()
    async with running([*bad, *good], tmp_path, sinks=["jsonl"]) as run:
        found = await run.until_state("bad", "auth_error")
        await run.until_state("bad-too", "auth_error")
        tried = by_url.connections, by_option.connections
        for name in GOOD:
            await run.until_frames(name, 45)  # three seconds
        assert (by_url.connections, by_option.connections) == tried
        report = make_report(run.runner, run.config)
    assert run.witness.states("bad") == ["connecting", "auth_error", "stopped"]
    run.assert_undisturbed(GOOD)
    said = [f"{record.getMessage()} {record.exc_text} {record.exc_info}" for record in caplog.records]
    files = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.jsonl*")]  # noqa: ASYNC240 - small files
    everything = "\n".join([*said, json.dumps(report), str(run.witness.told), *files])
    assert "auth_error" in everything
    for secret in (WRONG, "battery%2Fstaple%3A9", "battery"):
        assert secret not in everything
    seconds("found", found - started)


async def test_a_password_that_was_put_right_in_its_file_is_taken_at_the_next_attempt(
    rtsp_server: Server, clip: Clip, good: Entries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    seconds: Record,
) -> None:  # fmt: skip
    monkeypatch.setattr("pipeline.loops.live._REFUSED_SECONDS", (0.5, 1.0))  # in place of a minute or two
    server = rtsp_server({"/cam": clip}, user="me", password=PASSWORD, auth="digest")
    secret = tmp_path / "password"
    secret.write_text(WRONG, encoding="utf-8")
    bad = camera("bad", server.url("/cam"), user="me", password_file=str(secret))
    async with running([bad, *good], tmp_path) as run:
        await run.until_state("bad", "auth_error")
        await run.until_all_live(but="bad")
        secret.write_text(PASSWORD, encoding="utf-8")
        mended = time.monotonic()
        back = await run.until_state("bad", "live")
        await run.until_frames("bad", 10)
    run.assert_undisturbed(GOOD)
    seconds("back", back - mended)
