"""The picture source: natural order, orientation, and no loss in silence."""

import logging
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import SourceError
from pipeline.types import Frame
from stages.sources.base import FrameSource
from stages.sources.images import ImagesSource, Options

ReadAll = Callable[[FrameSource], tuple[list[Frame], SourceError | None]]


def images_source(path: Path, frames_per_second: float = 1.0) -> ImagesSource:
    return ImagesSource(Options(path=str(path), frames_per_second=frames_per_second), "shots")


def shot(path: Path, level: int = 100, size: tuple[int, int] = (32, 24)) -> Path:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), level, np.uint8))
    return path


def test_pictures_of_a_folder_come_in_natural_order_at_the_given_rate(tmp_path: Path, read_all: ReadAll) -> None:
    for number in (10, 2, 1):
        shot(tmp_path / f"img{number}.png", level=number, size=(32, 24 + number))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "more.png").mkdir()
    frames, error = read_all(images_source(tmp_path, frames_per_second=4))
    assert error is None
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 10]
    assert [(frame.index, frame.pts_seconds) for frame in frames] == [(0, 0.0), (1, 0.25), (2, 0.5)]
    assert [(frame.width, frame.height) for frame in frames] == [(32, 25), (32, 26), (32, 34)]
    assert frames[0].stream.expected_frames == 3
    assert not frames[0].stream.live


def test_a_pattern_takes_the_pictures_it_matches(tmp_path: Path, read_all: ReadAll) -> None:
    for name in ("a1.png", "a2.jpg", "b1.png", "a3.txt"):
        shot(tmp_path / "tmp.png").rename(tmp_path / name)
    frames, error = read_all(images_source(tmp_path / "a*"))
    assert error is None
    assert len(frames) == 2


def test_one_picture_of_any_name(tmp_path: Path, read_all: ReadAll) -> None:
    frames, error = read_all(images_source(shot(tmp_path / "x.png").rename(tmp_path / "picture")))
    assert error is None
    assert len(frames) == 1
    assert not frames[0].image.flags.writeable


COLOUR = np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        pytest.param(COLOUR, COLOUR, id="colour"),
        pytest.param(GREY, np.dstack([GREY] * 3), id="grey"),
        pytest.param(np.dstack([COLOUR, GREY]), COLOUR, id="alpha"),
        pytest.param(COLOUR.astype(np.uint16) * 257, COLOUR, id="16 bit"),
        pytest.param(GREY.astype(np.uint16) * 257, np.dstack([GREY] * 3), id="16-bit grey"),
        pytest.param(COLOUR[:1, :1], COLOUR[:1, :1], id="one pixel"),
    ],
)
def test_every_kind_of_picture_becomes_bgr(
    tmp_path: Path, read_all: ReadAll, stored: NDArray[np.uint8], shown: NDArray[np.uint8]
) -> None:
    cv2.imwrite(str(tmp_path / "kind.png"), stored)
    frames, error = read_all(images_source(tmp_path))
    assert error is None
    np.testing.assert_array_equal(frames[0].image, shown)


def with_exif_orientation(jpeg: bytes, orientation: int) -> bytes:
    """Insert an APP1 segment with one TIFF entry: tag 0x0112 (Orientation), SHORT, 1 value."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        pytest.param(1, lambda image: image, id="upright"),
        pytest.param(2, lambda image: image[:, ::-1], id="mirrored"),
        pytest.param(3, lambda image: np.rot90(image, 2), id="upside down"),
        pytest.param(6, lambda image: np.rot90(image, -1), id="clockwise"),
        pytest.param(8, lambda image: np.rot90(image, 1), id="counter-clockwise"),
    ],
)
def test_exif_orientation_is_applied_once(
    tmp_path: Path, read_all: ReadAll, orientation: int, turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    corner = np.zeros((48, 64, 3), np.uint8)
    corner[:16, :16] = 255
    jpeg = cv2.imencode(".jpg", corner)[1].tobytes()
    (tmp_path / "phone.jpg").write_bytes(with_exif_orientation(jpeg, orientation))
    frames, _ = read_all(images_source(tmp_path))
    np.testing.assert_allclose(frames[0].image.astype(int), turn(corner).astype(int), atol=12)


def test_an_unreadable_picture_among_many_is_left_out_and_reported_at_the_end(
    tmp_path: Path, read_all: ReadAll, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(5):
        shot(tmp_path / f"img{number}.jpg")
    (tmp_path / "img1.jpg").write_bytes(b"")
    whole = (tmp_path / "img3.jpg").read_bytes()
    (tmp_path / "img3.jpg").write_bytes(whole[: len(whole) // 2])
    source = images_source(tmp_path)
    with caplog.at_level(logging.WARNING):
        frames, error = read_all(source)
    assert [frame.index for frame in frames] == [0, 2, 4]
    assert [frame.pts_seconds for frame in frames] == [0.0, 2.0, 4.0]
    assert source.skipped == 2
    assert "2 of 5 pictures" in str(error)
    assert "img1.jpg' is empty" in str(error)
    assert "img3.jpg" in caplog.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="zero bytes"),
        pytest.param(b"hello " * 20, "is not a picture", id="text"),
    ],
)
def test_a_single_picture_that_cannot_be_read_is_an_error(
    tmp_path: Path, read_all: ReadAll, content: bytes, words: str
) -> None:
    (tmp_path / "one.jpg").write_bytes(content)
    frames, error = read_all(images_source(tmp_path / "one.jpg"))
    assert not frames
    assert words in str(error)


@pytest.mark.parametrize(
    ("path", "files", "words"),
    [
        pytest.param("", [], "only nothing", id="an empty folder"),
        pytest.param("", ["a.txt", "b.md"], "2 files of other kinds", id="a folder of texts"),
        pytest.param("*.jpg", ["a.txt"], "no file matches", id="a pattern without match"),
        pytest.param("*", ["a.txt"], "1 files of other kinds", id="a pattern that matches texts"),
        pytest.param("gone", [], "there is no", id="a missing folder"),
    ],
)
def test_no_pictures_is_an_error_before_anything_runs(tmp_path: Path, path: str, files: list[str], words: str) -> None:
    for name in files:
        (tmp_path / name).write_text("text")
    source = images_source(tmp_path / path)
    with pytest.raises(SourceError, match=words):
        source.open()
    source.close()
    with pytest.raises(SourceError, match=words):
        ImagesSource.expand(source.options, None)


def test_a_source_is_named_after_its_folder_or_its_only_file(tmp_path: Path) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    picture = shot(folder / "beach.png")

    def named(path: Path, name: str | None = None) -> list[str]:
        return [source.source_id for source in ImagesSource.expand(Options(path=str(path)), name)]

    assert named(folder) == named(folder / "*.png") == ["holiday"]
    assert named(picture) == ["beach"]
    assert named(picture, "sea") == ["sea"]
