"""There is no camera on a machine of tests: FFmpeg's own test picture is read in its place, by the same loop."""

import errno
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import av
import pytest
from pydantic import ValidationError

from pipeline.errors import SourceError
from stages.sources import camera as module
from stages.sources.camera import CameraSource, Options


class TestPicture(CameraSource):
    """A camera that is made up by FFmpeg."""

    __test__ = False
    container_format: ClassVar[str] = "lavfi"


def picture(graph: str, **options: object) -> TestPicture:
    return TestPicture(Options.model_validate({"path": graph, "stall_timeout_seconds": 1, **options}), "usb")


def test_frames_come_in_order_with_their_times() -> None:
    with picture("testsrc=size=64x48:rate=20,realtime") as camera:
        started = time.monotonic()
        frames = [camera.read() for _ in range(10)]
        assert time.monotonic() - started > 0.3
    assert [frame.index for frame in frames] == list(range(10))
    assert [b.pts_seconds - a.pts_seconds for a, b in pairwise(frames)] == pytest.approx([0.05] * 9)
    assert frames[0].image.shape == (48, 64, 3)
    assert frames[0].stream.live
    assert not any(frame.is_corrupt for frame in frames)
    assert {frame.captured_by for frame in frames} == {"arrival"}
    assert camera.decoder == "wrapped_avframe, software"


def test_a_camera_that_ends_is_an_error_and_leaves_no_thread_behind() -> None:
    with picture("testsrc=size=64x48:rate=25:duration=0.2") as camera:
        for _ in range(5):
            camera.read()
        with pytest.raises(SourceError, match=r"closed the stream after 0\.160 s of it; was it unplugged\?"):
            camera.read()
    assert not [thread for thread in threading.enumerate() if thread.name == "watches usb"]


def test_a_camera_without_a_picture_in_time_is_stalled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_waiting_for", lambda _path: lambda _seconds: False)
    with (
        picture("testsrc=size=64x48:rate=25") as camera,
        pytest.raises(SourceError, match="stalled: no picture for 1 s"),
    ):
        camera.read()


def test_waiting_for_a_device_ends_when_something_comes_or_time_is_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "path")
    descriptor = os.open(tmp_path / "path", os.O_RDWR | os.O_NONBLOCK)
    try:
        is_ready = module._waiting_for(str(tmp_path / "path"))
        assert not is_ready(0.02)
        os.write(descriptor, b"picture")
        assert is_ready(5)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("97", r"'/dev/video97': there is no such device; those there are: "),
        ("/dev/null", r"'/dev/null': it is no camera; expected one such as /dev/video0"),
        ("/dev", r"'/dev': it is a folder"),
    ],
)
def test_what_is_no_camera_is_said_to_be_none(path: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        CameraSource(Options(path=path), "usb").open()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EBUSY, "another program uses it"),
        (errno.EACCES, "group 'video'"),
        (errno.EINVAL, "refuses this size"),
        (errno.ENODEV, "not plugged in"),
        (errno.EIO, "check the camera and its cable"),
    ],
)
def test_each_way_to_fail_has_its_words(number: int, says: str) -> None:
    assert says in module._why(av.FFmpegError(number, "Some error"))


def test_the_camera_is_asked_for_what_the_options_say() -> None:
    options = Options(size="1280x720", frames_per_second=15, pixel_format="yuyv")
    asked = CameraSource(options, "usb")._requests()
    assert asked == {"video_size": "1280x720", "framerate": "15.0", "input_format": "yuyv422"}
    assert CameraSource(Options(), "usb")._requests() == {}


@pytest.mark.parametrize(("path", "name"), [(0, "video0"), ("2", "video2"), ("/dev/v4l/by-id/usb-Logi", "usb-Logi")])
def test_a_source_is_named_after_the_device(path: object, name: str) -> None:
    (camera,) = CameraSource.expand(Options.model_validate({"path": path}), None)
    assert camera.source_id == name
    assert (camera.host, camera.live, camera.stall_timeout_seconds) == ("", True, 5)


@pytest.mark.parametrize("options", [{"size": "big"}, {"size": "0x48"}, {"pixel_format": "rgb"}, {"path": ""}])
def test_options_that_mean_nothing_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate(options)
