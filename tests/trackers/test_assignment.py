"""Likeness of boxes and poses, and the best pairing of them."""

import itertools
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from trackers.assignment import Solver, assign, iou, oks

Array = NDArray[np.float64]

SOLVERS = get_args(Solver)

some_boxes = hnp.arrays(np.float32, st.tuples(st.integers(0, 5), st.just(4)), elements=st.floats(-1e4, 1e4, width=32))
shapes = st.tuples(st.integers(0, 6), st.integers(0, 6))
costs = hnp.arrays(np.float64, shapes, elements=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0, np.inf])))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([0, 0, 2, 2], [0, 0, 2, 2], 1, id="the same"),
        pytest.param([0, 0, 2, 2], [1, 0, 3, 2], 1 / 3, id="half over"),
        pytest.param([0, 0, 4, 4], [1, 1, 2, 2], 1 / 16, id="inside"),
        pytest.param([0, 0, 2, 2], [2, 0, 4, 2], 0, id="touching"),
        pytest.param([0, 0, 2, 2], [5, 5, 6, 6], 0, id="apart"),
        pytest.param([1, 1, 1, 1], [1, 1, 1, 1], 0, id="the same point"),
        pytest.param([1, 1, 1, 1], [0, 0, 2, 2], 0, id="a point inside"),
        pytest.param([2, 2, 0, 0], [0, 0, 2, 2], 0, id="inside out"),
        pytest.param([2, 2, 0, 0], [2, 2, 0, 0], 0, id="both inside out"),
        pytest.param([-3e38, -3e38, 3e38, 3e38], [-3e38, -3e38, 3e38, 3e38], 1, id="as large as float32"),
    ],
)
def test_iou_of_two_boxes(a: list[float], b: list[float], expected: float) -> None:
    assert iou(np.array([a], np.float32), np.array([b], np.float32)) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)], ids=["none", "no rows", "no columns"])
def test_iou_with_nobody_has_no_entries(n: int, m: int) -> None:
    assert iou(np.zeros((n, 4)), np.zeros((m, 4))).shape == (n, m)


