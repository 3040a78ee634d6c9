from typing import Any

import numpy as np
import pytest

from stages.arguments import are_several, checked_boxes, checked_picture

PICTURE = np.zeros((4, 6, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "several"),
    [
        pytest.param(PICTURE, False, id="a picture"),
        pytest.param(PICTURE[None], True, id="a stack of one"),
        pytest.param([PICTURE], True, id="a list"),
        pytest.param((PICTURE, PICTURE), True, id="a tuple"),
        pytest.param([], True, id="an empty list"),
        pytest.param("street.jpg", False, id="a text"),
        pytest.param(None, False, id="nothing"),
    ],
)
def test_a_stack_or_a_sequence_is_several_pictures(images: Any, several: bool) -> None:  # noqa: FBT001 - a table's row
    assert are_several(images) is several


@pytest.mark.parametrize(
    ("picture", "error", "message"),
    [
        pytest.param(None, TypeError, "got NoneType: cv2.imread gives None for a file it cannot read", id="None"),
        pytest.param("street.jpg", TypeError, "got str: cv2.imread reads a file", id="a path"),
        pytest.param(PICTURE[..., 0], ValueError, r"shape \(4, 6\): .*COLOR_GRAY2BGR", id="grey, no axis"),
        pytest.param(PICTURE[..., :1], ValueError, r"shape \(4, 6, 1\): .*COLOR_GRAY2BGR", id="grey, one channel"),
        pytest.param(np.zeros((4, 6, 4), np.uint8), ValueError, "COLOR_BGRA2BGR", id="four channels"),
        pytest.param(np.zeros((3, 40, 60), np.uint8), ValueError, r"image\.transpose\(1, 2, 0\)", id="channels first"),
        pytest.param(np.zeros((0, 6, 3), np.uint8), ValueError, r"H, W >= 1, got the shape \(0, 6, 3\)$", id="empty"),
        pytest.param(np.zeros(3, np.uint8), ValueError, r"got the shape \(3,\)$", id="one axis"),
        pytest.param(PICTURE / 255, TypeError, r"got float64: from 0\.\.1, \(image \* 255\)", id="float"),
        pytest.param(PICTURE.astype(np.int32), TypeError, "must be uint8, 0..255, got int32", id="int"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_way_to_mend_it(
    picture: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        checked_picture(picture, "images[7]")
    assert str(raised.value).startswith("images[7] must be ")


def test_a_picture_is_given_back_as_it_is() -> None:
    assert checked_picture(PICTURE, "it") is PICTURE


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        pytest.param([[1, 2, np.nan, 4]], r"boxes must be finite, got \[1.0, 2.0, nan, 4.0\] in row 0", id="NaN"),
        pytest.param([[1, 2, 3, 4], [1, 2, np.inf, 4]], "must be finite, .* in row 1", id="infinity"),
        pytest.param([[9, 2, 3, 4]], "x1 <= x2 and y1 <= y2, not width and height, got .* in row 0", id="turned round"),
        pytest.param([1, 2, 3, 4], r"boxes must be \(m, 4\): .*got the shape \(4,\)", id="one box without a row"),
        pytest.param([[1, 2, 3, 4, 0.9]], r"got the shape \(1, 5\)", id="with a score"),
    ],
)
def test_what_are_no_boxes_is_refused(boxes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_boxes(boxes, None)


@pytest.mark.parametrize("boxes", [[], np.empty((0, 4)), [[]]], ids=["list", "array", "nested"])
def test_no_boxes_are_nobody(boxes: Any) -> None:
    (table,) = checked_boxes(boxes, None)
    assert len(table) == 0


def test_boxes_of_several_pictures_are_a_table_each_and_score_1() -> None:
    tables = checked_boxes([[[1, 2, 3, 4], [5, 5, 5, 5]], []], 2)
    assert [len(table) for table in tables] == [2, 0]
    np.testing.assert_array_equal(tables[0].score, 1)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        pytest.param([[[1, 2, 3, 4]]], "one array for each of the 2 pictures, got 1", id="too few"),
        pytest.param([[]] * 3, "one array for each of the 2 pictures, got 3", id="too many"),
        pytest.param([[], [[1, np.nan, 3, 4]]], r"boxes\[1\] must be finite", id="one of them wrong"),
    ],
)
def test_boxes_that_do_not_fit_several_pictures_are_refused(boxes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_boxes(boxes, 2)
