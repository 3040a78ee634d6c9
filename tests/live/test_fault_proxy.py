"""Each fault of the proxy does what it says; the client is FFmpeg's, the server GStreamer's."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import av
import pytest
from clips import Clip
from fault_proxy import (
    Corrupt,
    Cut,
    Delay,
    Fault,
    FaultProxy,
    Lose,
    Pass,
    Refuse,
    Silent,
    Stall,
    Trickle,
)
from hypothesis import given
from hypothesis import strategies as st
from network_faults import Damage, Piece, Pieces
from programs import until
from rtsp_server import QUICK, RtspServer

Watch = Callable[..., Any]

IMPATIENT = {"timeout": "300000"}
"""Give up after 0.3 s."""


@pytest.fixture
def server(make_clip: Callable[..., Clip], rtsp_server: Callable[..., RtspServer]) -> RtspServer:
    return rtsp_server({"/cam": make_clip(fps=50, seconds=4)})


@pytest.fixture
def proxy(server: RtspServer, fault_proxy: Callable[..., FaultProxy]) -> FaultProxy:
    return fault_proxy(server.port)


@pytest.fixture
def url(server: RtspServer, proxy: FaultProxy) -> str:
    return proxy.through(server.url("/cam"))


def test_the_address_keeps_credentials_and_path() -> None:
    proxy = FaultProxy(554)
    proxy.port = 5

    assert proxy.through("rtsp://me:p%40s@cam.example:554/a?b=1") == "rtsp://me:p%40s@127.0.0.1:5/a?b=1"


def test_nothing_is_wrong_at_first_and_all_is_counted(proxy: FaultProxy, url: str, watch: Watch) -> None:
    assert watch(url).numbers(20) == list(range(20))
    assert (proxy.connections, proxy.open) == (1, 1)
    assert proxy.bytes_down > 20_000
    assert 200 < proxy.bytes_up < 2_000


def test_who_leaves_is_open_no_more(proxy: FaultProxy, server: RtspServer, url: str) -> None:
    with av.open(url, options=QUICK):
        proxy.wait_for_connections(1)

    proxy.wait_until(lambda proxy: proxy.open == 0)
    until(lambda: server.sessions == 0, "its goodbye has not come through")


def test_refused(proxy: FaultProxy, url: str, watch: Watch) -> None:
    present = watch(url)
    proxy.apply(Refuse())

    with pytest.raises(ConnectionRefusedError):
        watch(url)
    assert present.numbers(50) == list(range(50))
    proxy.apply(Pass())
    assert watch(url).numbers(2) == [0, 1]
    assert proxy.connections == 2


def test_silent(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.apply(Silent())

    with pytest.raises((TimeoutError, av.error.InvalidDataError)):
        watch(url, **IMPATIENT)
    assert (proxy.connections, proxy.bytes_down, proxy.bytes_up) == (1, 0, 0)
    proxy.wait_until(lambda proxy: proxy.open == 0)


def test_behind_silence_nobody_is_called_until_it_ends(fault_proxy: Callable[..., FaultProxy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = fault_proxy(listening.getsockname()[1])
        proxy.apply(Silent())
        with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
            client.sendall(b"hello")
            listening.settimeout(0.1)
            with pytest.raises(TimeoutError):
                listening.accept()
            proxy.apply(Pass())
            listening.settimeout(5)
            with listening.accept()[0] as server:
                assert server.recv(10) == b"hello"


def test_stalled_at_once_and_going_on_later(proxy: FaultProxy, url: str, watch: Watch) -> None:
    patient, impatient = watch(url), watch(url, **IMPATIENT)
    proxy.apply(Stall())
    down = proxy.bytes_down

    with pytest.raises(TimeoutError):
        impatient.see(1000)
    assert (proxy.open, proxy.bytes_down) == (2, down)
    proxy.apply(Pass())
    assert patient.numbers(60) == list(range(60))


def test_stalled_after_some_bytes(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.apply(Stall(20_000))

    with pytest.raises(TimeoutError):
        watch(url, **IMPATIENT).see(1000)
    assert proxy.bytes_down == 20_000


def test_a_client_that_gives_up_a_stalled_connection_is_noticed(proxy: FaultProxy, url: str, watch: Watch) -> None:
    with contextlib.suppress(TimeoutError):
        proxy.apply(Stall(20_000))
        viewer = watch(url, **IMPATIENT)
        viewer.see(1000)
    assert proxy.open == 1
    viewer.container.close()

    proxy.wait_until(lambda proxy: proxy.open == 0)


def test_trickling(proxy: FaultProxy, url: str, watch: Watch) -> None:
    viewer = watch(url, **IMPATIENT)
    proxy.apply(Trickle(100, 0.05))
    down, begin = proxy.bytes_down, time.monotonic()
    proxy.wait_until(lambda proxy: proxy.bytes_down >= down + 1000)

    assert 0.4 < time.monotonic() - begin < 2
    proxy.apply(Pass())
    assert viewer.numbers(30) == list(range(30))  # nothing is lost, and no client noticed: bytes came all the time


@pytest.mark.parametrize("reset", [False, True])
def test_cut_after_some_bytes(proxy: FaultProxy, url: str, watch: Watch, *, reset: bool) -> None:
    proxy.script(Cut(30_000, reset=reset), Pass())

    frames = watch(url).see(1000)
    assert 0 < len(frames) < 40
    assert proxy.bytes_down == 30_000
    assert watch(url).numbers(2) == [0, 1]


@pytest.mark.parametrize("reset", [False, True])
def test_cut_now(proxy: FaultProxy, server: RtspServer, *, reset: bool) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        client.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
        assert client.recv(1000).startswith(b"RTSP/1.0 200 OK")
        assert server.clients == 1
        assert proxy.cut(reset=reset) == 1

        with pytest.raises(ConnectionResetError) if reset else contextlib.nullcontext():
            assert client.recv(1000) == b""
    proxy.wait_until(lambda proxy: proxy.open == 0)


def test_corrupted_pictures_in_a_stream_that_goes_on(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.apply(Corrupt(0.2, seed=1))

    seen = watch(url).see(60)

    assert len(seen) == 60
    assert any(frame.is_corrupt for frame in seen)


def test_lost_packets_in_a_stream_that_goes_on(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.apply(Lose(0.2, seed=1))

    seen = watch(url).see(60)

    assert len(seen) == 60
    assert {frame.number for frame in seen} != set(range(60))


def test_corrupted_words(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.apply(Corrupt(1.0, raw=True))

    with pytest.raises((av.error.FFmpegError, OSError)):
        watch(url, **IMPATIENT)


def test_delayed(proxy: FaultProxy) -> None:
    proxy.apply(Delay(0.2))
    with socket.create_connection(("127.0.0.1", proxy.port), 5) as client:
        begin = time.monotonic()
        for number in range(3):
            client.sendall(f"OPTIONS * RTSP/1.0\r\nCSeq: {number}\r\n\r\n".encode())
        got = b""
        while got.count(b"200 OK") < 3:
            got += client.recv(1000)

    assert 0.2 <= time.monotonic() - begin < 0.5  # later, but no slower


def test_each_connection_meets_its_own_fault(proxy: FaultProxy, url: str, watch: Watch) -> None:
    proxy.script(Cut(), Silent(), Pass())

    with pytest.raises((av.error.FFmpegError, OSError)):
        watch(url, **IMPATIENT)
    with pytest.raises((av.error.FFmpegError, TimeoutError)):
        watch(url, **IMPATIENT)
    assert [watch(url).numbers(1) for _ in range(2)] == [[0], [0]]


def test_without_a_server_behind_the_connection_ends(fault_proxy: Callable[..., FaultProxy]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with socket.create_connection(("127.0.0.1", fault_proxy(port).port), 5) as client:
        assert client.recv(10) == b""


def test_waiting_in_vain_says_what_there_is(proxy: FaultProxy) -> None:
    with pytest.raises(TimeoutError, match=r"not within 0\.05 s: 0 connections, 0 of them open, 0 bytes down"):
        proxy.wait_for_connections(1, 0.05)


@pytest.mark.parametrize("fault", [Pass(), Silent(), Stall(), Trickle(1, 60), Delay(60), Lose(1.0)])
def test_a_proxy_ends_whatever_goes_on(url: str, proxy: FaultProxy, fault: Fault, watch: Watch) -> None:
    viewer = watch(url)
    proxy.apply(fault)
    down, begin = proxy.bytes_down, time.monotonic()

    proxy.stop()

    assert time.monotonic() - begin < 2
    assert proxy.open == 0
    assert proxy.bytes_down >= down
    viewer.see(1000)
    proxy.stop()


# What becomes of the bytes


def frames(*parts: tuple[int, bytes]) -> Iterator[bytes]:
    for channel, payload in parts:
        yield b"$" + bytes([channel]) + len(payload).to_bytes(2, "big") + payload


RTP = bytes(14) + b"picture"
SESSION = [
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\n$0\r\n",
    *frames((0, RTP), (1, b"report"), (2, RTP), (0, b"")),
    b"RTSP/1.0 200 OK\r\n\r\n",
]


@given(st.lists(st.integers(1, 60), max_size=10))
def test_a_session_is_taken_apart_however_it_arrives(sizes: list[int]) -> None:
    data, pieces = b"".join(SESSION), Pieces()
    got: list[Piece] = []
    for size in [*sizes, len(data)]:
        got += pieces.feed(data[:size])
        data = data[size:]

    assert [piece.data for piece in got] == SESSION
    assert [piece.is_rtp for piece in got] == [False, True, False, True, True, False]


@given(st.lists(st.binary(min_size=1), min_size=1).filter(lambda parts: parts[0][:1] not in (b"R", b"$")))
def test_what_is_not_rtsp_passes_at_once(parts: list[bytes]) -> None:
    pieces = Pieces()

    assert [[piece.data for piece in pieces.feed(part)] for part in parts] == [[part] for part in parts]


@given(st.integers(0, 1000))
def test_damage_leaves_words_reports_and_headers_whole_and_is_repeatable(seed: int) -> None:
    def damaged(fault: Fault) -> list[bytes]:
        return list(map(Damage(fault), Pieces().feed(b"".join(SESSION))))

    changed = damaged(Corrupt(1.0, seed))
    assert [now == then for now, then in zip(changed, SESSION, strict=True)] == [True, False, True, False, True, True]
    assert changed[1][:18] == SESSION[1][:18]
    assert len(changed[1]) == len(SESSION[1])
    assert damaged(Lose(1.0, seed)) == [SESSION[0], b"", SESSION[2], b"", b"", SESSION[5]]
    assert damaged(Corrupt(0.5, seed)) == damaged(Corrupt(0.5, seed))
    assert damaged(Corrupt(0.0, seed)) == SESSION