@given(a=some_boxes, b=some_boxes)
def test_iou_is_a_symmetric_share(a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    got = iou(a, b)
    assert got.shape == (len(a), len(b))
    assert ((got >= 0) & (got <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(got, iou(b, a).T)


def coco_oks(pose: Array, truth: Array, visible: Array, area: float) -> float:
    """The sum of COCO's definition, joint by joint."""
    terms = [
        np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * area * (2 * sigma) ** 2))
        for (x, y), (u, v), seen, sigma in zip(pose, truth, visible, COCO_17.sigmas, strict=True)
        if seen
    ]
    return float(np.mean(terms)) if terms else 0.0


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 4), m=st.integers(0, 4))
def test_oks_with_visibilities_is_that_of_coco(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    truth, pose = rng.uniform(0, 60, (n, 17, 2)), rng.uniform(0, 60, (m, 17, 2))
    visible = (rng.random((n, 17)) < 0.5).astype(np.float64)
    area = rng.uniform(500, 5000, n)
    got = oks(truth, pose, weight_a=visible, weight_b=np.ones((m, 17)), area=area, sigmas=np.array(COCO_17.sigmas))
    expected = [[coco_oks(pose[j], truth[i], visible[i], area[i]) for j in range(m)] for i in range(n)]
    np.testing.assert_allclose(got, np.reshape(expected, (n, m)), atol=1e-12)


POSE = np.random.default_rng(1).uniform(0, 100, (1, 17, 2))
SURE = np.ones((1, 17))


def oks_of(a: Array, b: Array, weight: Array = SURE, area: float = 5000.0) -> float:
    sigmas = np.array(COCO_17.sigmas)
    return float(oks(a, b, weight_a=weight, weight_b=SURE, area=np.array([area]), sigmas=sigmas)[0, 0])


def test_the_same_pose_has_oks_one_whatever_its_area() -> None:
    assert oks_of(POSE, POSE) == 1
    assert oks_of(POSE, POSE, area=0.0) == 1


def test_another_pose_of_a_person_without_area_has_oks_zero() -> None:
    assert oks_of(POSE, POSE + 1, area=0.0) == 0


def test_oks_can_be_relative_to_an_area_of_each_pair() -> None:
    rng = np.random.default_rng(3)
    poses, area, sigmas = rng.uniform(0, 60, (3, 17, 2)), rng.uniform(500, 5000, (2, 3)), np.array(COCO_17.sigmas)
    sure = np.ones((3, 17))
    got = oks(poses[:2], poses, weight_a=sure[:2], weight_b=sure, area=area, sigmas=sigmas)
    expected = [[coco_oks(poses[j], poses[i], sure[i], area[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_poses_without_a_common_joint_have_oks_zero() -> None:
    assert oks_of(POSE, POSE, weight=np.zeros((1, 17))) == 0


def test_one_joint_in_place_does_not_excuse_sixteen_far_away() -> None:
    far = POSE + 500
    far[0, 0] = POSE[0, 0]
    assert oks_of(POSE, far) == pytest.approx(1 / 17)


def test_a_doubtful_joint_counts_less_than_a_sure_one() -> None:
    moved, doubt = POSE.copy(), SURE.copy()
    moved[0, 9] += 80
    doubt[0, 9] = 0.1
    assert oks_of(POSE, moved) < oks_of(POSE, moved, weight=doubt) < 1


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("cost", "max_cost", "pairs", "rows", "columns"),
    [
        pytest.param(np.empty((0, 0)), 1, [], [], [], id="nobody"),
        pytest.param(np.empty((0, 2)), 1, [], [], [0, 1], id="no rows"),
        pytest.param(np.empty((2, 0)), 1, [], [0, 1], [], id="no columns"),
        pytest.param([[1, 1], [2, np.inf]], 1, [], [0, 1], [0, 1], id="all gated"),
        pytest.param([[0.5]], 0.5, [], [0], [0], id="the gate itself is outside"),
        pytest.param([[0.2, 0.9]], 1, [[0, 0]], [], [1], id="one row"),
        pytest.param([[0.9], [0.2], [0.8]], 1, [[1, 0]], [0, 2], [], id="one column"),
        pytest.param([[0.1, 0.2], [0.2, 0.9]], 1, [[0, 1], [1, 0]], [], [], id="the best sum, not the best pair"),
        pytest.param([[0.1, 0.5], [0.5, 2.0]], 0.6, [[0, 0]], [1], [1], id="one good pair, not two bad ones"),
        # With the gate after the solver, 0-1 and 1-0 would win (1.0 to 1.3), then 1-0 would fall to the gate.
        pytest.param([[0.1, 0.3], [0.7, 1.2]], 0.6, [[0, 0]], [1], [1], id="a gated pair takes no partner"),
        # With a large number in the gate, the solver would avoid 1-1 at any price and match 0-1 and 1-0.
        pytest.param([[0.0, 0.9], [0.9, 5.0]], 1, [[0, 0]], [1], [1], id="a gate is no large number"),
    ],
)
def test_the_best_pairing(
    solver: Solver,
    cost: list[list[float]],
    max_cost: float,
    pairs: list[list[int]],
    rows: list[int],
    columns: list[int],
) -> None:
    got = assign(np.asarray(cost, np.float64), max_cost, solver=solver)
    assert [part.tolist() for part in got] == [pairs, rows, columns]
    assert got[0].shape == (len(pairs), 2)


@pytest.mark.parametrize("solver", SOLVERS)
def test_ties_still_give_everybody_one_partner(solver: Solver) -> None:
    pairs, rows, columns = assign(np.full((4, 4), 0.5), 1, solver=solver)
    assert pairs[:, 0].tolist() == [0, 1, 2, 3]
    assert sorted(pairs[:, 1].tolist()) == [0, 1, 2, 3]
    assert rows.size == columns.size == 0


@pytest.mark.parametrize("value", [np.nan, -np.inf], ids=["nan", "minus infinity"])
def test_a_cost_that_is_no_cost_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="a cost must be a number"):
        assign(np.array([[0.1, value]]), 1)


def gain(cost: Array, pairs: NDArray[np.int64], max_cost: float) -> float:
    return float((max_cost - cost[pairs[:, 0], pairs[:, 1]]).sum())


@given(cost=costs, max_cost=st.floats(0.1, 1))
def test_both_solvers_reach_the_same_sum_and_pair_nobody_twice(cost: Array, max_cost: float) -> None:
    gains = []
    for solver in SOLVERS:
        pairs, rows, columns = assign(cost, max_cost, solver=solver)
        assert (cost[pairs[:, 0], pairs[:, 1]] < max_cost).all()
        assert sorted([*pairs[:, 0], *rows]) == list(range(cost.shape[0]))
        assert sorted([*pairs[:, 1], *columns]) == list(range(cost.shape[1]))
        gains.append(gain(cost, pairs, max_cost))
    assert gains[0] == pytest.approx(gains[1])


@given(cost=hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(0, 2)))
def test_no_other_pairing_is_better(cost: Array) -> None:
    tall = cost if cost.shape[0] >= cost.shape[1] else cost.T
    best = max(
        sum(max(1 - tall[row, column], 0) for column, row in enumerate(rows))
        for rows in itertools.permutations(range(tall.shape[0]), tall.shape[1])
    )
    assert gain(cost, assign(cost, 1)[0], 1) == pytest.approx(best)
