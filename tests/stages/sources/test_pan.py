"""The virtual camera: smooth, always inside the photograph, and where it looks is known."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import MissingPackage, SourceError
from pipeline.types import Frame
from stages.sources.base import FrameSource
from stages.sources.pan import Options, PanSource

ReadAll = Callable[[FrameSource], tuple[list[Frame], SourceError | None]]


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A white square on a soft gradient, 400 x 300."""
    image = np.dstack([np.tile(np.linspace(0, 120, 400), (300, 1))] * 3).astype(np.uint8)
    image[130:170, 180:240] = 255
    path = tmp_path_factory.mktemp("photographs") / "square.png"
    cv2.imwrite(str(path), image)
    return path


def pan_source(photograph: Path, **options: object) -> PanSource:
    return PanSource(Options.model_validate({"image": str(photograph), **options}), "pan")


def test_frames_come_once_in_order_and_end(photograph: Path, read_all: ReadAll) -> None:
    frames, error = read_all(pan_source(photograph, seconds=2, frames_per_second=10))
    assert error is None
    assert [(frame.index, frame.pts_seconds) for frame in frames] == [(i, i / 10) for i in range(20)]
    assert {(frame.width, frame.height) for frame in frames} == {(960, 720)}
    assert not frames[0].image.flags.writeable
    assert frames[0].stream.expected_frames == 20


@pytest.mark.parametrize(
    ("options", "size"),
    [
        pytest.param({}, (960, 720), id="in proportion"),
        pytest.param({"width": 640}, (640, 480), id="width"),
        pytest.param({"height": 90}, (120, 90), id="height"),
        pytest.param({"width": 100, "height": 300}, (100, 300), id="both"),
    ],
)
def test_the_size_of_the_frames(photograph: Path, options: dict[str, int], size: tuple[int, int]) -> None:
    with pan_source(photograph, **options) as source:
        frame = source.read()
    assert frame is not None
    assert (frame.width, frame.height) == size


@settings(max_examples=40)
@given(
    width=st.integers(16, 800),
    height=st.integers(16, 800),
    zoom=st.floats(1, 8),
    seed=st.integers(0, 99),
    index=st.integers(0, 199),
)
def test_the_camera_stays_inside_the_photograph(
    photograph: Path, width: int, height: int, zoom: float, seed: int, index: int
) -> None:
    with pan_source(photograph, width=width, height=height, zoom=zoom, seed=seed) as source:
        view = source.view(index)
    (left, top), (right, bottom) = (np.array([[0, 0], [width, height]]) - view[:, 2]) / view[0, 0]
    assert -1e-6 <= left < right <= 400 + 1e-6
    assert -1e-6 <= top < bottom <= 300 + 1e-6


def test_the_view_carries_boxes_along(photograph: Path, read_all: ReadAll) -> None:
    source = pan_source(photograph, seconds=2, frames_per_second=10)
    frames, _ = read_all(source)
    for frame in frames:
        view = source.view(frame.index)
        box = (view[:, :2] @ np.array([[180, 240], [130, 170]]) + view[:, 2:]).T.ravel()
        rows, columns = np.nonzero(frame.image[..., 0] > 200)
        np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], box, atol=2)


def test_the_camera_moves_smoothly_and_comes_back(photograph: Path) -> None:
    with pan_source(photograph, seconds=8) as source:
        views = np.array([source.view(index) for index in range(201)])
    assert np.abs(np.diff(views[..., 2], axis=0)).max() < 20
    assert np.abs(np.diff(views[..., 2], axis=0)).max() > 1
    np.testing.assert_allclose(views[0], views[200], atol=1e-9)


def test_a_large_photograph_is_shrunk_well(tmp_path: Path) -> None:
    stripes = np.zeros((3000, 4000, 3), np.uint8)
    stripes[::2] = 255
    cv2.imwrite(str(tmp_path / "stripes.png"), stripes)
    with pan_source(tmp_path / "stripes.png", width=400, zoom=1) as source:
        frame = source.read()
    assert frame is not None
    np.testing.assert_allclose(frame.image.astype(int), 127, atol=3)


def test_the_seed_decides_the_path(photograph: Path) -> None:
    def last_view(seed: int) -> list[float]:
        with pan_source(photograph, seed=seed) as source:
            return list(source.view(60).ravel())

    assert last_view(1) == last_view(1) != last_view(2)


def test_a_source_a_photograph(photograph: Path) -> None:
    cv2.imwrite(str(photograph.with_name("other.png")), np.zeros((9, 9, 3), np.uint8))
    options = Options(image=str(photograph.with_name("*.png")))
    assert [source.source_id for source in PanSource.expand(options, None)] == ["other", "square"]
    assert [source.source_id for source in PanSource.expand(options, "demo")] == ["demo-other", "demo-square"]
    one = Options(image=str(photograph))
    assert [source.source_id for source in PanSource.expand(one, "demo")] == ["demo"]


@pytest.mark.parametrize(
    ("name", "words"),
    [pytest.param("gone.jpg", "there is no", id="missing"), pytest.param("text.jpg", "not a picture", id="text")],
)
def test_what_is_wrong_with_a_photograph_is_said(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "text.jpg").write_text("text")
    source = pan_source(tmp_path / name)
    with pytest.raises(SourceError, match=words):
        source.open()
    source.close()
    source.close()
    assert source.read() is None


def test_a_view_before_opening_says_so(photograph: Path) -> None:
    with pytest.raises(SourceError, match=r"call open\(\) first"):
        pan_source(photograph).view(0)


def test_without_a_photograph_and_without_the_package_the_command_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPackage, match=r"pip install 'kinestream\[ultralytics\]'"):
        PanSource.expand(Options(), None)


@pytest.mark.skipif(importlib.util.find_spec("ultralytics") is None, reason="its photographs are not installed")
def test_the_photographs_of_the_package_are_found_without_importing_it() -> None:
    loaded = "ultralytics" in sys.modules
    sources = PanSource.expand(Options(), None)
    assert [source.source_id for source in sources] == ["bus", "zidane"]
    with sources[0] as source:
        assert source.read() is not None
    assert ("ultralytics" in sys.modules) == loaded


@pytest.mark.parametrize(("turns", "expected"), [(1, 10), (3, 30), (None, None)])
def test_the_camera_may_go_round_several_times_or_for_ever(
    photograph: Path, turns: int | None, expected: int | None
) -> None:
    with PanSource(Options(image=str(photograph), seconds=0.4, turns=turns), "pan") as source:
        frames = [source.read() for _ in range(35)]
    given = [frame for frame in frames if frame is not None]
    assert given[0].stream.expected_frames == expected
    assert len(given) == (expected or 35)
    if len(given) > 10:
        assert np.array_equal(given[0].image, given[10].image)
        assert given[10].pts_seconds == 0.4
