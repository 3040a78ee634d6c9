"""Real servers, real faults: each must be found in time, and said in words."""

import functools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import cv2
import pytest
from clips import Clip, number_of, picture, write_clip
from fault_proxy import Corrupt, Fault, FaultProxy, Lose, Pass, Silent, Stall, Trickle
from programs import until
from pydantic import ValidationError
from rtsp_server import RtspServer

from pipeline.errors import AuthenticationFailed, SourceError
from pipeline.types import Frame
from stages.sources.rtsp import Options, RtspSource

Server = Callable[..., RtspServer]
Proxy = Callable[[int], FaultProxy]
Film = Callable[..., Clip]

STALL_SECONDS = 0.5
GRACE_SECONDS = 0.5
"""So much later than promised a loaded machine may be."""
PASSWORD = "p@ss/w:rd#1"  # noqa: S105 - of a server that lives as long as a test


def source(url: str, **options: object) -> RtspSource:
    return RtspSource(Options.model_validate({"url": url, "stall_timeout_seconds": STALL_SECONDS, **options}), "cam")


def take(camera: RtspSource, count: int) -> list[Frame]:
    return [camera.read() for _ in range(count)]


def numbers(frames: list[Frame]) -> list[int | None]:
    return [number_of(frame.image) for frame in frames]


