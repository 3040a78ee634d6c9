"""SORT, OC-SORT and the similarity of frames in made-up scenes: what all of them must bear."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scenes import FRAME, NOBODY, every, ids_of, people, walk

from pipeline.plugin import Options
from pipeline.types import NO_TRACK, Instances
from trackers import bytetrack, ocsort, similarity, sort
from trackers.base import Tracker
from trackers.camera_motion import STILL

Make = Callable[..., Any]


def maker(tracker: Callable[[Any], Tracker], options: type[Options]) -> Make:
    return lambda **given: tracker(options(**given))


SORT = maker(sort.Sort, sort.Options)
OCSORT = maker(ocsort.OcSort, ocsort.Options)
BYTETRACK = maker(bytetrack.ByteTrack, bytetrack.Options)
SIMILARITY = maker(similarity.Similarity, similarity.Options)

ALL = pytest.mark.parametrize("make", [SORT, OCSORT, SIMILARITY], ids=["sort", "ocsort", "similarity"])
WARPED = pytest.mark.parametrize(
    "make", [SORT, OCSORT, SIMILARITY, BYTETRACK], ids=["sort", "ocsort", "similarity", "bytetrack"]
)
MOVING = pytest.mark.parametrize("make", [SORT, OCSORT], ids=["sort", "ocsort"])


@ALL
def test_nobody_ever_leaves_no_ids_and_no_state(make: Make) -> None:
    tracker = make()
    assert ids_of(tracker, [(t, NOBODY) for t in every(FRAME, 5)]) == [[]] * 5
    assert len(tracker._people) == 0


@ALL
def test_people_of_the_first_frame_get_their_ids_at_once(make: Make) -> None:
    assert ids_of(make(), [(7.5, people((100, 100), (300, 100)))]) == [[1, 2]]


@ALL
def test_after_an_empty_first_frame_people_are_confirmed_when_they_have_lasted(make: Make) -> None:
    got = ids_of(make(confirm_seconds=0.09), [(0, NOBODY), *walk([FRAME * i for i in range(1, 6)])])
    assert got == [[], [NO_TRACK], [NO_TRACK], [NO_TRACK], [1], [1]]


@ALL
def test_a_false_alarm_spends_no_id(make: Make) -> None:
    here, ghost = (100, 300), (500, 300)
    scene = [people(here), people(here, ghost), *[people(here)] * 20, *[people(here, (800, 300))] * 5]
    got = ids_of(make(patience_seconds=0.5), zip(every(FRAME, 27), scene, strict=True))
    assert got[1] == [1, NO_TRACK]
    assert got[-1] == [1, 2]


@ALL
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(every(FRAME, 90), id="30 fps"),
        pytest.param(every(0.2, 15), id="5 fps"),
        pytest.param(np.cumsum(np.random.default_rng(3).uniform(0.005, 0.25, 40)).tolist(), id="irregular"),
        pytest.param([t + 1e9 for t in every(FRAME, 30)], id="far from zero"),
    ],
)
def test_one_walker_is_one_id_at_any_frame_rate(make: Make, times: list[float]) -> None:
    assert ids_of(make(), walk(times, speed=50)) == [[1]] * len(times)


@ALL
def test_people_who_cross_keep_their_ids(make: Make) -> None:
    times = every(FRAME, 90)
    scene = [people((100 + 100 * t, 300), (400 - 100 * t, 330)) for t in times]
    assert ids_of(make(), zip(times, scene, strict=True)) == [[1, 2]] * 90


@ALL
def test_one_missed_frame_costs_nobody_his_id(make: Make) -> None:
    scene = [(t, NOBODY if i in {10, 20, 21} else table) for i, (t, table) in enumerate(walk(every(FRAME, 40)))]
    assert {track for ids in ids_of(make(), scene) for track in ids} == {1}


@MOVING
def test_people_who_cross_hidden_by_each_other_keep_their_ids(make: Make) -> None:
    times = every(FRAME, 90)
    scene = []
    for t in times:
        left, right = (100 + 100 * t, 300), (400 - 100 * t, 310)
        scene.append(people(left) if abs(left[0] - right[0]) < 20 else people(left, right))
    got = ids_of(make(), zip(times, scene, strict=True))
    assert {tuple(ids) for ids in got if len(ids) == 2} == {(1, 2)}


@MOVING
@pytest.mark.parametrize("step", [FRAME, 0.2], ids=["30 fps", "5 fps"])
@pytest.mark.parametrize(("gap_seconds", "expected"), [(0.25, 1), (0.8, 1), (3.0, 2)])
def test_a_walker_behind_a_pillar_is_known_for_as_long_as_patience_lasts(
    make: Make, step: float, gap_seconds: float, expected: int
) -> None:
    times = every(step, round(7 / step))
    scene = [(t, table if not 2 < t < 2 + gap_seconds else NOBODY) for t, table in walk(times)]
    assert ids_of(make(), scene)[-1] == [expected]


@MOVING
def test_somebody_who_vanishes_while_coming_closer_is_known_when_back(make: Make) -> None:
    near = [Instances.of([[100 - 3 * i, 200 - 3 * i, 140 + 3 * i, 300 + 3 * i]], [0.9]) for i in range(8)]
    scene = [*near, *[NOBODY] * 25, near[-1]]
    options = {} if make is SORT else {"recover": False}
    assert ids_of(make(**options), zip(every(FRAME, 34), scene, strict=True))[-1] == [1]


@MOVING
@pytest.mark.parametrize(("shift_px", "expected"), [(20, 1), (24, NO_TRACK)], ids=["IoU 0.33", "IoU 0.25"])
def test_too_little_overlap_is_somebody_else_also_straight_ahead(make: Make, shift_px: float, expected: int) -> None:
    scene = [*[people((100, 300))] * 9, people((100 + shift_px, 300))]
    assert ids_of(make(), zip(every(FRAME, 10), scene, strict=True))[-1] == [expected]
    running = walk(every(FRAME, 20), speed=60)
    ahead = people((100 + 60 * 20 * FRAME + shift_px, 300))
    assert ids_of(make(), [*running, (20 * FRAME, ahead)])[-1] == [expected]


@ALL
def test_patience_is_of_time_not_of_frames(make: Make) -> None:
    here = people((100, 300))
    for step, frames in ((FRAME, 12), (0.2, 2)):
        scene = [here, *[NOBODY] * frames, here]
        times = every(step, len(scene))
        assert ids_of(make(patience_seconds=0.9), zip(times, scene, strict=True))[-1] == [1]
        assert ids_of(make(patience_seconds=0.3), zip(times, scene, strict=True))[-1] == [NO_TRACK]


@MOVING
def test_who_was_lost_is_named_again_at_once_or_only_when_he_has_lasted(make: Make) -> None:
    scene = [(t, NOBODY if i == 10 else table) for i, (t, table) in enumerate(walk(every(FRAME, 20)))]
    for again, expected in ((False, [[1], [1], [1], [1]]), (True, [[NO_TRACK], [NO_TRACK], [NO_TRACK], [1]])):
        assert ids_of(make(confirm_again=again), scene)[11:15] == expected


@ALL
@pytest.mark.parametrize(
    "times",
    [[0.0, FRAME, 2 * FRAME, -100.0, FRAME - 100, 2 * FRAME - 100], [5.0] * 6],
    ids=["goes back", "stands still"],
)
def test_when_time_does_not_move_on_ids_stay(make: Make, times: list[float]) -> None:
    scene = [people((100 + 3 * i, 300), (500, 300)) for i in range(6)]
    assert ids_of(make(), zip(times, scene, strict=True)) == [[1, 2]] * 6


@ALL
def test_the_lost_are_forgotten_even_when_time_stands_still(make: Make) -> None:
    tracker = make(patience_seconds=1.0)
    ids_of(tracker, [(0, people((100, 300))), *[(0.0, NOBODY)] * 60])
    assert len(tracker._people) == 0


@ALL
@pytest.mark.parametrize("pts_seconds", [np.nan, np.inf], ids=["nan", "infinite"])
def test_a_time_that_is_no_time_is_refused(make: Make, pts_seconds: float) -> None:
    with pytest.raises(ValueError, match="pts_seconds must be finite"):
        make().update(NOBODY, pts_seconds)


@ALL
def test_a_box_given_twice_gets_two_ids_that_last(make: Make) -> None:
    assert ids_of(make(), [(t, people((100, 300), (100, 300))) for t in every(FRAME, 5)]) == [[1, 2]] * 5


@ALL
def test_boxes_without_area_disturb_nobody(make: Make) -> None:
    odd = [[7, 7, 7, 7], [300, 300, 300, 400], [90, 90, 5, 5]]
    for number, t in enumerate(every(FRAME, 8)):
        table = Instances.of([[80 + number, 250, 120 + number, 350], *odd], [0.9] * 4)
        if number == 0:
            tracker = make()
        track_id = tracker.update(table, t).track_id
        assert track_id is not None
        assert track_id[0] == 1


@ALL
def test_boxes_that_are_too_doubtful_are_ignored(make: Make) -> None:
    scene = [(t, people((100, 300), (500, 300), score=[0.9, 0.3])) for t in every(FRAME, 8)]
    assert ids_of(make(min_score=0.5), scene) == [[1, NO_TRACK]] * 8


@ALL
def test_people_of_different_classes_are_never_the_same(make: Make) -> None:
    scene = [people((100, 300), class_id=0), *[people((100, 300), class_id=1)] * 6]
    assert ids_of(make(), zip(every(FRAME, 7), scene, strict=True))[-1] == [2]


@ALL
def test_a_crowd_of_a_hundred_keeps_its_ids(make: Make) -> None:
    grid = [(60.0 * (i % 20), 120.0 * (i // 20)) for i in range(100)]
    scene = [people(*[(x + 40 * t, y) for x, y in grid]) for t in every(FRAME, 20)]
    assert ids_of(make(), zip(every(FRAME, 20), scene, strict=True)) == [list(range(1, 101))] * 20


@ALL
def test_reset_forgets_everybody_and_starts_ids_and_time_again(make: Make) -> None:
    tracker = make()
    first = ids_of(tracker, walk(every(FRAME, 10)))
    tracker.reset()
    assert ids_of(tracker, walk(every(FRAME, 10))) == first
    assert len(tracker._people) == 1


@ALL
def test_two_trackers_know_nothing_of_each_other(make: Make) -> None:
    one, other = make(), make()
    for t in every(FRAME, 5):
        assert ids_of(one, [(t, people((100, 300)))]) == ids_of(other, [(t, people((700, 90)))]) == [[1]]


@ALL
def test_many_people_come_and_go_and_leave_nothing(make: Make) -> None:
    tracker = make(patience_seconds=0.1)
    for number, t in enumerate(every(FRAME, 600)):
        tracker.update(people(*[(500 * (number % 40) + 9000 * i, 100) for i in range(3)]), t)
        assert len(tracker._people) <= 15
    ids_of(tracker, [(50 + t, NOBODY) for t in every(FRAME, 5)])
    assert len(tracker._people) == 0


@WARPED
def test_a_camera_that_swings_is_made_up_for_by_its_warps(make: Make) -> None:
    tracker, swing = make(camera_motion="flow"), STILL.copy()
    assert tracker.wants == {"warp"}
    for number, t in enumerate(every(0.1, 20)):
        swing[:, 2] = 0 if number == 0 else (80 if number % 4 < 2 else -80), 15
        shift = sum(0 if i == 0 else (80 if i % 4 < 2 else -80) for i in range(number + 1))
        table = people((400 + shift, 300 + 15 * number), (700 + shift, 300 + 15 * number))
        track_id = tracker.update(table, t, warp=swing).track_id
        assert track_id is not None
        assert track_id.tolist() == [1, 2]


@WARPED
def test_a_camera_that_zooms_takes_sizes_along(make: Make) -> None:
    tracker, zoom = make(), np.array([[1.5, 0, 0], [0, 1.5, 0]])
    table = people((100, 100), (300, 100))
    ids_of(tracker, [(t, table) for t in every(FRAME, 5)])
    larger = Instances.of(table.xyxy * 1.5, table.score)
    track_id = tracker.update(larger, 5 * FRAME, warp=zoom).track_id
    assert track_id is not None
    assert track_id.tolist() == [1, 2]


@WARPED
def test_without_the_option_no_warp_is_wanted(make: Make) -> None:
    assert make().wants == frozenset()


def crowd(rng: np.random.Generator) -> Instances:
    n = int(rng.integers(0, 7))
    low = rng.uniform(-100, 700, (n, 2))
    size = rng.choice([0, 20, 40, 100], (n, 2))
    return Instances.of(np.hstack([low, low + size]), rng.uniform(0, 1, n), class_id=rng.integers(0, 2, n))


@ALL
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_whatever_comes_ids_are_unique_in_a_frame_and_without_gaps_and_no_solver_changes_them(
    make: Make, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    trackers, seen, now = (make(solver="scipy"), make(solver="munkres")), set[int](), 0.0
    for _ in range(15):
        now += float(rng.choice([0.0, FRAME, 0.1, -0.5, 1.2]))
        table, warp = crowd(rng), STILL + rng.normal(0, 0.02, (2, 3))
        first, second = (tracker.update(table, now, warp=warp) for tracker in trackers)
        assert first.track_id is not None
        assert second.track_id is not None
        np.testing.assert_array_equal(first.xyxy, table.xyxy)
        np.testing.assert_array_equal(first.track_id, second.track_id)
        known = first.track_id[first.track_id != NO_TRACK].tolist()
        assert len(set(known)) == len(known)
        seen |= set(known)
        assert seen == set(range(1, len(seen) + 1))


@ALL
@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"min_score": 1.5}, "less than or equal to 1", id="a score above 1"),
        pytest.param({"patience_seconds": -1}, "greater than or equal to 0", id="negative time"),
        pytest.param({"patience_seconds": np.nan}, "finite", id="time that is none"),
        pytest.param({"patience": 3}, "Extra inputs", id="a misspelt name"),
        pytest.param({"camera_motion": "flwo"}, "none, flow, or a file of warps", id="no such file"),
        pytest.param({"solver": "greedy"}, "'scipy' or 'munkres'", id="no such solver"),
    ],
)
def test_wrong_options_are_refused(make: Make, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**options)
