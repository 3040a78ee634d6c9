"""Streams that real servers and players take; and servers and processes that go away."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import av
import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from programs import Program, until
from pydantic import ValidationError
from rtsp_server import TCP, RtspServer

from pipeline.backoff import Backoff
from pipeline.errors import SinkError
from pipeline.types import HostPixels, Packet, SourceState, SourceStatus
from stages.sinks.publish import Options, PublishSink

MakePacket = Callable[..., Packet]

PLAIN: dict[str, Any] = {"boxes": False, "skeletons": False, "labels": False, "info": False, "trail_seconds": 0}
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
HLS = "hls/{source}/index.m3u8"
SIZE = (320, 240)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.publishing.broadcast.Backoff", partial(Backoff, 0.1, 0.2))


NOISE = np.random.default_rng(0)


def scene(make: MakePacket, index: int = 20, **how: Any) -> Packet:
    """Make a packet whose picture is noise on the left, which no encoder can make small, and grey on the right."""
    made = make(index, **{"size": SIZE, **how})
    image = made.frame.image.copy()
    left = image[:, : image.shape[1] // 2]
    left[:] = NOISE.integers(0, 255, left.shape, np.uint8)
    return replace(made, frame=replace(made.frame, pixels=HostPixels(image)))


class Camera(threading.Thread):
    """Writes 25 live frames a second to a sink, from a thread of its own, as the engine does."""

    def __init__(self, sink: PublishSink, make: MakePacket) -> None:
        super().__init__(daemon=True)
        self.sink = sink
        self.make = partial(scene, make, live=True)
        self.stopped = threading.Event()
        self.slowest_seconds = 0.0
        self.frames = 0

    def run(self) -> None:
        while not self.stopped.wait(0.04):
            packet = self.make(pts=self.frames / 25)
            before = time.monotonic()
            self.sink.write(packet)
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - before)
            self.frames += 1

    def stop(self) -> None:
        self.stopped.set()
        self.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def pictures(path: str, **options: str) -> list[NDArray[np.uint8]]:
    with av.open(path, options=options) as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


def assert_is_the_scene(picture: NDArray[Any]) -> None:
    assert picture.shape == (240, 320, 3)
    np.testing.assert_allclose(picture[:, 176:].mean(axis=(0, 1)), 100, atol=6)
    assert picture[:, :160].std() > 30


def is_gone(pid: int | None) -> bool:
    assert pid is not None
    return not psutil.pid_exists(pid)


def status(state: SourceState) -> SourceStatus:
    return SourceStatus("cam", state, datetime(2026, 1, 2, 12, 3, 10, tzinfo=UTC))


def started(sink: PublishSink) -> int:
    until(lambda: sink.pids.get("cam"), "no process was started")
    pid = sink.pids["cam"]
    assert pid is not None
    return pid


# Playlists on disk


def test_hls_is_a_playlist_that_players_play_with_the_picture_in_it(tmp_path: Path, packet: MakePacket) -> None:
    playlist = tmp_path / "hls/cam/index.m3u8"
    with PublishSink(Options(url=HLS, **PLAIN), tmp_path) as sink:
        with Camera(sink, packet):
            until(lambda: playlist.exists() and playlist.read_text().count(".ts") >= 2, "no segments came")
        sink.end_source("cam")
    shown = pictures(str(playlist))
    assert "#EXT-X-ENDLIST" in playlist.read_text()
    assert len(shown) >= 50
    assert_is_the_scene(shown[-1])


def test_the_stream_has_a_constant_rate_of_its_own_whatever_comes(tmp_path: Path, packet: MakePacket) -> None:
    with PublishSink(Options(url=HLS, frames_per_second=10), tmp_path) as sink:
        began = time.monotonic()
        with Camera(sink, packet):
            until((tmp_path / "hls/cam/index.m3u8").exists, "no segments came")
        sink.close()
        seconds = time.monotonic() - began
    with av.open(str(tmp_path / "hls/cam/index.m3u8")) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]  # type: ignore[operator]
    np.testing.assert_allclose(np.diff(times), 0.1, atol=0.001)
    assert len(times) == pytest.approx(10 * seconds, abs=5)


@pytest.mark.parametrize("size", [(16, 16), (17, 3), (2, 90)], ids=str)
def test_any_size_can_be_published(tmp_path: Path, packet: MakePacket, size: tuple[int, int]) -> None:
    with PublishSink(Options(url=HLS), tmp_path) as sink:
        for index in range(8):
            sink.write(scene(packet, index, size=size))
        sink.close()
        assert sink.restarts == {"cam": 0}
    assert pictures(str(tmp_path / "hls/cam/index.m3u8"))[0].shape == (size[1] + size[1] % 2, size[0] + size[0] % 2, 3)


@pytest.mark.parametrize("name", ["100%d ../street: a#b", "x\udc80 街"])
def test_every_name_of_a_source_makes_a_path_and_a_url(tmp_path: Path, packet: MakePacket, name: str) -> None:
    with PublishSink(Options(url=HLS), tmp_path) as sink:
        sink.write(scene(packet, source=name))
    (playlist,) = tmp_path.rglob("*.m3u8")
    assert playlist.parent.parent == tmp_path / "hls"
    assert len(pictures(str(playlist))) >= 1
    assert len(list(tmp_path.rglob("*.ts"))) == 1


@pytest.mark.slow
def test_while_the_camera_is_away_the_last_picture_goes_on_dimmed(tmp_path: Path, packet: MakePacket) -> None:
    playlist = tmp_path / "hls/cam/index.m3u8"
    with PublishSink(Options(url=HLS, **PLAIN), tmp_path) as sink:
        with Camera(sink, packet):
            until(playlist.exists, "no segment came")
        sink.source_changed(status("reconnecting"))
        until(lambda: playlist.read_text().count(".ts") >= 4, "the stream stopped with the camera")
        sink.source_changed(status("live"))
        sink.write(scene(packet, live=True))
        until(lambda: playlist.read_text().count(".ts") >= 6, "the stream did not go on")
    shown = [int(picture[20:60, 200:300].mean()) for picture in pictures(str(playlist))]
    assert shown[0] == pytest.approx(100, abs=6)
    assert shown.count(shown[len(shown) // 2]) > 20
    assert min(shown) == pytest.approx(33, abs=4)
    assert shown[-1] == pytest.approx(100, abs=6)


# Processes and servers that go away


def test_a_process_that_is_killed_is_started_again_and_the_stream_goes_on(
    tmp_path: Path, packet: MakePacket, caplog: pytest.LogCaptureFixture
) -> None:
    playlist = tmp_path / "hls/cam/index.m3u8"
    with PublishSink(Options(url=HLS, key_seconds=0.5), tmp_path) as sink, Camera(sink, packet) as camera:
        until(playlist.exists, "no segment came")
        first = started(sink)
        os.kill(first, signal.SIGKILL)
        until(lambda: sink.pids["cam"] not in {None, first}, "it was not started again")
        until(lambda: "#EXT-X-DISCONTINUITY" in playlist.read_text(), "the playlist did not go on")
        assert sink.restarts == {"cam": 1}
        second = started(sink)
        assert camera.slowest_seconds < 0.1
    assert is_gone(first)
    assert is_gone(second)
    assert sink.restarts == {"cam": 1}
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"publish 'cam' to {playlist}: FFmpeg failed: it was killed by signal 9")
    assert "restart 1" in message


def listener(port: int, target: Path) -> Program:
    listen = ["-listen", "1", "-i", f"rtmp://127.0.0.1:{port}/live/cam"]
    return Program(FFMPEG, "-nostdin", "-loglevel", "error", *listen, "-c", "copy", "-f", "mpegts", target)


@pytest.mark.slow
def test_a_server_that_is_not_there_yet_gets_the_stream_when_it_is(
    tmp_path: Path, packet: MakePacket, port: int
) -> None:
    url = f"rtmp://127.0.0.1:{port}/live/{{source}}"
    with PublishSink(Options(url=url, **PLAIN), tmp_path) as sink, Camera(sink, packet) as camera:
        until(lambda: sink.restarts.get("cam", 0) >= 2, "it was not tried again")
        with listener(port, tmp_path / "got.ts"):
            until(lambda: size_of(tmp_path / "got.ts") > 20_000, "nothing came")
            camera.stop()
            sink.close()
            assert camera.slowest_seconds < 0.1
    assert_is_the_scene(pictures(str(tmp_path / "got.ts"))[-1])


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_a_password_is_told_to_nobody(
    tmp_path: Path, packet: MakePacket, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtsp://me:s3cret%2Fpw@127.0.0.1:{port}/{{source}}"
    with PublishSink(Options(url=url), tmp_path) as sink, Camera(sink, packet):
        until(lambda: sink.restarts.get("cam", 0) >= 2, "it was not tried again")
    told = " ".join(record.getMessage() for record in caplog.records)
    assert f"rtsp://***@127.0.0.1:{port}/cam" in told
    assert "refused" in told
    assert "s3cret" not in told


@pytest.mark.slow
def test_a_server_that_freezes_costs_neither_time_nor_memory_and_closing_stays_quick(
    tmp_path: Path, packet: MakePacket, port: int
) -> None:
    url = f"rtmp://127.0.0.1:{port}/live/{{source}}"
    with listener(port, tmp_path / "got.ts") as server, PublishSink(Options(url=url, crf=0), tmp_path) as sink:
        with Camera(sink, packet) as camera:
            until(lambda: size_of(tmp_path / "got.ts") > 100_000, "nothing came")
            pid = started(sink)
            server.pause()
            until(lambda: is_stuck(sink), "it never got stuck")
            before, frames = psutil.Process().memory_info().rss, camera.frames
            until(lambda: camera.frames > frames + 50, "writing stopped")
            assert camera.slowest_seconds < 0.1
            assert psutil.Process().memory_info().rss - before < 30e6
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < 3
        assert is_gone(pid)


def is_stuck(sink: PublishSink) -> bool:
    return len(sink._broadcasts["cam"]._mailbox._packets) == 2


def test_a_process_that_takes_nothing_for_long_is_replaced(
    tmp_path: Path, packet: MakePacket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stages.sinks.publish._STUCK_SECONDS", 0.5)
    with PublishSink(Options(url=HLS), tmp_path) as sink, Camera(sink, packet):
        first = started(sink)
        until((tmp_path / "hls/cam/index.m3u8").exists, "no segment came")
        os.kill(first, signal.SIGSTOP)
        until(lambda: sink.restarts.get("cam", 0) == 1, "it was not replaced")
    assert is_gone(first)
    assert "taken nothing for 0." in caplog.text


OWNER = """
import os, pathlib, signal, sys, time
from conftest import make_packet
from stages.sinks.publish import Options, PublishSink
sink = PublishSink(Options(url=sys.argv[1]), pathlib.Path(sys.argv[2]))
sink.open()
while not (pid := sink.pids.get("cam")):
    sink.write(make_packet(live=True))
