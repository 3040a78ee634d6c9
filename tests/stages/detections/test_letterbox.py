from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.detections.letterbox import GREY, Letterbox

SIZES = [
    pytest.param((1, 1), id="one pixel"),
    pytest.param((2000, 3), id="a line"),
    pytest.param((64, 32), id="exactly the canvas"),
    pytest.param((1920, 1080), id="wide"),
    pytest.param((108, 192), id="tall"),
    pytest.param((33, 17), id="enlarged, odd"),
]


def draw(size: tuple[int, int], letterbox: Letterbox) -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    canvas = np.full((letterbox.canvas_height, letterbox.canvas_width, 3), GREY, np.uint8)
    letterbox.draw(image, canvas)
    return image, canvas


@pytest.mark.slow
@pytest.mark.parametrize("tight", [False, True], ids=["fixed canvas", "tight canvas"])
@pytest.mark.parametrize("size", SIZES)
def test_a_picture_lies_where_the_networks_were_trained_to_see_it(
    size: tuple[int, int], *, tight: bool, ultralytics: Any
) -> None:
    from ultralytics.data.augment import LetterBox  # noqa: PLC0415 - once the quiet import is done

    mine = Letterbox.tight(size, 64, 32) if tight else Letterbox.fit(size, (64, 32))
    image, canvas = draw(size, mine)
    theirs = LetterBox(new_shape=(64, 64) if tight else (32, 64), auto=tight, stride=32)(image=image)
    np.testing.assert_array_equal(canvas, theirs)
    assert ultralytics is not None


def test_the_padding_is_left_alone() -> None:
    letterbox = Letterbox.fit((64, 16), (64, 32))
    _, canvas = draw((64, 16), letterbox)
    assert (canvas[: letterbox.top] == GREY).all()
    assert (canvas[letterbox.top + letterbox.height :] == GREY).all()


@given(
    width=st.integers(2, 4000),
    height=st.integers(2, 4000),
    canvas=st.tuples(st.integers(32, 1280), st.integers(32, 1280)),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_points_come_back_to_the_frame(
    width: int, height: int, canvas: tuple[int, int], share: tuple[float, float]
) -> None:
    letterbox = Letterbox.fit((width, height), canvas)
    inside = np.array([letterbox.left, letterbox.top]) + np.array(share) * [letterbox.width, letterbox.height]
    back = letterbox.to_frame(inside.astype(np.float32))
    np.testing.assert_allclose(back, np.array(share) * [width, height], atol=1e-3 * max(width, height))


def test_points_beside_the_frame_are_put_on_its_edge() -> None:
    letterbox = Letterbox.fit((100, 50), (64, 64))
    corners = letterbox.to_frame(np.array([[0, 0], [64, 64]], np.float32))
    np.testing.assert_array_equal(corners, [[0, 0], [100, 50]])


@given(size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)), longest=st.sampled_from([32, 320, 640, 1280]))
def test_a_tight_canvas_holds_the_picture_with_less_than_a_stride_to_spare(size: tuple[int, int], longest: int) -> None:
    letterbox = Letterbox.tight(size, longest, 32)
    assert letterbox.canvas_width % 32 == letterbox.canvas_height % 32 == 0
    assert 0 <= letterbox.canvas_width - letterbox.width < 32
    assert 0 <= letterbox.canvas_height - letterbox.height < 32