def read_to_the_end(camera: RtspSource) -> SourceError:
    """Read until it fails; the last wait must be as short as promised."""
    while True:
        since = time.monotonic()
        try:
            camera.read()
        except SourceError as error:
            assert time.monotonic() - since < STALL_SECONDS + GRACE_SECONDS
            return error


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Make a clip with the arguments of `clips.write_clip`, once."""
    folder = tmp_path_factory.mktemp("films")

    @functools.cache
    def make(**arguments: Any) -> Clip:
        return write_clip(folder / f"{make.cache_info().misses}.mp4", **arguments)

    return make


@pytest.fixture
def server(rtsp_server: Server, film: Film) -> RtspServer:
    return rtsp_server({"/cam": film()})


# What comes


@pytest.mark.parametrize("codec", ["h264", "hevc", "mjpeg"])
def test_frames_come_in_order_with_their_times(rtsp_server: Server, film: Film, codec: str) -> None:
    clip = film(codec=codec)
    started = time.monotonic()
    with source(rtsp_server({"/cam": clip}).url("/cam")) as camera:
        frames = take(camera, 30)
    assert [frame.index for frame in frames] == list(range(30))
    found = numbers(frames)
    assert None not in found
    assert [((b or 0) - (a or 0)) % clip.frames for a, b in pairwise(found)] == [1] * 29
    assert [b.pts_seconds - a.pts_seconds for a, b in pairwise(frames)] == pytest.approx([0.04] * 29, abs=0.002)
    assert not any(frame.is_corrupt for frame in frames)
    assert all(started < frame.arrived_monotonic <= time.monotonic() for frame in frames)
    assert (frames[0].width, frames[0].height) == (clip.width, clip.height)
    assert frames[0].stream.live
    assert frames[0].stream.source_id == "cam"
    assert camera.decoder == f"{codec}, software"


@pytest.mark.parametrize("transport", ["udp", "auto"])
def test_over_udp_too(server: RtspServer, transport: str) -> None:
    with source(server.url("/cam"), transport=transport) as camera:
        assert None not in numbers(take(camera, 15))


def test_auto_takes_tcp_where_there_is_no_udp(rtsp_server: Server, film: Film) -> None:
    with source(rtsp_server({"/cam": film()}, transports=["tcp"]).url("/cam"), transport="auto") as camera:
        assert None not in numbers(take(camera, 5))


def test_frames_outlive_their_source_and_carry_the_name_it_had_when_it_opened(server: RtspServer) -> None:
    camera = source(server.url("/cam"))
    camera.source_id = "renamed"
    with camera:
        frames = take(camera, 5)
    assert {frame.source_id for frame in frames} == {"renamed"}
    assert all(frame.stream is frames[0].stream for frame in frames)
    assert all(frame.image.shape == (192, 320, 3) and not frame.image.flags.writeable for frame in frames)


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_who_comes_between_key_frames_gets_flagged_frames_at_once_and_good_ones_from_the_next_key_frame(
    rtsp_server: Server, film: Film, fault_proxy: Proxy, codec: str
) -> None:
    """With ten seconds between key frames a camera would seem stalled for as long, otherwise."""
    server = rtsp_server({"/cam": film(codec=codec, gop=50)})
    proxy = fault_proxy(server.port)
    proxy.apply(Lose(1.0))

    def let_through() -> None:
        until(lambda: server.sent("/cam") >= 8, "nothing was sent")
        proxy.apply(Pass())

    later = threading.Thread(target=let_through)
    later.start()
    with source(proxy.through(server.url("/cam")), stall_timeout_seconds=1) as camera:
        frames = take(camera, 55)
    later.join()
    flags = [frame.is_corrupt for frame in frames]
    key = flags.index(False)
    assert 25 < key < 49
    assert not any(flags[key:])
    assert number_of(frames[key].image) == 0


def test_the_picture_may_change_its_size(rtsp_server: Server, film: Film) -> None:
    small, large = film(), film(width=640, height=384, first=1000)
    server = rtsp_server({"/cam": small})
    with source(server.url("/cam")) as camera:
        take(camera, 5)
        server.switch("/cam", large)
        frames = take(camera, 40)
    sizes = [(frame.width, frame.height) for frame in frames]
    assert set(sizes) == {(320, 192), (640, 384)}
    assert all(frame.image.shape == (frame.height, frame.width, 3) for frame in frames)
    assert numbers(frames)[-1] in large.numbers
    assert not frames[-1].is_corrupt


@pytest.mark.slow
def test_after_a_sender_report_frames_carry_the_cameras_time(server: RtspServer) -> None:
    with source(server.url("/cam")) as camera:
        frames = [camera.read()]
        assert frames[0].captured_by == "arrival"
        while frames[-1].captured_by == "arrival" and frames[-1].pts_seconds < 15:
            frames.append(camera.read())
        last = frames[-1]
    assert last.captured_by == "sender"
    assert abs(datetime.now(UTC) - last.captured_at) < timedelta(seconds=2)


def test_fewer_frames_a_second_are_taken_evenly_and_all_are_counted(server: RtspServer) -> None:
    with source(server.url("/cam"), frames_per_second=5) as camera:
        frames = take(camera, 5)
    assert [b.index - a.index for a, b in pairwise(frames)][1:] == [5, 5, 5]


def test_closing_says_goodbye_to_the_camera(server: RtspServer) -> None:
    with source(server.url("/cam")) as camera:
        camera.read()
        assert server.sessions == 1
    until(lambda: server.sessions == 0, "the session was not torn down")


def test_another_one_of_the_same_can_be_opened_after_it(server: RtspServer) -> None:
    with source(server.url("/cam")) as camera:
        camera.read()
    with camera.fresh() as again:
        assert again.read().index == 0


# What can go wrong: at the beginning


@pytest.mark.parametrize("auth", ["basic", "digest"])
def test_the_right_credentials_open_and_wrong_ones_are_said_to_be_wrong(
    rtsp_server: Server, film: Film, auth: str, tmp_path: Path
) -> None:
    server = rtsp_server({"/cam": film()}, user="me", password=PASSWORD, auth=auth)
    (tmp_path / "password").write_text(PASSWORD)
    for right in (
        source(server.url("/cam", user="me", password=PASSWORD)),
        source(server.url("/cam"), user="me", password=PASSWORD),
        source(server.url("/cam"), user="me", password_file=tmp_path / "password"),
    ):
        with right:
            right.read()
    with pytest.raises(AuthenticationFailed, match=r"refuses the credentials.*given are wrong") as caught:
        source(server.url("/cam", user="me", password=PASSWORD[:-1])).open()
    assert quote(PASSWORD[:-1], safe="") not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    with pytest.raises(AuthenticationFailed, match="none were given"):
        source(server.url("/cam")).open()


def test_a_wrong_path_is_said_to_be_one(server: RtspServer) -> None:
    with pytest.raises(SourceError, match=r"no such stream \(404 Not Found\); check the path"):
        source(server.url("/kitchen")).open()


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https", "tcp", "tls"])
def test_where_nobody_listens_it_is_said_at_once(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    started = time.monotonic()
    with pytest.raises(SourceError, match=rf"127\.0\.0\.1:{port}/x': nobody listens at|cannot open"):
        source(f"{scheme}://127.0.0.1:{port}/x").open()
    assert time.monotonic() - started < STALL_SECONDS + GRACE_SECONDS


def test_a_host_that_does_not_exist_is_said_to_be_none() -> None:
    with pytest.raises(SourceError, match=r"there is no host 'no\.such\.host\.invalid'"):
        source("rtsp://no.such.host.invalid/x").open()


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps", "rtmp", "http", "https", "tcp", "tls", "udp", "rtp"])
def test_who_accepts_and_is_silent_is_found_in_time_whatever_he_speaks(scheme: str) -> None:
    kind = socket.SOCK_DGRAM if scheme in {"udp", "rtp"} else socket.SOCK_STREAM
    with socket.socket(type=kind) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        if kind is socket.SOCK_STREAM:
            silent.listen()
        else:
            silent.close()
        started = time.monotonic()
        with pytest.raises(SourceError, match=f"no proper answer within {STALL_SECONDS:g} s"):
            source(f"{scheme}://127.0.0.1:{port}/x").open()
    assert time.monotonic() - started < STALL_SECONDS + GRACE_SECONDS


@pytest.mark.parametrize("fault", [Silent(), Stall(700), Trickle(20, 0.05)], ids=repr)
def test_who_falls_silent_or_trickles_while_opening_is_found_in_time(
    server: RtspServer, fault_proxy: Proxy, fault: Fault
) -> None:
    proxy = fault_proxy(server.port)
    proxy.apply(fault)
    started = time.monotonic()
    with (
        pytest.raises(SourceError, match=r"no proper answer within|stalled"),
        source(proxy.through(server.url("/cam"))) as camera,
    ):
        camera.read()
    assert time.monotonic() - started < 2 * STALL_SECONDS + GRACE_SECONDS


def test_a_server_that_speaks_something_else_is_said_to_be_one() -> None:
    with (
        http_server(Mjpeg) as port,
        pytest.raises(SourceError, match=r"hung up, or does not answer with video|cannot open"),
    ):
        source(f"rtsp://127.0.0.1:{port}/x").open()


# What can go wrong: later


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_that_sends_no_pictures_any_more_is_stalled_although_the_connection_lives(
    server: RtspServer, transport: str
) -> None:
    with source(server.url("/cam"), transport=transport) as camera:
        take(camera, 5)
        server.starve("/cam")
        assert "stalled: no picture for 0.5 s" in str(read_to_the_end(camera))
    until(lambda: server.sessions == 0, "the session was not torn down")


def test_cameras_of_one_host_that_are_opened_at_once_are_told_apart_when_they_stall(server: RtspServer) -> None:
    """A recorder with many channels, after it has restarted."""
    cameras = [source(server.url("/cam")) for _ in range(4)]

    def open_and_read(camera: RtspSource) -> None:
        camera.open()
        camera.read()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(open_and_read, cameras))
        server.starve("/cam")
        errors = list(threads.map(read_to_the_end, cameras))
        list(threads.map(RtspSource.close, cameras))
    assert all("stalled" in str(error) for error in errors)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_server_that_freezes_is_found_in_time(server: RtspServer, transport: str) -> None:
    with source(server.url("/cam"), transport=transport) as camera:
        take(camera, 5)
        server.pause()
        assert "'rtsp://127.0.0.1" in str(read_to_the_end(camera))


def test_a_server_that_dies_has_closed_the_stream(server: RtspServer) -> None:
    with source(server.url("/cam")) as camera:
        take(camera, 5)
        server.kill()
        assert "the camera closed the stream after 0." in str(read_to_the_end(camera))


def test_a_server_that_hangs_up_has_closed_the_stream(server: RtspServer) -> None:
    with source(server.url("/cam")) as camera:
        take(camera, 5)
        server.drop()
        assert "the camera closed the stream after 0." in str(read_to_the_end(camera))


def test_a_connection_that_is_reset_is_lost_or_closed(server: RtspServer, fault_proxy: Proxy) -> None:
    proxy = fault_proxy(server.port)
    with source(proxy.through(server.url("/cam"))) as camera:
        take(camera, 5)
        proxy.cut(reset=True)
        assert "after 0." in str(read_to_the_end(camera))


@pytest.mark.parametrize("fault", [Stall(), Trickle(30, 0.05)], ids=repr)
def test_a_stream_that_stalls_or_trickles_is_found_in_time(
    server: RtspServer, fault_proxy: Proxy, fault: Fault
) -> None:
    proxy = fault_proxy(server.port)
    with source(proxy.through(server.url("/cam"))) as camera:
        take(camera, 5)
        proxy.apply(fault)
        assert "stalled: no picture for 0.5 s" in str(read_to_the_end(camera))


@pytest.mark.parametrize("fault", [Lose(0.04), Corrupt(0.04)], ids=repr)
def test_damaged_frames_are_flagged_until_the_next_key_frame(
    rtsp_server: Server, film: Film, fault_proxy: Proxy, fault: Fault
) -> None:
    server = rtsp_server({"/cam": film(gop=5, seconds=2)})
    proxy = fault_proxy(server.port)
    with source(proxy.through(server.url("/cam")), stall_timeout_seconds=2) as camera:
        take(camera, 5)
        proxy.apply(fault)
        frames = take(camera, 60)
        while not any(frame.is_corrupt for frame in frames) and len(frames) < 500:
            frames += take(camera, 20)  # a lost packet that was a whole picture leaves no trace
        proxy.apply(Pass())
        take(camera, 15)
        assert not any(frame.is_corrupt for frame in take(camera, 5))
    flagged = [frame for frame in frames if frame.is_corrupt]
    good = [frame for frame in frames if not frame.is_corrupt]
    assert flagged
    assert good
    differences = [
        abs(frame.image.astype(int) - picture(number, frame.width, frame.height)).mean()
        for frame in good
        if (number := number_of(frame.image)) is not None
    ]
    assert len(differences) >= 0.9 * len(good)  # the decoder does not notice every loss
    assert max(differences) < 12


def test_reading_in_vain_leaves_no_thread_behind(server: RtspServer, fault_proxy: Proxy) -> None:
    proxy = fault_proxy(server.port)
    with source(proxy.through(server.url("/cam"))) as camera:
        camera.read()
        proxy.apply(Stall())
        read_to_the_end(camera)
    assert not [thread for thread in threading.enumerate() if thread.name == "watches cam"]


# Other protocols


class Mjpeg(BaseHTTPRequestHandler):
    """A camera of the web: one JPEG after the other, ten a second, without times."""

    def do_GET(self) -> None:
        if self.path == "/locked":
            self.send_error(401)
            return
        if self.path != "/mjpeg":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(12):
            _, data = cv2.imencode(".jpg", picture(number), [cv2.IMWRITE_JPEG_QUALITY, 95])
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data.tobytes() + b"\r\n")
            self.server.stop.wait(0.1)  # type: ignore[attr-defined]

    def log_message(self, *_: object) -> None:
        pass


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def http_server(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.stop = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.stop.set()  # type: ignore[attr-defined]
            server.shutdown()
            thread.join()


def test_pictures_over_http_have_the_time_of_their_arrival_and_end_with_an_error() -> None:
    with http_server(Mjpeg) as port, source(f"http://127.0.0.1:{port}/mjpeg", stall_timeout_seconds=2) as camera:
        frames = take(camera, 10)
        assert numbers(frames) == list(range(10))
        assert not any(frame.is_corrupt for frame in frames)
        assert frames[-1].pts_seconds - frames[4].pts_seconds == pytest.approx(0.5, abs=0.2)
        with pytest.raises(SourceError, match=r"was lost after 1\.|closed the stream after 1\."):
            take(camera, 5)


def test_http_refuses_credentials_and_misses_paths_in_the_same_words() -> None:
    with http_server(Mjpeg) as port:
        with pytest.raises(AuthenticationFailed, match="refuses the credentials"):
            source(f"http://127.0.0.1:{port}/locked").open()
        with pytest.raises(SourceError, match="404 Not Found"):
            source(f"http://127.0.0.1:{port}/nothing").open()


def test_hls_comes_at_the_pace_of_its_time(film: Film, tmp_path: Path) -> None:
    write_stream(film(), str(tmp_path / "live.m3u8"), "hls", {"hls_time": "1", "hls_list_size": "0"})
    with (
        http_server(functools.partial(Files, directory=tmp_path)) as port,
        source(f"http://127.0.0.1:{port}/live.m3u8", stall_timeout_seconds=4) as camera,
    ):
        first = camera.read()
        started = time.monotonic()
        frames = take(camera, 20)
        passed = time.monotonic() - started
    assert numbers([first, *frames]) == list(range(21))
    assert passed == pytest.approx(frames[-1].pts_seconds - first.pts_seconds, abs=0.2)


def test_mpeg_ts_over_udp(film: Film) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stop = threading.Event()
    address = f"udp://127.0.0.1:{port}?pkt_size=1316"
    sender = threading.Thread(target=write_stream, args=(film(), address, "mpegts", {}, stop))
    sender.start()
    try:
        with source(f"udp://127.0.0.1:{port}", stall_timeout_seconds=2) as camera:
            frames = take(camera, 30)
            good = numbers([frame for frame in frames if not frame.is_corrupt])
            assert len(good) > 15
            assert None not in good
            stop.set()
            sender.join()
            since = time.monotonic()
            with pytest.raises(SourceError, match=r"stalled|silent|lost|closed"):
                take(camera, 1000)
            assert time.monotonic() - since < 2 + 2 * GRACE_SECONDS
    finally:
        stop.set()
        sender.join()


def write_stream(
    clip: Clip, target: str, container: str, options: dict[str, str], stop: threading.Event | None = None
) -> None:
    """Write a clip once, as fast as it goes; with `stop`, over and over in real time until then."""
    with av.open(target, "w", format=container, options=options) as out:
        begin, stream = 0, None
        while begin == 0 or (stop is not None and not stop.is_set()):
            with av.open(str(clip.path)) as played:
                video = played.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                for packet in played.demux(video):
                    if packet.dts is None or (stop is not None and stop.wait(1 / clip.fps)):
                        continue
                    step = packet.duration or 0
                    packet.pts = (packet.pts or 0) + begin
                    packet.dts += begin
                    last = packet.dts + step
                    packet.stream = stream
                    out.mux(packet)
            begin = last


# Options


def test_what_opens_nothing_knows_the_host_and_its_name() -> None:
    (camera,) = RtspSource.expand(Options(url="rtsp://me:hunter22@Cam1.local/stream1"), None)
    assert (camera.host, camera.source_id, camera.live) == ("cam1.local", "Cam1.local-stream1", True)
    assert camera.stall_timeout_seconds == 5
    (named,) = RtspSource.expand(Options(url="rtsp://cam/1"), "door")
    assert named.source_id == "door"


def test_no_password_is_in_the_representation_of_options() -> None:
    assert "hunter22" not in repr(Options(url="rtsp://me:hunter22@cam/1"))
    assert PASSWORD not in repr(Options(url="rtsp://cam/1", user="me", password=PASSWORD))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "cam1"}, "expected the URL of a camera"),
        ({"url": "rtsp://cam", "password": "hunter22"}, "needs a user"),
        ({"url": "rtsp://me@cam", "user": "me"}, "not in both places"),
        ({"url": "rtsp://cam", "user": "me", "password": "a", "password_file": "b"}, "not both"),
        ({"url": "rtsp://cam", "frames_per_second": 0.1}, "at least 2 / stall_timeout_seconds = 0.4"),
        ({"url": "rtsp://cam", "stall_timeout_seconds": 0}, "greater than 0"),
    ],
)
def test_options_that_contradict_are_refused_without_telling_the_password(
    options: dict[str, object], says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as caught:
        Options.model_validate(options)
    assert "hunter22" not in str(caught.value)


def test_closing_what_was_never_open_is_fine() -> None:
    camera = source("rtsp://cam/1")
    camera.close()
    camera.close()