os.kill(pid, signal.SIGSTOP)
print(pid, flush=True)
sys.stdin.read()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_when_we_are_killed_ffmpeg_is_too_even_a_frozen_one(tmp_path: Path) -> None:
    here = Path(__file__).parents[1]
    paths = os.pathsep.join(map(str, (here, here.parent, here.parents[1])))
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, HLS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
        text=True,
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert not is_gone(pid)
        owner.communicate()
    until(lambda: is_gone(pid), "FFmpeg outlived us")


# Real receivers


@pytest.fixture(scope="module")
def server() -> Iterator[RtspServer]:
    with RtspServer(inlets=["/cam"]) as server:
        yield server


@pytest.mark.slow
def test_an_rtsp_server_gets_the_stream_and_a_viewer_sees_the_picture(
    server: RtspServer, tmp_path: Path, packet: MakePacket
) -> None:
    url = server.url("/{source}")
    with PublishSink(Options(url=url, **PLAIN), tmp_path) as sink, Camera(sink, packet) as camera:
        until(lambda: server.published("/cam").frames >= 25, "nothing was published")
        with av.open(server.url("/cam/view"), options=TCP) as viewer:
            frames = viewer.decode(video=0)
            shown = [next(frames).to_ndarray(format="bgr24") for _ in range(40)]  # with a key frame among them
        assert camera.slowest_seconds < 0.1
    assert_is_the_scene(shown[-1])
    until(lambda: server.published("/cam").open == 0, "the session was not closed")
    assert sink.restarts == {"cam": 0}


