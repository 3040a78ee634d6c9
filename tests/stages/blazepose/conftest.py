"""The two photographs inside the ultralytics package, and the networks, loaded once."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import skip_or_fail
from numpy.typing import NDArray

from pipeline.types import Frame, HostPixels, Stream
from stages.blazepose.search import PeopleFinder, SearchOptions

MakeFrame = Callable[..., Frame]


@pytest.fixture(scope="session")
def frame_of() -> MakeFrame:
    """Makes a frame of a picture."""

    def make(image: NDArray[np.uint8], source_id: str = "cam", index: int = 0, pts_seconds: float = 0.0) -> Frame:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return Frame(Stream(source_id), index, pts_seconds, now, 0.0, HostPixels(image))

    return make


def photo(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path))
    assert image is not None, path
    return np.asarray(image, np.uint8)


@pytest.fixture(scope="session")
def photos() -> Path:
    package = find_spec("ultralytics")
    if package is None or package.origin is None:
        skip_or_fail("the photographs are in the package ultralytics, which is not installed")
    return Path(package.origin).parent / "assets"


@pytest.fixture(scope="session")
def street(photos: Path) -> NDArray[np.uint8]:
    """Two people walk towards us, whole, left of a bus; two more are cut by the edges. 810x1080."""
    return photo(photos / "bus.jpg")


@pytest.fixture(scope="session")
def touchline(photos: Path) -> NDArray[np.uint8]:
    """Two men from the waist up; the left one is in profile and points across the right one. 1280x720."""
    return photo(photos / "zidane.jpg")


@pytest.fixture(scope="session")
def finder() -> Iterator[PeopleFinder]:
    finder = PeopleFinder(SearchOptions())
    finder.open()
    yield finder
    finder.close()
