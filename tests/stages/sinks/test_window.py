"""A window on a display, for real: what is in it is read off the screen."""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from display import VirtualDisplay
from fakes import skip_or_fail
from programs import until

from pipeline.errors import SinkError
from pipeline.types import Packet, SourceState, SourceStatus
from stages.sinks.window import Options, WindowSink

MakePacket = Callable[..., Packet]

PLAIN: dict[str, Any] = {"boxes": False, "skeletons": False, "labels": False, "info": False, "trail_seconds": 0}
GREY = 100
"""Of the frame with index 20."""


@pytest.fixture(scope="module")
def display() -> Iterator[VirtualDisplay]:
    with VirtualDisplay() as display:
        yield display


@pytest.fixture
def sink(display: VirtualDisplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WindowSink]:
    monkeypatch.setenv("DISPLAY", display.name)
    with WindowSink(Options(width=480, **PLAIN), tmp_path) as sink:
        yield sink


def status(source: str, state: SourceState) -> SourceStatus:
    return SourceStatus(source, state, datetime(2026, 1, 2, 12, 3, 10, tzinfo=UTC))


def share(display: VirtualDisplay, shade: int) -> float:
    """Say how much of the screen has this shade of grey."""
    return float((np.abs(display.screenshot().astype(int) - shade).max(axis=2) <= 2).mean())


def pixels(width: int, height: int) -> float:
    return width * height / (1024 * 768)


def test_a_frame_is_on_the_screen_as_large_as_it_is(
    sink: WindowSink, display: VirtualDisplay, packet: MakePacket
) -> None:
    sink.write(packet(20, size=(320, 240)))
    until(lambda: abs(share(display, GREY) - pixels(320, 240)) < 0.01, "no picture came")


def test_several_sources_stand_side_by_side(sink: WindowSink, display: VirtualDisplay, packet: MakePacket) -> None:
    for index, source in enumerate(("a", "b", "c")):
        sink.write(packet(20 + 10 * index, source, size=(320, 180)))
    time_of_last_refresh_is_past(sink)
    sink.write(packet(40, "c", size=(320, 180)))
    place = pixels(240, 135)
    for shade in (100, 150, 200):
        until(lambda: abs(share(display, shade) - place) < 0.01, f"no picture of shade {shade} came")  # noqa: B023 - at once


def time_of_last_refresh_is_past(sink: WindowSink) -> None:
    sink._shown_at = 0.0


def test_a_camera_that_is_away_is_dimmed_and_its_picture_comes_back(
    sink: WindowSink, display: VirtualDisplay, packet: MakePacket
) -> None:
    sink.write(packet(20, size=(320, 240)))
    for state in ("stalled", "reconnecting"):
        sink.source_changed(status("cam", state))
    until(lambda: share(display, GREY // 3) > 0.8 * pixels(320, 240), "the picture was not dimmed, or twice")
    time_of_last_refresh_is_past(sink)
    sink.write(packet(20, size=(320, 240)))
    until(lambda: share(display, GREY) > 0.9 * pixels(320, 240), "the picture did not come back")


def test_a_source_without_a_frame_has_its_place_and_says_why(sink: WindowSink, display: VirtualDisplay) -> None:
    sink.source_changed(status("door", "connecting"))
    until(lambda: display.screenshot().max() > 200, "no words came")


def test_where_there_is_no_display_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(SinkError, match=r"no display, DISPLAY is not set; use the sink `publish`.*or `video`"):
        WindowSink(Options(), tmp_path).open()


def test_a_display_that_is_not_there_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9876")
    sink = WindowSink(Options(), tmp_path)
    with pytest.raises(SinkError, match=r"on the display ':9876': .*no display can be opened"):
        sink.open()
    sink.close()


def test_a_display_that_dies_is_a_failure_of_the_sink_alone(
    tmp_path: Path, packet: MakePacket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with VirtualDisplay() as mortal:
        monkeypatch.setenv("DISPLAY", mortal.name)
        with WindowSink(Options(), tmp_path) as sink:
            sink.write(packet())
            mortal.kill()
            with pytest.raises(SinkError, match="the window is gone"):
                write_until_told(sink, packet)


def write_until_told(sink: WindowSink, packet: MakePacket) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        time_of_last_refresh_is_past(sink)
        sink.write(packet(size=(640, 480)))


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_key_closes_it_and_the_run_goes_on(
    sink: WindowSink, display: VirtualDisplay, packet: MakePacket, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.INFO, "stages")
    sink.write(packet(20, size=(320, 240)))
    until(lambda: share(display, GREY) > 0.9 * pixels(320, 240), "no picture came")
    press(display.name, key)

    def is_closed() -> bool:
        time_of_last_refresh_is_past(sink)
        sink.write(packet(20))
        return sink.pid is None

    until(is_closed, "it was not closed")
    sink.write(packet(21))
    sink.source_changed(status("cam", "stalled"))
    assert [record.message for record in caplog.records] == ["the window was closed; the run goes on without it"]


def test_a_viewer_that_hangs_is_told_of_and_can_be_closed(
    sink: WindowSink, packet: MakePacket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.viewing.window._STUCK_SECONDS", 0.2)
    assert sink.pid is not None
    os.kill(sink.pid, signal.SIGSTOP)
    with pytest.raises(SinkError, match="does not answer: it has taken nothing for 0"):
        write_until_told(sink, packet)
    started = time.monotonic()
    sink.close()
    assert time.monotonic() - started < 3


def test_no_process_is_left(display: VirtualDisplay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display.name)
    with WindowSink(Options(), tmp_path) as sink:
        pid = sink.pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def press(display: str, key: str) -> None:
    """Press a key as a keyboard would: by the XTEST extension, for the window under the pointer."""
    try:
        x11, xtest = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
    except OSError as error:
        skip_or_fail(f"{error}; .ci/test-packages installs what tests need")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    code = x11.XKeysymToKeycode(connection, ctypes.c_ulong({"q": 0x71, "Escape": 0xFF1B}[key]))
    xtest.XTestFakeMotionEvent(connection, 0, 100, 100, 0)
    for is_down in (1, 0):
        xtest.XTestFakeKeyEvent(connection, code, is_down, 0)
    x11.XFlush(connection)
    x11.XCloseDisplay(connection)
