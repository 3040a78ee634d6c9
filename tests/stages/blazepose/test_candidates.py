import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from stages.blazepose.candidates import body_region, decode, merge


def test_nobody_gives_no_rows() -> None:
    points, scores = decode(np.zeros((2254, 12), np.float32), np.full((2254, 1), -1000, np.float32), 0.3)
    assert points.shape == (0, 4, 2)
    assert scores.shape == (0,)
    assert merge(points.astype(np.float64), scores).shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("anchor", "centre"),
    [
        pytest.param(0, (4, 4), id="first of stride 8"),
        pytest.param(3, (12, 4), id="second cell of stride 8"),
        pytest.param(1568, (8, 8), id="first of stride 16"),
        pytest.param(1960, (16, 16), id="first of stride 32"),
        pytest.param(2253, (208, 208), id="last"),
    ],
)
def test_points_are_relative_to_their_anchor(anchor: int, centre: tuple[float, float]) -> None:
    regressors, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -9, np.float32)
    regressors[anchor] = [1, 2, 10, 20, 3, 4, 5, 6, 0, 0, 0, 0]
    logits[anchor] = 0
    points, scores = decode(regressors, logits, 0.3)
    assert_allclose(points[0] - centre, [[-4, -8], [6, 12], [3, 4], [5, 6]])
    assert_allclose(scores, [0.5])


def candidate(x: float) -> NDArray[np.float64]:
    return np.array([[x, 0], [x + 10, 10], [x + 5, 20], [x + 5, 0]], np.float64)


def test_overlapping_candidates_are_blended_by_score_and_others_kept() -> None:
    points = np.stack([candidate(100), candidate(0), candidate(4)])
    merged = merge(points, np.array([0.5, 0.9, 0.3], np.float32))
    assert_allclose(merged, [candidate(1), candidate(100)], atol=1e-5)


def test_a_candidate_with_an_empty_box_does_not_hang_it() -> None:
    assert len(merge(np.zeros((3, 4, 2)), np.array([0.5, 0.4, 0.3], np.float32))) == 3


@pytest.mark.parametrize(
    ("rim", "side", "angle"),
    [
        pytest.param((50, 10), 100, 0, id="upright"),
        pytest.param((90, 50), 100, math.pi / 2, id="head on the right"),
        pytest.param((50, 90), 100, math.pi, id="head down"),
    ],
)
def test_a_body_is_turned_upright_about_its_hips(rim: tuple[float, float], side: float, angle: float) -> None:
    region = body_region(np.array([50.0, 50.0]), np.array(rim, np.float64))
    assert (region.x, region.y, region.width, region.height) == (50, 50, side, side)
    assert math.cos(region.angle - angle) == pytest.approx(1)


def test_a_body_without_size_still_has_a_region() -> None:
    assert body_region(np.zeros(2), np.zeros(2)).width == 1
