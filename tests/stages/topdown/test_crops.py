from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from stages.topdown.crops import cut
from stages.topdown.regions import regions_of_boxes, to_input

NONE = np.empty((0, 2, 3))


@pytest.fixture(scope="module", params=[False, True], ids=["one by one", "on threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[Executor | None]:
    if not request.param:
        yield None
        return
    with ThreadPoolExecutor(2) as pool:
        yield pool


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0, -x], [0, 1, -y]])


@pytest.mark.parametrize(
    ("pictures", "affines"),
    [
        pytest.param(0, [], id="no picture"),
        pytest.param(2, [NONE, NONE], id="pictures without people"),
    ],
)
def test_nobody_makes_no_crop(pictures: int, affines: list[np.ndarray], threads: Executor | None) -> None:
    crops = cut([noise(9, 9)] * pictures, affines, 6, 8, threads)
    assert crops.shape == (0, 8, 6, 3)
    assert crops.dtype == np.uint8


def test_an_aligned_crop_is_a_slice() -> None:
    image = noise(40, 60)
    assert_array_equal(cut([image], [shift(10, 5)[None]], 20, 16)[0], image[5:21, 10:30])


def test_beside_the_picture_it_is_black() -> None:
    image = np.full((10, 10, 3), 200, np.uint8)
    (crop,) = cut([image], [shift(-4, -3)[None]], 12, 12)
    assert not crop[:3].any()
    assert not crop[:, :4].any()
    assert (crop[3:, 4:] == 200).all()


def test_at_the_border_the_picture_fades_into_black() -> None:
    image = np.full((10, 10, 3), 200, np.uint8)
    (crop,) = cut([image], [shift(-0.5, 0)[None]], 4, 4)
    assert (crop[:, 0] == 100).all()


def test_crops_come_in_the_order_of_pictures_and_rows(threads: Executor | None) -> None:
    pictures = [noise(30, 40, seed) for seed in range(3)]
    places = [[(0, 0), (8, 8)], [], [(1, 2), (3, 4), (5, 6)]]
    affines = [np.array([shift(*place) for place in own]).reshape(-1, 2, 3) for own in places]
    crops = cut(pictures, affines, 6, 8, threads)
    expected = [picture[y : y + 8, x : x + 6] for picture, own in zip(pictures, places, strict=True) for x, y in own]
    assert_array_equal(crops, expected)


def test_a_crop_alone_is_the_same_to_the_last_bit(threads: Executor | None) -> None:
    image = noise(90, 120)
    corner = np.random.default_rng(1).uniform(-20, 100, (20, 2))
    affines = to_input(regions_of_boxes(np.hstack([corner, corner + 37.3]), 0.75), 24, 32)
    together = cut([image], [affines], 24, 32, threads)
    assert together.flags.c_contiguous
    for row, crop in enumerate(together):
        assert_array_equal(cut([image], [affines[row : row + 1]], 24, 32)[0], crop)


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize(
    "box",
    [
        pytest.param([5, 5, 5, 5], id="empty"),
        pytest.param([5, 5, 5, 25], id="without width"),
        pytest.param([-1e6, -1e6, 1e6, 1e6], id="a million pixels"),
        pytest.param([1e9, 1e9, 1e9, 1e9], id="far outside"),
        pytest.param([-3e38, -3e38, 3e38, 3e38], id="as large as a number can be"),
    ],
)
def test_any_box_can_be_cut(box: list[float], *, udp: bool) -> None:
    affines = to_input(regions_of_boxes([box], 0.75), 24, 32, udp=udp)
    assert cut([noise(30, 40)], [affines], 24, 32).shape == (1, 32, 24, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1)])
def test_any_picture_can_be_cut(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 9, np.uint8)
    assert (cut([image], [shift(0, 0)[None]], 6, 8)[0, 0, 0] == 9).all()


def test_pictures_are_only_read() -> None:
    image = noise(40, 60)[::2, ::-1]
    image.flags.writeable = False
    assert_array_equal(cut([image], [shift(2, 3)[None]], 6, 8)[0], image[3:11, 2:8])


def test_what_goes_wrong_on_a_thread_is_raised(threads: Executor | None) -> None:
    with pytest.raises(cv2.error):
        cut([np.empty((0, 0, 3), np.uint8)], [shift(0, 0)[None]], 6, 8, threads)


def test_each_picture_needs_its_affines() -> None:
    with pytest.raises(ValueError, match="zip"):
        cut([noise(9, 9)], [], 6, 8)
