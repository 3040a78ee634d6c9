"""A camera whose pictures are wrong: what is damaged is counted and shown to nobody; sizes may change."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from clips import Clip
from fault_proxy import Corrupt, Fault, FaultProxy, Lose, Pass
from live_run import GOOD, Seen, camera, running
from rtsp_server import RtspServer

pytestmark = pytest.mark.slow

Proxy = Callable[[int], FaultProxy]
Server = Callable[..., RtspServer]
Entries = list[dict[str, Any]]
Record = Callable[[str, float], None]


def assert_right(seen: list[Seen], clip: Clip) -> None:
    """Check that each frame shows what was filmed at its time, give or take one: its own time may be what was lost."""
    readable = [(frame.pts, frame.number) for frame in seen if frame.number is not None]
    assert len(readable) >= 0.9 * len(seen)  # a decoder does not notice every loss
    first_pts, first_number = readable[0]
    for pts, number in readable:
        ahead = number - first_number - round((pts - first_pts) * clip.fps)
        assert min(ahead % clip.frames, -ahead % clip.frames) <= 1


@pytest.mark.parametrize("fault", [Corrupt(0.1), Lose(0.1)], ids=["damaged", "lost"])
async def test_damaged_pictures_are_counted_and_what_is_shown_is_right(
    steady: RtspServer, clip: Clip, good: Entries, fault_proxy: Proxy, tmp_path: Path, fault: Fault, seconds: Record
) -> None:
    proxy = fault_proxy(steady.port)
    async with running([camera("bad", proxy.through(steady.url("/cam"))), *good], tmp_path) as run:
        await run.until_all_live()
        await run.until_frames("bad", 10)
        counts = run.runner.telemetry.sources["bad"]
        broken = time.monotonic()
        proxy.apply(fault)
        found = await run.until(lambda: counts.dropped["decode:corrupt"] >= 1, "no damage was noticed")
        await run.until_frames("good-1", 45, since=broken)
        mended = time.monotonic()
        proxy.apply(Pass())
        await run.until_frames("bad", 20, since=mended)
        damaged = counts.dropped["decode:corrupt"]
        assert counts.connections == 1
    seen = run.witness.of("bad")
    assert damaged > 0
    assert len(run.witness.of("bad", broken)) > 0
    assert_right(seen, clip)
    after = [frame for frame in seen if frame.at >= mended + 1]  # two key frames later
    assert all(later.index == earlier.index + 1 for earlier, later in pairwise(after))
    assert run.witness.states("bad") == ["connecting", "live", "stopped"]
    run.assert_undisturbed(GOOD)
    seconds("found", found - broken)


async def test_a_stream_may_change_its_size_and_goes_on(
    rtsp_server: Server, clip: Clip, make_clip: Callable[..., Clip], good: Entries, tmp_path: Path, seconds: Record
) -> None:
    large = make_clip(width=640, height=384, fps=15, gop=5, first=1000)
    server = rtsp_server({"/cam": clip})
    async with running([camera("bad", server.url("/cam")), *good], tmp_path, sinks=["video", "jsonl"]) as run:
        await run.until_all_live()
        await run.until_frames("bad", 10)
        switched = time.monotonic()
        server.switch("/cam", large)
        await run.until(lambda: run.witness.of("bad")[-1].size == (640, 384), "the size did not change")
        changed = next(frame.at for frame in run.witness.of("bad") if frame.size == (640, 384))
        await run.until_frames("bad", 15, since=changed)
    by_size: dict[tuple[int, int], list[int | None]] = {}
    for frame in run.witness.of("bad"):
        by_size.setdefault(frame.size, []).append(frame.number)
    assert set(by_size) == {(320, 192), (640, 384)}
    assert set(by_size[320, 192]) <= set(clip.numbers)
    assert set(by_size[640, 384]) <= set(large.numbers)
    assert run.witness.states("bad") == ["connecting", "live", "stopped"]
    assert {counts.error for counts in run.runner.telemetry.sinks.values()} == {None}
    assert (tmp_path / "bad.mp4").is_file()
    run.assert_undisturbed(GOOD)
    seconds("back", changed - switched)


def as_stream(clip: Clip, path: Path) -> Path:
    """Write a clip in a form that can be read from its beginning on, as cameras send it."""
    with av.open(clip.path) as source, av.open(path, "w", format="flv") as target:
        video = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
    return path


class _Silently(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name it has
        pass


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a web server, and the folder that it shows."""
    folder = tmp_path / "pages"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Silently, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


async def test_what_is_no_video_is_said_in_words_and_tried_again(
    pages: tuple[str, Path], clip: Clip, good: Entries, tmp_path: Path, seconds: Record
) -> None:
    address, folder = pages
    page = folder / "stream"
    page.write_text("<html><body>Your session has ended. Log in.</body></html>\n" * 50, encoding="utf-8")
    started = time.monotonic()
    async with running([camera("bad", f"{address}/stream"), *good], tmp_path) as run:
        found = await run.until(lambda: run.witness.errors("bad"), "nothing was said to be wrong")
        await run.until_all_live(but="bad")
        assert run.state("bad") == "connecting"
        mended = time.monotonic()
        as_stream(clip, folder / "new").replace(page)
        back = await run.until_state("bad", "live")
        for name in GOOD:
            await run.until_frames(name, 15)
    assert "video" in run.witness.errors("bad")
    run.assert_undisturbed(GOOD)
    seconds("found", found - started)
    seconds("back", back - mended)
