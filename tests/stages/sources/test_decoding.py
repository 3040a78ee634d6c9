"""Pixels of a decoded picture: colour, range, rotation, laziness."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stages.media.decoding import DecodedPixels, Orientation, Orientations

MakeClip = Callable[..., Path]


def first_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def pixels_of(frame: av.VideoFrame) -> DecodedPixels:
    return DecodedPixels(frame, Orientations().of(frame))


def as_opencv_reads(path: Path) -> NDArray[np.uint8]:
    capture = cv2.VideoCapture(str(path))
    read, image = capture.read()
    capture.release()
    assert read
    return np.asarray(image, np.uint8)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        pytest.param("clip.mp4", "libx264", "yuv420p", id="yuv420p"),
        pytest.param("clip.mp4", "libx264", "yuvj420p", id="full range"),
        pytest.param("clip.avi", "mjpeg", "yuvj420p", id="motion JPEG"),
        pytest.param("clip.mp4", "libx264", "yuv422p", id="yuv422p"),
        pytest.param("clip.mp4", "libx264", "yuv444p", id="yuv444p"),
        pytest.param("clip.mp4", "libx264", "yuv420p10le", id="10 bit"),
        pytest.param("clip.mp4", "libx264rgb", "rgb24", id="RGB"),
        pytest.param("clip.mkv", "ffv1", "gray", id="grey"),
        pytest.param("clip.mkv", "ffv1", "gray16le", id="16-bit grey"),
        pytest.param("clip.mkv", "ffv1", "yuva420p", id="alpha"),
        pytest.param("clip.mkv", "ffv1", "bgra", id="RGB with alpha"),
    ],
)
def test_every_pixel_format_gives_what_opencv_reads(make_clip: MakeClip, name: str, codec: str, pix_fmt: str) -> None:
    clip = make_clip(name, 2, codec=codec, pix_fmt=pix_fmt)
    image = pixels_of(first_frame(clip)).bgr()
    np.testing.assert_array_equal(image, as_opencv_reads(clip))


@pytest.mark.parametrize(
    ("pix_fmt", "luma", "level"),
    [
        pytest.param("yuv420p", 16, 0, id="black, limited range"),
        pytest.param("yuv420p", 235, 255, id="white, limited range"),
        pytest.param("yuvj420p", 0, 0, id="black, full range"),
        pytest.param("yuvj420p", 16, 16, id="dark grey, full range"),
        pytest.param("yuvj420p", 255, 255, id="white, full range"),
    ],
)
def test_the_range_of_the_brightness_is_respected(pix_fmt: str, luma: int, level: int) -> None:
    frame = av.VideoFrame(16, 16, pix_fmt)
    for plane, value in zip(frame.planes, (luma, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    np.testing.assert_allclose(pixels_of(frame).bgr().astype(int), level, atol=1)


@pytest.mark.parametrize(
    ("width", "height"),
    [
        pytest.param(1, 1, id="one pixel"),
        pytest.param(3, 5000, id="narrow"),
        pytest.param(5000, 3, id="flat"),
        pytest.param(7, 5, id="odd"),
        pytest.param(7680, 4320, id="8K"),
    ],
)
def test_any_size_gives_a_contiguous_picture(width: int, height: int) -> None:
    pixels = pixels_of(av.VideoFrame(width, height, "yuv444p"))
    assert (pixels.width, pixels.height) == (width, height)
    assert pixels.bgr().shape == (height, width, 3)
    assert pixels.bgr().flags.c_contiguous


@pytest.mark.parametrize("degrees", [0, 90, 180, 270, -90])
@pytest.mark.parametrize("mirrored", [False, True], ids=["as is", "mirrored"])
def test_the_display_matrix_is_applied_once(make_clip: MakeClip, degrees: int, mirrored: bool) -> None:  # noqa: FBT001 - a table row
    clip = make_clip("turned.mp4", 1, size=(64, 48), rotation={"degrees": degrees, "hflip": mirrored})
    frame = first_frame(clip)
    stored = frame.to_ndarray(format="bgr24", interpolation="BICUBIC")
    pixels = pixels_of(frame)
    # FFmpeg's angle is counter-clockwise, as is that of rot90; the mirror is applied to the turned picture.
    shown = np.rot90(stored, degrees // 90)
    np.testing.assert_array_equal(pixels.bgr(), shown[:, ::-1] if mirrored else shown)
    assert (pixels.height, pixels.width) == shown.shape[:2]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_clip_is_what_opencv_shows(make_clip: MakeClip, degrees: int) -> None:
    clip = make_clip("turned.mp4", 1, rotation={"degrees": degrees})
    np.testing.assert_array_equal(pixels_of(first_frame(clip)).bgr(), as_opencv_reads(clip))


def test_an_odd_angle_is_taken_as_the_nearest_quarter_turn() -> None:
    a_little_over = np.array([5_000, -65_000, 0, 65_000, 5_000, 0, 0, 0, 1 << 30], np.int32)
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(Orientation(a_little_over).apply(image), np.rot90(image))


def test_the_picture_is_converted_once_and_cannot_be_written_to(make_clip: MakeClip) -> None:
    pixels = pixels_of(first_frame(make_clip("clip.mp4", 1)))
    with ThreadPoolExecutor(8) as threads:
        images = list(threads.map(lambda _: pixels.bgr(), range(32)))
    assert all(image is images[0] for image in images)
    with pytest.raises(ValueError, match="read-only"):
        images[0][0, 0, 0] = 1
