"""Rescoring and OKS-NMS against the official description, written out joint by joint."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from stages.evaluation.scoring import oks_nms, rescore

SIGMAS = [s / 10 for s in [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]]  # fmt: skip # noqa: E501 - as the text has them

Array = NDArray[np.float64]


def plain_rescore(box: float, joints: list[float]) -> float:
    total, number = 0.0, 0
    for joint in joints:
        if joint > 0.2:
            total += joint
            number += 1
    return box * total / number if number else 0.0


def plain_oks(a: Array, b: Array, area_a: float, area_b: float) -> float:
    terms = []
    for (x, y), (u, v), sigma in zip(a, b, SIGMAS, strict=True):
        squared = (x - u) ** 2 + (y - v) ** 2
        terms.append(math.exp(-squared / (2 * sigma) ** 2 / ((area_a + area_b) / 2 + 2.220446049250313e-16) / 2))
    return sum(terms) / len(terms)


def plain_nms(points: Array, score: Array, area: Array, most: float) -> list[int]:
    waiting = sorted(range(len(score)), key=lambda row: -score[row])
    kept = []
    while waiting:
        best, *others = waiting
        kept.append(best)
        waiting = [row for row in others if plain_oks(points[best], points[row], area[best], area[row]) <= most]
    return kept


@pytest.mark.parametrize(
    ("box", "joints", "expected"),
    [
        pytest.param(0.9, [0.0, 0.1, 0.2], 0.0, id="nothing rises above the threshold"),
        pytest.param(0.0, [0.9, 0.9, 0.9], 0.0, id="a box of no score"),
        pytest.param(0.5, [0.2, 0.6, 0.8], 0.35, id="the threshold itself does not count"),
        pytest.param(1.0, [0.3, 0.3, 0.3], 0.3, id="ground truth"),
    ],
)
def test_a_pose_scores_as_its_sure_joints_times_its_box(box: float, joints: list[float], expected: float) -> None:
    assert rescore([box], [joints]) == pytest.approx(expected)


def test_nobody_has_no_scores_and_nobody_is_kept() -> None:
    assert rescore(np.empty(0), np.empty((0, 17))).shape == (0,)
    assert oks_nms(np.empty((0, 17, 2)), np.empty(0), np.empty(0), SIGMAS).tolist() == []


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 8))
def test_scores_are_those_of_the_text(seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    box, joints = random.random(n), random.random((n, 17)).round(1)
    expected = [plain_rescore(*row) for row in zip(box.tolist(), joints.tolist(), strict=True)]
    np.testing.assert_allclose(rescore(box, joints), expected, atol=1e-6)


def test_the_sigmas_are_those_of_the_text() -> None:
    np.testing.assert_allclose(COCO_17.sigmas, SIGMAS, rtol=1e-12)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 12), spread=st.floats(0, 6))
def test_the_kept_poses_are_those_of_the_text(seed: int, n: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    people = random.uniform(0, 200, (3, 17, 2))
    points = people[random.integers(0, 3, n)] + random.normal(0, 1, (n, 17, 2)) * spread
    score, area = random.random(n), random.uniform(0, 40_000, n) * random.integers(0, 2, n)
    for most in (0.5, 0.9, 1.0):
        assert oks_nms(points, score, area, SIGMAS, most).tolist() == plain_nms(points, score, area, most)


POSE = np.random.default_rng(0).uniform(0, 100, (17, 2))


def kept(points: Any, score: list[float], area: list[float]) -> list[int]:
    return [int(row) for row in oks_nms(points, score, area, SIGMAS)]


def test_of_a_pose_seen_twice_the_better_is_kept() -> None:
    assert kept([POSE, POSE], [0.3, 0.8], [5000, 5000]) == [1]


def test_of_equal_poses_the_first_is_kept() -> None:
    assert kept([POSE, POSE, POSE], [0.5, 0.5, 0.5], [5000, 5000, 5000]) == [0]


def test_the_kept_come_best_first() -> None:
    assert kept([POSE, POSE + 500, POSE - 500], [0.3, 0.9, 0.6], [5000, 5000, 5000]) == [1, 2, 0]


def test_poses_nearly_as_far_as_the_threshold_are_told_apart_by_the_mean_of_both_areas() -> None:
    moved = POSE + 1
    assert plain_oks(POSE, moved, 1000, 9000) > 0.9 > plain_oks(POSE, moved, 1000, 1000)
    assert kept([POSE, moved], [0.8, 0.3], [1000, 9000]) == [0]
    assert kept([POSE, moved], [0.8, 0.3], [1000, 1000]) == [0, 1]


def test_a_suppressed_pose_suppresses_nobody() -> None:
    first, second, third = POSE, POSE + 1.5, POSE + 3
    area = [4000.0] * 3
    assert plain_oks(first, second, 4000, 4000) > 0.8
    assert plain_oks(second, third, 4000, 4000) > 0.8 > plain_oks(first, third, 4000, 4000)
    assert oks_nms([first, second, third], [0.9, 0.8, 0.7], area, SIGMAS, 0.8).tolist() == [0, 2]
