"""Packets to write, a disk that is full, one set of options for every sink that writes files; frames of real clips."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import fakes
import numpy as np
import pytest

from pipeline.skeletons import COCO_17
from pipeline.types import NO_TRACK, Frame, HostPixels, Instances, Packet, Stream
from stages.yolo.predictor import quiet_ultralytics

START = datetime(2026, 1, 2, 3, 4, 5, 678900, tzinfo=UTC)


def make_people(count: int, *, joints: bool = True, tracked: bool = True, seed: int = 0) -> Instances:
    """Make people in a picture of 64x48; the last of several has no identity yet."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 30, (count, 2))
    people = Instances.of(
        np.hstack([corner, corner + random.uniform(5, 15, (count, 2))]),
        random.uniform(0.3, 1, count),
        keypoints=random.uniform(0, 48, (count, 17, 2)) if joints else None,
        keypoint_score=random.uniform(0, 1, (count, 17)) if joints else None,
        skeleton=COCO_17 if joints else None,
    )
    if not tracked:
        return people
    ids = np.arange(1, count + 1)
    ids[1:][-1:] = NO_TRACK
    return people.with_columns(track_id=ids)


def make_packet(
    index: int = 0,
    source: str = "cam",
    people: int | Instances | None = 2,
    *,
    pts: float | None = None,
    size: tuple[int, int] = (64, 48),
    time_base: Fraction = Fraction(1, 90_000),
    live: bool = False,
    **columns: Any,
) -> Packet:
    """Make a packet of 25 frames a second; `columns` are those of `make_people`."""
    seconds = index / 25 if pts is None else pts
    image = np.full((*size[::-1], 3), index * 5 % 256, np.uint8)
    frame = Frame(
        Stream(source, live=live, time_base=time_base),
        index,
        seconds,
        START + timedelta(seconds=index),
        0.0,
        HostPixels(image),
    )
    return Packet(frame, make_people(people, seed=index, **columns) if isinstance(people, int) else people)


@contextmanager
def limit_file_size(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes of a file fail, as a full disk does (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def ultralytics() -> Any:
    return quiet_ultralytics()


@pytest.fixture(scope="session")
def packet() -> Callable[..., Packet]:
    return make_packet


@pytest.fixture(scope="session")
def people() -> Callable[..., Instances]:
    return make_people


@pytest.fixture(scope="session")
def full_disk() -> Callable[[int], AbstractContextManager[None]]:
    return limit_file_size


@pytest.fixture
def clip() -> Callable[[Path, int], list[Frame]]:
    """The first frames of a real clip."""

    def read(path: Path, count: int) -> list[Frame]:
        with av.open(str(path)) as container:
            pictures = [frame.to_ndarray(format="bgr24") for frame in islice(container.decode(video=0), count)]
        return [
            replace(fakes.make_frame(index), pixels=HostPixels(np.asarray(picture, np.uint8)))
            for index, picture in enumerate(pictures)
        ]

    return read
