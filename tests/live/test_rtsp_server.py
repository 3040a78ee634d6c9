"""The server of cameras does what it says."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg  # type: ignore[import-untyped, unused-ignore] # it ships no types
import pytest
from clips import Clip, number_of
from programs import Program, until
from rtsp_server import QUICK, RtspServer

MakeClip = Callable[..., Clip]
Serve = Callable[..., RtspServer]
Watch = Callable[..., Any]

ME: dict[str, Any] = {"user": "me", "password": "p:w @d"}


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_a_stream_goes_on_as_its_clip_begins_again(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch, codec: str
) -> None:
    clip = make_clip(codec=codec, fps=50, seconds=0.2, first=7)

    seen = watch(rtsp_server({"/cam": clip}).url("/cam")).see(25)

    assert [frame.number for frame in seen] == [7 + index % 10 for index in range(25)]
    times = [frame.seconds for frame in seen[1:]]
    assert [b - a for a, b in pairwise(times)] == pytest.approx([0.02] * 23, abs=0.0001)


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_who_does_not_know_the_password_sees_nothing(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch, auth: str
) -> None:
    server = rtsp_server({"/cam": make_clip()}, **ME, auth=auth)

    for credentials in ({}, ME | {"password": "wrong"}, ME | {"user": "you"}):
        with pytest.raises(av.error.HTTPUnauthorizedError):
            watch(server.url("/cam", **credentials))
    assert watch(server.url("/cam", **ME)).numbers(2) == [0, 1]


def test_a_mount_that_does_not_exist_is_not_found(rtsp_server: Serve, watch: Watch) -> None:
    with pytest.raises(av.error.HTTPNotFoundError):
        watch(rtsp_server().url("/cam"))


def test_a_server_can_be_kept_to_tcp(make_clip: MakeClip, rtsp_server: Serve, watch: Watch) -> None:
    clip = make_clip()

    assert watch(rtsp_server({"/cam": clip}).url("/cam"), rtsp_transport="udp").numbers(3) == [0, 1, 2]
    with pytest.raises(OSError, match="Protocol not supported"):
        watch(rtsp_server({"/cam": clip}, transports=["tcp"]).url("/cam"), rtsp_transport="udp")


def test_each_of_many_clients_gets_the_stream_from_its_beginning(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch
) -> None:
    server = rtsp_server({"/a": make_clip(), "/b": make_clip(first=500)})

    viewers = [watch(server.url(mount)) for mount in ("/a", "/b", "/a", "/b")]

    assert [viewer.numbers(3) for viewer in viewers] == [[0, 1, 2], [500, 501, 502]] * 2
    assert (server.clients, server.sessions) == (4, 4)


def test_a_client_that_has_left_is_no_session_any_more(make_clip: MakeClip, rtsp_server: Serve) -> None:
    server = rtsp_server({"/cam": make_clip()})
    with av.open(server.url("/cam"), options=QUICK):
        assert (server.clients, server.sessions) == (1, 1)

    until(lambda: (server.clients, server.sessions) == (0, 0), "the client has not left")


def test_a_stream_goes_on_in_another_size(make_clip: MakeClip, rtsp_server: Serve, watch: Watch) -> None:
    server = rtsp_server({"/cam": make_clip()})
    viewer = watch(server.url("/cam"))
    before = viewer.see(2)
    server.switch("/cam", make_clip(width=480, height=270, first=1000))

    seen = before + viewer.see(25)

    assert {frame.size for frame in seen} == {(320, 192), (480, 270)}
    numbers = [frame.number for frame in seen]
    changed = numbers.index(1000)
    assert numbers == [*range(changed), *range(1000, 1000 + len(numbers) - changed)]
    steps = [b.seconds - a.seconds for a, b in pairwise(seen[1:])]
    assert steps == pytest.approx([0.04] * len(steps), abs=0.0001)


def test_a_starved_stream_stays_connected_and_goes_on_at_the_present_time(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch
) -> None:
    server = rtsp_server({"/cam": make_clip(fps=50)})
    viewer = watch(server.url("/cam"))
    viewer.see(2)
    server.starve("/cam")
    before = viewer.see(server.sent("/cam") - 2 - 1)[-1]  # the last one may still be on its way

    with pytest.raises(TimeoutError):
        until(lambda: server.sent("/cam") > before.number + 2, "nothing was sent", 0.3)
    assert (server.clients, server.sessions) == (1, 1)
    server.feed("/cam")
    after = viewer.see(3)[-1]

    assert after.number == before.number + 3
    assert after.seconds - before.seconds > 0.3


def test_a_starved_stream_makes_an_impatient_client_give_up(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch
) -> None:
    server = rtsp_server({"/cam": make_clip()})
    viewer = watch(server.url("/cam"), timeout="200000")
    server.starve("/cam")

    with pytest.raises(TimeoutError):
        viewer.see(1000)


def test_dropped_clients_see_the_end_of_the_stream(make_clip: MakeClip, rtsp_server: Serve, watch: Watch) -> None:
    server = rtsp_server({"/cam": make_clip()})
    viewers = [watch(server.url("/cam")) for _ in range(2)]

    assert server.drop() == 2
    assert all(len(viewer.see(1000)) < 50 for viewer in viewers)
    assert watch(server.url("/cam")).numbers(1) == [0]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_server_comes_back_on_its_port(make_clip: MakeClip, rtsp_server: Serve, watch: Watch, end: str) -> None:
    server = rtsp_server({"/cam": make_clip()})
    url = server.url("/cam")
    viewer = watch(url)

    getattr(server, end)()

    assert len(viewer.see(1000)) < 50
    with pytest.raises(ConnectionRefusedError):
        watch(url)
    server.start()
    assert server.url("/cam") == url
    assert watch(url).numbers(2) == [0, 1]


def test_a_frozen_server_says_nothing_and_goes_on_when_it_thaws(
    make_clip: MakeClip, rtsp_server: Serve, watch: Watch
) -> None:
    server = rtsp_server({"/cam": make_clip(fps=50)})
    patient, impatient = watch(server.url("/cam")), watch(server.url("/cam"), timeout="200000")

    server.pause()

    with pytest.raises(TimeoutError):
        impatient.see(1000)
    server.resume()
    assert patient.numbers(40) == list(range(40))


def test_a_clip_that_cannot_be_served_is_named(tmp_path: Path, make_clip: MakeClip) -> None:
    clip = Clip(tmp_path / "none.mp4", 320, 192, 25, 50, "h264")

    with pytest.raises(RuntimeError, match=r"none\.mp4: need an MP4 of h264"), RtspServer({"/cam": clip}):
        pass
    with RtspServer({"/cam": make_clip()}) as server, pytest.raises(RuntimeError, match=r"cannot switch .*none\.mp4"):
        server.switch("/cam", clip)


# Publishing


def publisher(clip: Clip, url: str) -> Program:
    words = ("-v", "error", "-re", "-i", clip.path, "-c", "copy", "-f", "rtsp", "-rtsp_transport", "tcp", url)
    return Program(imageio_ffmpeg.get_ffmpeg_exe(), *words)


def test_what_is_published_is_counted_and_can_be_watched_and_kept(
    tmp_path: Path, make_clip: MakeClip, rtsp_server: Serve, watch: Watch
) -> None:
    clip = make_clip(seconds=1.6, width=160, height=96)
    server = rtsp_server(inlets=["/in"], **ME)
    kept = server.save("/in", tmp_path / "kept.h264")
    assert server.published("/in").frames == 0

    with publisher(clip, server.url("/in", **ME)) as program:
        until(lambda: server.published("/in").open == 1, "nobody publishes")
        seen = watch(server.url("/in/view", **ME)).see(10)
        assert program.process.wait(10) == 0, program.errors()

    until(lambda: server.published("/in").open == 0, "the publisher has not gone")
    published = server.published("/in")
    assert published.frames in (clip.frames - 1, clip.frames)  # the last one may be given up as the session ends
    assert (published.keys, published.sessions) == (4, 1)
    assert "width=(int)160" in published.caps
    assert seen[0].number % 10 == 0
    assert [frame.number - seen[0].number for frame in seen] == list(range(10))
    with av.open(str(kept), format="h264") as container:
        numbers = [number_of(frame.to_ndarray(format="bgr24")) for frame in container.decode(video=0)]
    assert numbers == list(range(published.frames))


def test_a_publisher_that_is_killed_is_not_open_any_more(make_clip: MakeClip, rtsp_server: Serve) -> None:
    server = rtsp_server(inlets=["/in"])
    with publisher(make_clip(seconds=10), server.url("/in")) as program:
        until(lambda: server.published("/in").frames > 0, "nothing comes")
        program.kill()

    until(lambda: server.published("/in").open == 0, "the publisher is still there")


def test_a_publisher_without_the_password_is_refused(make_clip: MakeClip, rtsp_server: Serve) -> None:
    server = rtsp_server(inlets=["/in"], **ME)
    with publisher(make_clip(), server.url("/in")) as program:
        assert program.process.wait(10) != 0
        assert "401 Unauthorized" in program.errors()
    assert server.published("/in").sessions == 0
