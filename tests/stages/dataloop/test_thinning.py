"""Which frames are worth a record."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stages.dataloop.timeline.thinning import Runs

NOT_TIED = slice(0, 0)
Log = list[tuple[int, float, float]]


def thin(path: NDArray[np.float64], tolerance_px: float = 2.0, seen: NDArray[np.bool_] | None = None) -> Log:
    """Give (frame, x, y) of each record of one point, whose path has the shape (frames, 2)."""
    runs, log = Runs(1, tolerance_px, NOT_TIED), []
    shown = np.ones(len(path), np.bool_) if seen is None else seen
    slot = np.array([0])
    records = [runs.update(slot, place[None, None], is_seen[None, None], frame)
               for frame, (place, is_seen) in enumerate(zip(path, shown, strict=True))]  # fmt: skip
    for some in [*records, runs.end(0)]:
        log += [(frame, x, y) for frame, (x, y) in zip(some.frames.tolist(), some.places.tolist(), strict=True)]
    return log


def held(log: Log, frames: int) -> NDArray[np.float64]:
    """Play records, shape (frames, 2); NaN where it is hidden, or not there yet."""
    played = np.full((frames, 2), np.nan)
    for (frame, *place), (end, *_) in pairwise([*log, (frames, 0.0, 0.0)]):
        played[frame:end] = place
    return played


def one_circle_holds(points: NDArray[np.float64], radius: float) -> bool:
    """Tell by brute force: if any circle does, one with two of them on its rim does, or they all are one point."""
    ways = points[:, None] - points
    halves = np.hypot(*np.moveaxis(ways, -1, 0)) / 2
    first, second = np.nonzero((halves > 0) & (halves <= radius))
    way, half = ways[first, second], halves[first, second, None]
    across = np.stack([-way[:, 1], way[:, 0]], axis=-1) / (2 * half)
    middles = np.concatenate([points[:1], (points[first] + points[second]) / 2 + across * np.sqrt(radius**2 - half**2)])
    return bool((np.hypot(*np.moveaxis(points - middles[:, None], -1, 0)) <= radius + 1e-9).all(axis=1).any())


def fewest_records(path: NDArray[np.float64], radius: float) -> int:
    count, start = 1, 0
    for frame in range(1, len(path)):
        if not one_circle_holds(path[start : frame + 1], radius):
            count, start = count + 1, frame
    return count


def test_no_points_are_no_records() -> None:
    some = Runs(1, 2.0, NOT_TIED).update(np.zeros(0, np.intp), np.zeros((0, 1, 2)), np.zeros((0, 1), np.bool_), 0)

    assert len(some.frames) == 0


def test_a_point_that_was_never_seen_has_no_record() -> None:
    assert thin(np.zeros((5, 2)), seen=np.zeros(5, np.bool_)) == []


def test_a_point_that_stands_has_one_record() -> None:
    assert thin(np.full((1000, 2), 12.34)) == [(0, 12.3, 12.3)]


def test_a_record_is_in_the_middle_of_what_it_stands_for() -> None:
    assert thin(np.array([[10.0, 5], [13, 5]])) == [(0, 11.5, 5.0)]


def test_a_hidden_point_is_recorded_once_and_again_when_it_is_back() -> None:
    seen = np.array([True, True, False, False, True])

    frames, xs, _ = zip(*thin(np.full((5, 2), 3.0), seen=seen), strict=True)

    assert frames == (0, 2, 4)
    assert np.isnan(xs).tolist() == [False, True, False]


def test_minus_zero_is_not_written() -> None:
    ((_, x, _),) = thin(np.array([[-0.01, 1.0]]))

    assert str(x) == "0.0"


def test_tied_points_share_their_records() -> None:
    runs = Runs(2, 2.0, slice(0, 2))
    slot, seen = np.array([0]), np.ones((1, 2), np.bool_)
    runs.update(slot, np.array([[[0.0, 0], [0, 0]]]), seen, 0)

    some = runs.update(slot, np.array([[[0.0, 0], [50, 0]]]), seen, 1)

    assert some.lanes.tolist() == [0, 1]


def test_a_slot_that_is_used_again_knows_nothing_of_whom_it_belonged_to() -> None:
    runs, seen = Runs(1, 2.0, NOT_TIED), np.ones((1, 1), np.bool_)
    runs.update(np.array([0]), np.zeros((1, 1, 2)), seen, 0)
    runs.end(0)

    some = runs.update(np.array([0]), np.full((1, 1, 2), 500.0), seen, 1)

    assert len(some.frames) == 0
    assert runs.end(0).places.tolist() == [[500.0, 500.0]]


@pytest.mark.parametrize("tolerance_px", [0.1, 0.5, 2.0, 7.0])
@given(seed=st.integers(0, 2**32 - 1), pace=st.sampled_from([0.02, 0.5, 3.0]))
def test_what_is_played_is_never_farther_away_than_the_tolerance(tolerance_px: float, seed: int, pace: float) -> None:
    random = np.random.default_rng(seed)
    path = random.uniform(-4000, 4000, 2) + random.normal(0, pace, (60, 2)).cumsum(axis=0)
    seen = random.uniform(size=60) < 0.9

    played = held(thin(path, tolerance_px, seen), 60)

    assert (np.isnan(played[:, 0]) == ~seen).all()
    assert np.hypot(*(played - path)[seen].T).max(initial=0) <= tolerance_px + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_hardly_any_choice_has_fewer_records(seed: int) -> None:
    """What is lost is known: rounding, and the corners that a circle has more than the polygon that stands for it."""
    path = np.random.default_rng(seed).normal(0, 0.8, (150, 2)).cumsum(axis=0)
    inner_px = (2.0 - 0.0708) * np.cos(np.pi / 15)

    records = len(thin(path))

    assert fewest_records(path, 2.0) <= records <= fewest_records(path, inner_px)