def test_a_server_that_comes_back_gets_the_stream_again(server: RtspServer, tmp_path: Path, packet: MakePacket) -> None:
    with PublishSink(Options(url=server.url("/{source}")), tmp_path) as sink, Camera(sink, packet) as camera:
        until(lambda: server.published("/cam").frames >= 5, "nothing was published")
        server.kill()
        until(lambda: sink.restarts.get("cam", 0) >= 1, "the loss was not noticed")
        server.start()
        until(lambda: server.published("/cam").frames >= 5, "nothing was published again")
        assert camera.slowest_seconds < 0.1


@pytest.mark.slow
def test_srt_is_sent_too(tmp_path: Path, packet: MakePacket, port: int) -> None:
    listen = ["-i", f"srt://127.0.0.1:{port}?mode=listener"]
    got = tmp_path / "got.ts"
    with (
        Program(FFMPEG, "-nostdin", "-loglevel", "error", *listen, "-c", "copy", "-f", "mpegts", got),
        PublishSink(Options(url=f"srt://127.0.0.1:{port}", **PLAIN), tmp_path) as sink,
        Camera(sink, packet),
    ):
        until(lambda: size_of(got) > 20_000, "nothing came")
    assert_is_the_scene(pictures(str(got))[-1])


# Files


def test_a_file_passes_as_fast_as_it_would_be_played(tmp_path: Path, packet: MakePacket) -> None:
    with PublishSink(Options(url=HLS), tmp_path) as sink:
        began = time.monotonic()
        for index in range(16):
            sink.write(packet(index))
        assert 0.6 <= time.monotonic() - began < 1.2


