"""Pictures go to the model in chunks, read ahead, and never lie in memory all at once."""

import threading
import weakref
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from pipeline.errors import OutOfMemory, SourceError
from pipeline.types import Frame, Instances
from stages.evaluation.look import look
from stages.evaluation.pictures import Picture, frames_ahead


@pytest.fixture
def pictures(tmp_path: Path) -> list[Picture]:
    for number in range(23):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((12, 16, 3), number, np.uint8))
    return [Picture(number, tmp_path / f"{number}.png", None) for number in range(23)]


class Reader:
    """Finds as many people as the picture is bright, and remembers what it was shown."""

    def __init__(self, max_batch: int = 4, fits: int = 100) -> None:
        self.max_batch = max_batch
        self.fits = fits
        self.sizes: list[int] = []
        self.ended: list[str] = []

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        assert len(frames) == len(instances)
        if len(frames) > self.fits:
            msg = "too large"
            raise OutOfMemory(msg)
        self.sizes.append(len(frames))
        return [
            Instances.of(np.zeros((int(frame.image[0, 0, 0]), 4)), np.zeros(frame.image[0, 0, 0])) for frame in frames
        ]

    def end_source(self, source_id: str) -> None:
        self.ended.append(source_id)


def test_every_picture_comes_once_in_order_with_its_own_poses(pictures: list[Picture]) -> None:
    model = Reader()
    found = list(look(model, pictures))
    assert [picture.key for picture, _ in found] == list(range(23))
    assert [len(poses) for _, poses in found] == list(range(23))
    assert model.sizes == [4, 4, 4, 4, 4, 3]


def test_every_picture_is_a_source_of_its_own_that_ends(pictures: list[Picture]) -> None:
    model = Reader()
    list(look(model, pictures))
    assert model.ended == [str(picture.path) for picture in pictures]


def test_nothing_to_look_at_is_nothing(pictures: list[Picture]) -> None:
    assert list(look(Reader(), pictures[:0])) == []


@pytest.mark.parametrize(
    ("fits", "sizes"), [pytest.param(1, [1] * 23, id="one"), pytest.param(3, [2] * 10 + [3], id="three")]
)
def test_a_batch_that_does_not_fit_is_halved(pictures: list[Picture], fits: int, sizes: list[int]) -> None:
    model = Reader(fits=fits)
    assert [len(poses) for _, poses in look(model, pictures)] == list(range(23))
    assert model.sizes == sizes


def test_a_single_picture_that_does_not_fit_is_an_error(pictures: list[Picture]) -> None:
    with pytest.raises(OutOfMemory):
        list(look(Reader(fits=0), pictures))


@pytest.mark.parametrize(("chunks", "read"), [(1, 12), (3, 20), (6, 23)])
def test_only_two_chunks_are_read_ahead(
    pictures: list[Picture], monkeypatch: pytest.MonkeyPatch, chunks: int, read: int
) -> None:
    paths: list[str] = []
    imread = cv2.imread

    def counted(path: str, flags: int) -> object:
        paths.append(path)
        return imread(path, flags)

    monkeypatch.setattr(cv2, "imread", counted)
    ahead = cast("Generator[object]", frames_ahead(pictures, 4))
    for _ in range(chunks):
        next(ahead)
    ahead.close()  # waits for what is being read
    assert len(paths) == read


def test_what_was_looked_at_is_let_go(pictures: list[Picture]) -> None:
    frames: list[weakref.ref[object]] = []

    class Watcher(Reader):
        def estimate(self, frames_now: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
            frames.extend(weakref.ref(frame.image) for frame in frames_now)
            return super().estimate(frames_now, instances)

    for _ in look(Watcher(), pictures):
        assert sum(frame() is not None for frame in frames) <= 2 * 4


def test_a_damaged_picture_ends_it_with_its_name_and_no_thread_is_left(pictures: list[Picture]) -> None:
    pictures[9].path.write_bytes(b"no picture")
    threads = threading.active_count()
    with pytest.raises(SourceError, match=r"9\.png' is not a picture"):
        list(look(Reader(), pictures))
    assert threading.active_count() == threads


def test_a_picture_is_read_as_it_lies_in_the_file_not_as_its_camera_was_held(tmp_path: Path) -> None:
    """EXIF orientation 6 means: turn it right. The annotations are of the picture before that."""
    path = tmp_path / "a.jpg"
    cv2.imwrite(str(path), np.zeros((20, 40, 3), np.uint8))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    turned = cv2.imread(str(path))
    assert turned is not None
    assert turned.shape[:2] == (40, 20)

    seen: list[tuple[int, int]] = []

    class Looker(Reader):
        def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
            seen.extend((frame.height, frame.width) for frame in frames)
            return super().estimate(frames, instances)

    list(look(Looker(), [Picture(0, path, None)]))
    assert seen == [(20, 40)]
