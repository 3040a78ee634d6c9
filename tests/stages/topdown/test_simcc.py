import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from stages.topdown.simcc import decode_simcc, flip_back_simcc


def row(length: int, **values: float) -> np.ndarray:
    """Zeros but for `at_3=0.5`."""
    made = np.zeros((1, 1, length), np.float32)
    for place, value in values.items():
        made[..., int(place.removeprefix("at_"))] = value
    return made


@pytest.mark.parametrize(
    ("x", "y", "point", "score"),
    [
        pytest.param(row(8), row(6), (-0.5, -0.5), 0, id="nothing"),
        pytest.param(row(8) - 3, row(6) - 2, (-0.5, -0.5), -3, id="negative"),
        pytest.param(row(8, at_5=1), row(6), (-0.5, -0.5), 0, id="only x"),
        pytest.param(row(8) + 1, row(6) + 2, (0, 0), 1, id="constant: the first class"),
        pytest.param(row(8, at_2=4, at_6=4), row(6, at_1=4), (1, 0.5), 4, id="a tie: the first class"),
        pytest.param(row(8, at_7=0.5), row(6, at_5=0.25), (3.5, 2.5), 0.25, id="the last classes"),
        pytest.param(row(1, at_0=2), row(1, at_0=3), (0, 0), 2, id="one class"),
        pytest.param(row(8, at_3=9), row(6, at_2=7), (1.5, 1), 7, id="above 1: the raw value"),
        pytest.param(row(8, at_3=np.nan), row(6, at_2=7), (-0.5, -0.5), np.nan, id="no number"),
    ],
)
def test_a_joint_is_where_both_axes_are_best(
    x: np.ndarray, y: np.ndarray, point: tuple[float, float], score: float
) -> None:
    points, scores = decode_simcc(x, y, 2.0)
    assert_array_equal(points, [[point]])
    assert_array_equal(scores, [[np.float32(score)]])
    assert scores.dtype == np.float32


def test_nobody_has_no_joints() -> None:
    points, score = decode_simcc(np.empty((0, 17, 384), np.float32), np.empty((0, 17, 512), np.float32))
    assert points.shape == (0, 17, 2)
    assert score.shape == (0, 17)


@given(seed=st.integers(0, 1000), ratio=st.sampled_from([1.0, 2.0, 3.0]))
def test_a_joint_alone_is_the_same_and_lies_in_the_input(seed: int, ratio: float) -> None:
    random = np.random.default_rng(seed)
    x, y = (random.normal(size=(3, 5, length)).astype(np.float32) for length in (48, 64))
    points, score = decode_simcc(x, y, ratio)
    assert (points >= -1).all()
    assert (points < np.array([48, 64]) / ratio).all()
    for person in range(3):
        alone = decode_simcc(x[person : person + 1], y[person : person + 1], ratio)
        assert_array_equal(alone[0][0], points[person])
        assert_array_equal(alone[1][0], score[person])


def test_a_mirror_reverses_x_and_swaps_left_and_right() -> None:
    x, y = np.arange(6.0, dtype=np.float32).reshape(1, 3, 2), np.arange(9.0, dtype=np.float32).reshape(1, 3, 3)
    back_x, back_y = flip_back_simcc(x, y, [(1, 2)])
    assert_array_equal(back_x, [[[1, 0], [5, 4], [3, 2]]])
    assert_array_equal(back_y, [[[0, 1, 2], [6, 7, 8], [3, 4, 5]]])


def test_twice_in_a_mirror_is_once_in_the_world() -> None:
    random = np.random.default_rng(0)
    x, y = (random.normal(size=(2, 4, length)).astype(np.float32) for length in (7, 8))
    for before, after in zip((x, y), flip_back_simcc(*flip_back_simcc(x, y, [(0, 3)]), [(0, 3)]), strict=True):
        assert_array_equal(before, after)
