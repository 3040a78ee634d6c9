import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.drawing.canvas import Canvas

SIDE = st.integers(1, 60)


def picture(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), 200, np.uint8)


def test_a_picture_that_fits_is_handed_through() -> None:
    image, people = picture(64, 48), Instances.empty()
    fitted, moved = Canvas(64, 48).fit(image, people)
    assert fitted is image
    assert moved is people


@given(SIDE, SIDE, SIDE, SIDE, st.none() | st.integers(16, 64))
def test_every_picture_gets_the_size_of_the_first_and_sides_are_even(
    width: int, height: int, other_width: int, other_height: int, max_width: int | None
) -> None:
    canvas = Canvas(width, height, max_width)
    assert canvas.width % 2 == canvas.height % 2 == 0
    assert canvas.width <= (width if max_width is None else min(width, max_width)) + 1
    fitted, _ = canvas.fit(picture(other_width, other_height), None)
    assert fitted.shape == (canvas.height, canvas.width, 3)
    assert fitted.max() == 200


@pytest.mark.parametrize(
    ("first", "then", "scale", "left", "top"),
    [
        pytest.param((64, 48), (128, 96), 0.5, 0, 0, id="larger"),
        pytest.param((64, 48), (32, 24), 2.0, 0, 0, id="smaller"),
        pytest.param((64, 48), (96, 48), 2 / 3, 0, 8, id="wider"),
        pytest.param((64, 48), (24, 48), 1.0, 20, 0, id="upright"),
        pytest.param((63, 47), (63, 47), 1.0, 0, 0, id="odd"),
    ],
)
def test_people_move_with_their_picture(
    first: tuple[int, int], then: tuple[int, int], scale: float, left: int, top: int
) -> None:
    people = Instances.of(
        [[2, 4, 10, 20]],
        [0.5],
        keypoints=np.full((1, 17, 2), (3, 6)),
        keypoint_score=np.ones((1, 17)),
        skeleton=COCO_17,
    )
    image, moved = Canvas(*first).fit(picture(*then), people)
    assert moved is not None
    assert moved.keypoints is not None
    offset = np.array([left, top])
    np.testing.assert_allclose(moved.xyxy[0].reshape(2, 2), np.array([[2, 4], [10, 20]]) * scale + offset, rtol=1e-6)
    np.testing.assert_allclose(moved.keypoints[0], [np.array([3, 6]) * scale + offset] * 17, rtol=1e-6)
    assert image[top, left].tolist() == [200] * 3
    assert (image[:top] == 0).all()
    assert (image[:, :left] == 0).all()
