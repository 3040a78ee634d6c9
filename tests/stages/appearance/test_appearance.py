"""What people look like: what of a picture the network sees, and what becomes of its answer."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from appearance_networks import save
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from watched_pixels import WatchedPixels

from pipeline.errors import ConfigError, WeightsError
from pipeline.types import HostPixels
from stages.appearance import Appearance, appearance_for
from stages.appearance.crops import cut_out
from trackers.bytetrack import ByteTrack
from trackers.kinesort import KineSort, Options

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""Of ImageNet, RGB, 0..1: what torchreid trains with."""

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
"""RGB of the quarters of a person."""

BOX = (40, 20, 104, 180)


def person() -> NDArray[np.uint8]:
    """A grey picture, BGR, in which one person in four colours stands, in `BOX`."""
    picture = np.full((200, 160, 3), 90, np.uint8)
    x1, y1, x2, y2 = BOX
    picture[y1:y2, x1:x2] = np.kron(COLOURS[..., ::-1], np.ones((80, 32, 1), np.uint8))
    return picture


def unit(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values / np.linalg.norm(values))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("weights") / "quarters.onnx")


# What the network sees


@pytest.mark.parametrize("size", [(256, 128), (None, None)], ids=["fixed", "open"])
@pytest.mark.parametrize("batch", [1, 4, None])
def test_it_sees_the_box_stretched_to_its_input_in_rgb(
    tmp_path: Path, batch: int | None, size: tuple[int | None, int | None]
) -> None:
    expected = unit(((COLOURS / 255 - MEAN) / STD).transpose(2, 0, 1).ravel())
    with Appearance(str(save(tmp_path / "quarters.onnx", batch=batch, size=size)), "cpu") as appearance:
        (got,) = appearance.describe(HostPixels(person()), np.array([BOX], np.float32))
    assert got @ expected > 0.999  # at the edges between the quarters, colours mix
    assert np.linalg.norm(got) == pytest.approx(1, abs=1e-5)


def test_of_a_box_that_reaches_out_it_sees_what_is_in_the_picture(weights: Path) -> None:
    picture = HostPixels(person()[20:, 40:104].copy())
    with Appearance(str(weights), "cpu") as appearance:
        got = appearance.describe(picture, np.array([[-500, -300, 64, 160], [0, 0, 64, 160]], np.float32))
    np.testing.assert_array_equal(got[0], got[1])


@pytest.mark.parametrize(
    "box",
    [(30, 30, 30, 90), (30, 90, 60, 90), (60, 90, 30, 30), (-90, 0, -10, 99), (160, 0, 300, 99), (5, 5, 5.5, 90)],
    ids=["no width", "no height", "inside out", "left of it", "right of it", "half a pixel"],
)
def test_a_box_without_a_pixel_in_the_picture_is_like_nobody(weights: Path, box: tuple[float, ...]) -> None:
    with Appearance(str(weights), "cpu") as appearance:
        got = appearance.describe(HostPixels(person()), np.array([box, BOX], np.float32))
        alone = appearance.describe(HostPixels(person()), np.array([box], np.float32))
    assert (got[0] == 0).all()
    assert got[1].any()
    np.testing.assert_array_equal(alone, np.zeros((1, 12), np.float32))


def test_without_people_no_picture_is_touched(weights: Path) -> None:
    pixels = WatchedPixels(person())
    with Appearance(str(weights), "cpu") as appearance:
        assert appearance.describe(pixels, np.empty((0, 4), np.float32)).shape == (0, 12)
    assert pixels.looks == 0


def test_a_person_looks_the_same_alone_and_in_a_crowd_larger_than_a_batch(weights: Path) -> None:
    rng = np.random.default_rng(0)
    picture = HostPixels(rng.integers(0, 256, (300, 400, 3), np.uint8))
    corner = rng.uniform(0, 200, (70, 2))
    boxes = np.hstack([corner, corner + rng.uniform(5, 99, (70, 2))]).astype(np.float32)
    with Appearance(str(weights), "cpu") as appearance:
        together = appearance.describe(picture, boxes)
        for row in (0, 31, 32, 69):
            np.testing.assert_array_equal(together[row], appearance.describe(picture, boxes[row : row + 1])[0])


@given(st.lists(st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 4), max_size=5))
def test_whatever_boxes_are_given_crops_are_cut_of_those_that_show_something(
    boxes: list[tuple[float, float, float, float]],
) -> None:
    xyxy = np.array(boxes, np.float32).reshape(-1, 4)
    crops, rows = cut_out(person(), xyxy, 128, 256)
    assert crops.shape == (len(rows), 256, 128, 3)
    low, high = np.maximum(xyxy[rows, :2], 0), np.minimum(xyxy[rows, 2:], [160, 200])
    assert (high - low >= 1).all()
    assert (np.diff(rows) > 0).all()


# Which network


def test_who_does_not_ask_gets_none() -> None:
    assert appearance_for(KineSort()) is None
    assert appearance_for(ByteTrack()) is None


def test_a_tracker_gets_the_network_and_the_device_it_asks_for(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = KineSort(Options(appearance=weights, device="cpu"))
    assert tracker.wants == {"embedding"}
    appearance = appearance_for(tracker)
    assert appearance is not None
    with caplog.at_level(logging.INFO), appearance:
        assert appearance.description.startswith("quarters.onnx 256x128 (height x width), ")
        assert appearance.description.endswith(" on cpu")
    assert "appearance: quarters.onnx" in caplog.text


def test_closed_it_says_so_and_can_be_closed_again(weights: Path) -> None:
    appearance = Appearance(str(weights), "cpu")
    for _ in range(2):
        appearance.close()
    with pytest.raises(RuntimeError, match=r"Appearance is not open: call open\(\) first"):
        appearance.describe(HostPixels(person()), np.array([BOX], np.float32))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"weights '.*osnet\.onnx' do not exist"):
        Appearance(str(tmp_path / "osnet.onnx")).open()


def test_a_file_whose_numbers_lie_in_another_one_that_is_missing_is_damaged(tmp_path: Path) -> None:
    whole = onnx.load(save(tmp_path / "whole.onnx"))
    shift = onnx.numpy_helper.from_array(np.zeros((1, 12), np.float32), "shift")
    whole.graph.initializer.append(shift)
    whole.graph.node[-1].output[0] = "flat"
    whole.graph.node.append(onnx.helper.make_node("Add", ["flat", "shift"], ["vectors"]))
    onnx.save(whole, tmp_path / "parted.onnx", save_as_external_data=True, location="parted.data", size_threshold=0)
    (tmp_path / "parted.data").unlink()
    with pytest.raises(WeightsError, match=r"parted\.onnx' is damaged.*parted\.data"):
        Appearance(str(tmp_path / "parted.onnx"), "cpu").open()


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    appearance = Appearance(str(save(tmp_path / "maps.onnx", flat=False)), "cpu")
    with pytest.raises(WeightsError, match=r"does not tell what a person looks like.* \(1, 3, 2, 2\); expected one"):
        appearance.open()
    appearance.close()


def test_a_device_that_is_not_there_is_refused(weights: Path) -> None:
    with pytest.raises(ConfigError, match="cuda:97"):
        Appearance(str(weights), "cuda:97,98").open()
