"""What observations do for OC-SORT that a filter alone does not."""

import numpy as np
import pytest
from scenes import FRAME, NOBODY, every, ids_of, people, walk

from pipeline.types import Instances
from trackers.kalman import BoxMotion
from trackers.ocsort import OcSort, Options


def filter_of(tracker: OcSort) -> tuple[np.ndarray, np.ndarray]:
    return tracker._motion.xyxy, tracker._motion.velocity


def test_the_filter_runs_over_a_gap_again_as_if_somebody_had_been_seen_moving_straight() -> None:
    steps, gap = 10, {4, 5, 6}
    boxes = [people((100 + 6 * i, 300)).xyxy.astype(np.float64) for i in range(steps)]
    tracker = OcSort()
    for i in range(8):
        tracker.update(NOBODY if i in gap else Instances.of(boxes[i], [0.9]), i * FRAME)

    straight = BoxMotion()
    straight.initiate(boxes[0])
    for i in range(1, 8):
        straight.predict(FRAME)
        straight.update(np.array([0]), boxes[i])
    got_box, got_velocity = filter_of(tracker)
    np.testing.assert_allclose(got_box, straight.xyxy, rtol=1e-6)
    np.testing.assert_allclose(got_velocity, straight.velocity, rtol=1e-6)
    np.testing.assert_allclose(tracker._motion.covariance, straight.covariance, rtol=1e-6)


def test_gaps_of_different_lengths_are_made_up_for_at_once() -> None:
    both, alone = OcSort(), OcSort()
    for i in range(12):
        short, long = (100 + 6 * i, 300), (400 + 6 * i, 300)
        seen = [person for person, gap in ((short, range(9, 11)), (long, range(5, 11))) if i not in gap]
        both.update(people(*seen), i * FRAME)
        alone.update(NOBODY if i in range(5, 11) else people(long), i * FRAME)
    np.testing.assert_allclose(filter_of(both)[0][1:], filter_of(alone)[0], rtol=1e-9)
    np.testing.assert_allclose(filter_of(both)[1][1:], filter_of(alone)[1], rtol=1e-9)


def test_without_a_gap_nothing_is_run_again() -> None:
    with_it, without = OcSort(Options(update_again=True)), OcSort(Options(update_again=False))
    for tracker in (with_it, without):
        ids_of(tracker, walk(every(FRAME, 12)))
    np.testing.assert_array_equal(filter_of(with_it)[0], filter_of(without)[0])


def test_who_stops_behind_a_pillar_is_found_where_he_was_last_seen() -> None:
    scene = walk(every(FRAME, 20), speed=300.0)
    last = scene[-1][1]
    scene += [(t + 20 * FRAME, NOBODY) for t in every(FRAME, 12)]
    scene += [(t + 32 * FRAME, last) for t in every(FRAME, 6)]
    assert ids_of(OcSort(Options(recover=True)), scene)[-1] == [1]
    assert ids_of(OcSort(Options(recover=False)), scene)[-1] == [2]


def test_of_two_boxes_that_overlap_alike_the_one_ahead_is_his() -> None:
    """Both lie 17 px from where he is believed to be; the one behind, a little nearer."""
    times = every(FRAME, 10)
    scene = [(t, people((100 + 60 * t, 300))) for t in times]
    believed = 100 + 60 * 10 * FRAME
    for weight, expected in ((0.9, 1), (0.0, 0)):
        boxes = people((believed - 16.9, 300), (believed + 17, 300))
        got = ids_of(OcSort(Options(direction_weight=weight)), [*scene, (10 * FRAME, boxes)])
        assert got[-1].index(1) == expected


@pytest.mark.parametrize(("direction_seconds", "expected"), [(0.0, 9), (0.07, 7), (0.1, 6), (5.0, 2)])
def test_a_direction_is_of_the_oldest_box_that_is_not_too_old(direction_seconds: float, expected: int) -> None:
    tracker = OcSort(Options(direction_seconds=direction_seconds))
    ids_of(tracker, [(t, people((100 + 4 * i, 300))) for i, t in enumerate(every(FRAME, 10))])
    before = tracker._earlier_boxes()
    assert before[0, 0] == pytest.approx(80 + 4 * expected)


def test_what_was_observed_moves_with_the_camera() -> None:
    tracker, shift = OcSort(), np.array([[1.0, 0, 300], [0, 1, 0]])
    ids_of(tracker, walk(every(FRAME, 10), speed=0))
    tracker.update(NOBODY, 10 * FRAME, warp=shift)
    tracker.update(NOBODY, 11 * FRAME)
    track_id = tracker.update(people((400, 300)), 12 * FRAME).track_id
    assert track_id is not None
    assert track_id.tolist() == [1]
    np.testing.assert_allclose(filter_of(tracker)[1], 0, atol=1e-6)