def test_a_file_need_not_be_waited_for(tmp_path: Path, packet: MakePacket) -> None:
    with PublishSink(Options(url=HLS, realtime=False), tmp_path) as sink:
        began = time.monotonic()
        for index in range(100):
            sink.write(packet(index))
        assert time.monotonic() - began < 0.5


def test_what_has_one_address_shows_one_source_and_says_so_once(
    tmp_path: Path, packet: MakePacket, caplog: pytest.LogCaptureFixture
) -> None:
    with PublishSink(Options(url="only.m3u8", realtime=False), tmp_path) as sink:
        for index in range(4):
            sink.write(packet(index, "a"))
            sink.write(packet(index, "b"))
        assert list(sink.pids) == ["a"]
    (record,) = caplog.records
    assert "'b' is not published" in record.getMessage()
    assert "put {source} into the url" in record.getMessage()


def test_a_picture_that_cannot_be_drawn_is_told_by_the_next_write(
    tmp_path: Path, packet: MakePacket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        msg = "no paint"
        raise ValueError(msg)

    monkeypatch.setattr("stages.drawing.painter.draw", fail)
    with PublishSink(Options(url=HLS, realtime=False), tmp_path) as sink:
        sink.write(packet())
        with pytest.raises(SinkError, match=r"publish 'cam' to .*index\.m3u8: ValueError: no paint"):
            until(lambda: sink.write(packet()), "it was not told")


def test_without_ffmpeg_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        msg = "No ffmpeg exe could be found."
        raise RuntimeError(msg)

    monkeypatch.setattr("stages.publishing.encoder.shutil.which", lambda _: None)
    monkeypatch.setattr("stages.publishing.encoder.imageio_ffmpeg.get_ffmpeg_exe", none)
    with pytest.raises(SinkError, match="needs the program ffmpeg: install it"):
        PublishSink(Options(url=HLS), tmp_path).open()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("http://localhost/{source}", r"cannot publish to http://; known are rtsp://", id="scheme"),
        pytest.param("rtsp:///{source}", r"names no host", id="host"),
        pytest.param("hls/{source}.mp4", r"path that ends in \.m3u8", id="file"),
        pytest.param("", r"must be a URL", id="empty"),
    ],
)
def test_a_wrong_address_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options(url=url)
