from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.skeletons import COCO_17
from stages.detections.letterbox import Letterbox
from stages.detections.rows import candidates, finished, suppress, table

LETTERBOX = Letterbox.fit((200, 100), (100, 100))


def rows_of(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 6)


def test_a_candidate_is_a_box_around_its_centre_with_its_best_class_and_what_else_is_known() -> None:
    output = np.array([[10, 20, 4, 6, 0.2, 0.9, 7, 8]], np.float32).T
    np.testing.assert_allclose(candidates(output, 2, (0, 1), 0.25), [[8, 17, 12, 23, 0.9, 1, 7, 8]])


@pytest.mark.parametrize(
    ("scores", "count"),
    [
        pytest.param([0.25, 0.1], 0, id="at the threshold"),
        pytest.param([0.26, 0.1], 1, id="above it"),
        pytest.param([0.3, 0.9], 0, id="more likely of an unwanted class"),
        pytest.param([0.9, 0.3], 1, id="of the wanted class"),
    ],
)
def test_a_candidate_is_sure_to_be_of_a_wanted_class(scores: list[float], count: int) -> None:
    output = np.array([[10, 20, 4, 6, *scores]], np.float32).T
    assert len(candidates(output, 2, (0,), 0.25)) == count


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        pytest.param(rows_of(), [], id="nobody"),
        pytest.param(rows_of((0, 0, 10, 10, 0.5, 0)), [0], id="one"),
        pytest.param(rows_of((0, 0, 10, 10, 0.5, 0), (0, 0, 10, 10, 0.9, 0)), [1], id="the same box twice"),
        pytest.param(rows_of((0, 0, 10, 10, 0.5, 0), (0, 0, 10, 10, 0.9, 1)), [1, 0], id="of two classes"),
        pytest.param(rows_of((0, 0, 10, 10, 0.5, 0), (10, 0, 20, 10, 0.9, 0)), [1, 0], id="touching"),
        pytest.param(rows_of((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 5, 0.5, 0)), [0, 1], id="overlap at the threshold"),
        pytest.param(rows_of((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 5.1, 0.5, 0)), [0], id="overlap above it"),
        pytest.param(rows_of((5, 5, 5, 5, 0.9, 0), (5, 5, 5, 5, 0.5, 0)), [0, 1], id="without area"),
        pytest.param(
            rows_of((0, 0, 10, 10, 0.9, 0), (4, 0, 14, 10, 0.8, 0), (8, 0, 18, 10, 0.7, 0)), [0, 1, 2], id="a chain"
        ),
    ],
)
def test_of_boxes_that_overlap_the_best_stays(rows: np.ndarray, kept: list[int]) -> None:
    np.testing.assert_array_equal(suppress(rows, 0.5, 300), rows[kept])


def test_no_more_rows_are_kept_than_asked_for() -> None:
    rows = rows_of(*((20 * i, 0, 20 * i + 10, 10, 0.5 + i / 100, 0) for i in range(9)))
    np.testing.assert_array_equal(suppress(rows, 0.5, 2), rows[[8, 7]])


BOXES = st.lists(
    st.tuples(*[st.floats(0, 100, width=32)] * 4, st.floats(0.125, 1, width=32), st.integers(0, 1)), max_size=40
)


@given(boxes=BOXES, iou=st.sampled_from([0.0, 0.3, 0.7, 1.0]))
def test_what_is_kept_does_not_overlap_and_is_in_order(boxes: list[tuple[float, ...]], iou: float) -> None:
    rows = rows_of(*((x, y, x + w, y + h, score, kind) for x, y, w, h, score, kind in boxes))
    kept = suppress(rows, iou, 300)
    assert (np.diff(kept[:, 4]) <= 0).all()
    np.testing.assert_array_equal(suppress(kept, iou, 300), kept)
    assert bool(len(kept)) == bool(boxes)


@pytest.mark.slow
@pytest.mark.parametrize("iou", [0.3, 0.7])
def test_suppression_agrees_with_ultralytics(iou: float, ultralytics: Any) -> None:
    import torch  # noqa: PLC0415 - once the quiet import is done
    from ultralytics.utils.nms import non_max_suppression  # noqa: PLC0415

    rng = np.random.default_rng(3)
    output = np.concatenate([rng.uniform(20, 80, (4, 500)), rng.uniform(0, 1, (3 + 51, 500))]).astype(np.float32)
    mine = suppress(candidates(output, 3, (0, 2), 0.4), iou, 50)
    theirs = non_max_suppression(torch.from_numpy(output)[None], 0.4, iou, [0, 2], nc=3, max_det=50)[0]
    np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-6)
    assert ultralytics is not None


def test_finished_rows_are_filtered_and_put_in_order() -> None:
    output = rows_of((0, 0, 1, 1, 0.3, 0), (0, 0, 1, 1, 0.9, 0), (0, 0, 1, 1, 0.8, 5), (0, 0, 1, 1, 0.25, 0))
    np.testing.assert_array_equal(finished(output, (0,), 0.25), output[[1, 0]])


@pytest.mark.parametrize("values", [2, 3], ids=["without joint scores", "with joint scores"])
def test_a_table_is_in_pixels_of_the_frame(values: int) -> None:
    row = np.array([[10, 25, 60, 75, 0.5, 0] + [50, 50, 0.25][:values] * 17], np.float32)
    people = table(row, COCO_17, LETTERBOX)
    np.testing.assert_array_equal(people.xyxy, [[20, 0, 120, 100]])
    assert people.keypoints is not None
    assert people.keypoint_score is not None
    np.testing.assert_array_equal(people.keypoints[0, 16], [100, 50])
    assert people.keypoint_score[0, 16] == (0.25 if values == 3 else 0.5)


@pytest.mark.parametrize("skeleton", [None, COCO_17], ids=["boxes", "poses"])
def test_a_table_of_nobody_has_its_columns(skeleton: Any) -> None:
    people = table(np.empty((0, 6 + (51 if skeleton else 0)), np.float32), skeleton, LETTERBOX)
    assert len(people) == 0
    assert people.skeleton is skeleton
