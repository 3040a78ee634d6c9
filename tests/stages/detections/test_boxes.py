import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import WeightsError
from stages.detections.boxes import Wanted, detr, yolox
from stages.detections.placing import place
from stages.detections.reader import Reader

PEOPLE = Wanted(64, 64, None, 0.25)


def test_a_raw_cell_is_decoded_by_its_place_and_side() -> None:
    output = np.zeros((84, 8), np.float32)
    cell = 64 + 1 * 4 + 2  # 16 pixels wide: second row, third column
    output[cell] = [0.25, -0.5, np.log(2), 0, 0.8, 0.5, 0, 0]
    (row,) = yolox(output, PEOPLE)
    x, y = (2 + 0.25) * 16, (1 - 0.5) * 16
    np.testing.assert_allclose(row, [x - 16, y - 8, x + 16, y + 8, 0.4, 0], rtol=1e-6)


def test_a_score_that_only_both_factors_together_make_small_is_left_out() -> None:
    output = np.zeros((84, 8), np.float32)
    output[5, 4:6] = 0.4, 0.6
    assert len(yolox(output, PEOPLE)) == 0


def test_a_query_that_is_rather_a_dog_may_be_a_person_too() -> None:
    logits = np.full((1, 80), -9, np.float32)
    logits[0, 0], logits[0, 16] = 1, 3
    (row,) = detr(np.array([[0.5, 0.5, 0.5, 1]], np.float32), logits, PEOPLE)
    np.testing.assert_allclose(row, [16, 0, 48, 64, 1 / (1 + np.exp(-1)), 0], rtol=1e-6)


@pytest.mark.parametrize("logit", [-1e4, 1e4], ids=["certainly not", "certainly"])
def test_extreme_logits_overflow_nothing(logit: float) -> None:
    rows = detr(np.array([[0.5, 0.5, 1, 1]], np.float32), np.full((1, 80), logit, np.float32), PEOPLE)
    assert len(rows) == (logit > 0)


def test_the_first_detr_is_refused_for_its_softmax() -> None:
    with pytest.raises(WeightsError, match=r"92 logits a query, .* softmax; expected a network .* sigmoid"):
        detr(np.zeros((5, 4), np.float32), np.zeros((5, 92), np.float32), PEOPLE)


def test_an_empty_output_is_nobody() -> None:
    reader = Reader("dets", PEOPLE, 0.5, 10)
    (rows,) = reader.read([np.zeros((1, 0, 5), np.float32), np.zeros((1, 0), np.float32)])
    assert rows.shape == (0, 6)


sides = st.integers(1, 3000)


@given(sides, sides, st.sampled_from(["corner", "centre", "stretch"]), st.integers(1, 20), st.integers(1, 20))
def test_the_corners_of_a_frame_come_back_from_wherever_it_was_laid(
    width: int, height: int, fit: str, columns: int, rows: int
) -> None:
    canvas = columns * 32, rows * 32
    box = place(fit, (width, height), canvas)  # type: ignore[arg-type]
    assert 0 <= box.left <= box.left + box.width <= canvas[0]
    assert 0 <= box.top <= box.top + box.height <= canvas[1]
    corners = np.array([[box.left, box.top], [box.left + box.width, box.top + box.height]], np.float32)
    np.testing.assert_allclose(box.to_frame(corners), [[0, 0], [width, height]], rtol=1e-5, atol=1e-3)
    if fit == "corner":
        assert (box.left, box.top) == (0, 0)
    if fit == "stretch":
        assert (box.width, box.height) == canvas
