"""On tensors of the CPU: the same arithmetic as on a GPU. What OpenCV and numpy do is the measure."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pipeline.skeletons import COCO_17
from stages.topdown import crops, heatmaps, on_device
from stages.topdown.heatmaps import Decoding
from stages.topdown.regions import regions_of_boxes, to_input

METHODS: list[Decoding] = ["plain", "quarter", "dark"]
OPENCV_IS_EXACT = int(cv2.__version__.partition(".")[0]) >= 5
"""Before version 5, OpenCV rounds the place of each pixel to 1/32."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def around(image: np.ndarray, count: int, *, udp: bool = False) -> np.ndarray:
    """Make affines to 96 x 128 from regions of all sizes, some of them partly or wholly outside the picture."""
    random = np.random.default_rng(count)
    height, width = image.shape[:2]
    centre = random.uniform([-50, -50], [width + 50, height + 50], (count, 2))
    half = np.exp(random.uniform(np.log(2), np.log(400), (count, 2)))
    regions = regions_of_boxes(np.hstack([centre - half, centre + half]), 0.75)
    return to_input(regions, 96, 128, udp=udp)


def both(
    pictures: list[np.ndarray], affines: list[np.ndarray], width: int = 96, height: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Cut with OpenCV and on the device; both as (n, h, w, 3), float32, BGR."""
    there = on_device.cut([on_device.upload(picture, "cpu") for picture in pictures], affines, width, height)
    assert there.dtype == torch.float32
    here = crops.cut(pictures, affines, width, height)
    return here.astype(np.float32), there.numpy()[:, ::-1].transpose(0, 2, 3, 1)


def assert_as_close_as_documented(here: np.ndarray, there: np.ndarray, share: float) -> None:
    difference = abs(here - there)
    if OPENCV_IS_EXACT:
        assert difference.max() <= 1
        assert (difference > 0).mean() <= share
    else:
        assert difference.mean() <= 1


def test_a_picture_arrives_as_planes_of_red_green_and_blue() -> None:
    image = noise(5, 7)[::-1]
    image.flags.writeable = False
    assert_array_equal(on_device.upload(image, "cpu").numpy(), image[..., ::-1].transpose(2, 0, 1))


def test_a_picture_may_change_after_it_was_uploaded() -> None:
    image = np.full((4, 4, 3), 7, np.uint8)
    there = on_device.upload(image, "cpu")
    image[:] = 0
    assert (there == 7).all()


def test_pixels_on_a_device_are_known_by_their_rgb() -> None:
    class Decoded:
        def rgb(self) -> torch.Tensor:
            return torch.zeros((3, 4, 4), dtype=torch.uint8)

    assert isinstance(Decoded(), on_device.DevicePixels)
    assert not isinstance(object(), on_device.DevicePixels)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("size", [(240, 320), (101, 57)])
def test_crops_of_noise_are_those_of_opencv(size: tuple[int, int], *, udp: bool) -> None:
    image = noise(*size)
    assert_as_close_as_documented(*both([image], [around(image, 40, udp=udp)]), share=5e-3)


@pytest.mark.shared
def test_crops_of_photographs_are_those_of_opencv(shared: Path) -> None:
    photographs = [
        image for path in sorted((shared / "coco/images").glob("*.jpg")) if (image := cv2.imread(path)) is not None
    ]
    assert photographs
    here, there = both(photographs, [around(image, 30) for image in photographs])
    assert_as_close_as_documented(here, there, share=5e-4)


def test_pictures_of_different_sizes_keep_their_order() -> None:
    pictures = [noise(60, 40, 1), noise(30, 90, 2), noise(50, 50, 3)]
    affines = [around(pictures[0], 3), np.empty((0, 2, 3)), around(pictures[2], 2)]
    here, there = both(pictures, affines)
    assert here.shape == there.shape == (5, 128, 96, 3)
    assert_as_close_as_documented(here, there, share=5e-3)


def test_a_turned_region_is_cut_as_opencv_cuts_it() -> None:
    turned = np.array([[[0.8, 0.6, -20.0], [-0.6, 0.8, 40.0]]])
    assert_as_close_as_documented(*both([noise(120, 160)], [turned]), share=5e-3)


def test_an_aligned_crop_is_a_slice() -> None:
    image = noise(40, 60)
    _, (there,) = both([image], [np.array([[[1.0, 0, -10], [0, 1, -5]]])], 20, 16)
    assert_array_equal(there, image[5:21, 10:30])


@pytest.mark.parametrize(
    ("pictures", "affines"), [([noise(9, 9)], [np.empty((0, 2, 3))]), ([noise(9, 9)] * 2, [np.empty((0, 2, 3))] * 2)]
)
def test_nobody_makes_no_crop(pictures: list[np.ndarray], affines: list[np.ndarray]) -> None:
    _, there = both(pictures, affines)
    assert there.shape == (0, 128, 96, 3)


def test_a_crop_alone_is_the_same_to_the_last_bit() -> None:
    image = noise(90, 120)
    affines, picture = around(image, 10), on_device.upload(image, "cpu")
    together = on_device.cut([picture], [affines], 96, 128)
    for row, crop in enumerate(together):
        assert torch.equal(on_device.cut([picture], [affines[row : row + 1]], 96, 128)[0], crop)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (30, 1), (30, 40)])
@pytest.mark.parametrize(
    "box",
    [
        pytest.param([5, 5, 5, 5], id="empty"),
        pytest.param([-1e6, -1e6, 1e6, 1e6], id="a million pixels"),
        pytest.param([1e9, 1e9, 1e9, 1e9], id="far outside"),
        pytest.param([-3e38, -3e38, 3e38, 3e38], id="as large as a number can be"),
    ],
)
def test_any_box_of_any_picture_can_be_cut(box: list[float], size: tuple[int, int]) -> None:
    affines = to_input(regions_of_boxes([box], 0.75), 24, 32)
    _, there = both([noise(*size)], [affines], 24, 32)
    assert ((there >= 0) & (there <= 255)).all()


def read(maps: np.ndarray, method: Decoding, sigma: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    points, score = on_device.decode(torch.from_numpy(maps), method, sigma=sigma)
    assert score.dtype == torch.float32
    return points.numpy(), score.numpy()


def assert_read_alike(maps: np.ndarray, method: Decoding, sigma: float = 2.0) -> None:
    here, there = heatmaps.decode(maps, method, sigma=sigma), read(maps, method, sigma)
    assert_allclose(there[0], here[0], atol=1e-4)
    assert_array_equal(there[1], here[1])


def drawn(seed: int, height: int, width: int, sigma: float) -> np.ndarray:
    """Draw joints, some of them on or beyond the border, with a little noise."""
    random = np.random.default_rng(seed)
    x, y = random.uniform(-3, [[[width + 3]], [[height + 3]]], (2, 2, 17))[..., None, None]
    across, down = np.arange(width) - x, np.arange(height)[:, None] - y
    maps = np.exp(-(across**2 + down**2) / (2 * sigma**2)) * random.uniform(0, 1.2, (2, 17, 1, 1))
    return np.asarray(maps + random.normal(0, 0.003, maps.shape), np.float32)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("height", "width", "sigma"), [(64, 48, 2.0), (96, 72, 3.0), (16, 12, 2.0)])
@settings(max_examples=20)
@given(seed=st.integers(0, 10_000))
def test_joints_are_those_of_numpy(method: Decoding, height: int, width: int, sigma: float, seed: int) -> None:
    assert_read_alike(drawn(seed, height, width, sigma), method, sigma)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "shape", [(0, 17, 64, 48), (1, 2, 1, 1), (1, 2, 2, 3), (1, 2, 5, 5), (1, 2, 1, 9), (1, 2, 9, 1)]
)
@pytest.mark.parametrize("value", [0, 0.5, -1, np.nan, np.inf, -np.inf])
def test_constant_maps_of_any_size_are_read_as_by_numpy(method: Decoding, shape: tuple[int, ...], value: float) -> None:
    maps = np.full(shape, value, np.float32)
    assert_read_alike(maps, method)
    assert np.isfinite(read(maps, method)[0]).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_peak_in_a_deep_hole_is_read_as_by_numpy(method: Decoding) -> None:
    maps = np.full((1, 1, 16, 12), -1, np.float32)
    maps[..., 8, 6:8] = 1, 0.5
    assert_read_alike(maps, method)


@pytest.mark.parametrize("method", METHODS)
def test_of_equal_peaks_the_first_in_reading_order_is_taken(method: Decoding) -> None:
    maps = np.zeros((1, 1, 16, 12), np.float32)
    maps[..., [12, 4, 5], [3, 9, 3]] = 1
    assert_read_alike(maps, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_shows_in_the_score_and_never_in_the_place(bad: float, method: Decoding) -> None:
    maps = drawn(0, 64, 48, 2.0)
    maps[:, ::2, 20, 20] = bad
    assert np.isfinite(read(maps, method)[0]).all()
    assert_array_equal(read(maps, method)[1], heatmaps.decode(maps, method)[1])


def test_a_network_in_half_precision_is_read_too() -> None:
    maps = torch.from_numpy(drawn(0, 64, 48, 2.0)).half()
    points, score = on_device.decode(maps, "dark")
    assert_allclose(points, heatmaps.decode(maps.float().numpy(), "dark")[0], atol=1e-4)
    assert score.dtype == torch.float32


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("shape", [(2, 17, 8, 6), (0, 17, 8, 6), (1, 17, 1, 1)])
def test_mirrored_maps_are_turned_and_averaged_as_by_numpy(shape: tuple[int, ...], *, shift: bool) -> None:
    maps, flipped = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    here = heatmaps.flip_back(flipped, COCO_17.mirrored, shift=shift)
    there = on_device.flip_back(torch.from_numpy(flipped), COCO_17.mirrored, shift=shift)
    assert_array_equal(there.numpy(), here)
    assert_array_equal(on_device.average(torch.from_numpy(maps), there).numpy(), heatmaps.average(maps, here))
