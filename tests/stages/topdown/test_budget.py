from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil
from typing import Any

import fakes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Frame, Instances
from stages.topdown.budget import Budget

Masks = list[NDArray[np.bool_]]


def at(seconds: float, source: str = "cam") -> Frame:
    return replace(fakes.make_frame(0, source), pts_seconds=seconds)


def side_by_side(count: int, *, shift: float = 0.0, size: float = 50.0) -> Instances:
    """People in a row, the first with the best score."""
    left = np.arange(count) * 2 * size + shift
    boxes = np.stack([left, np.zeros(count), left + size, np.full(count, 2 * size)], axis=1)
    return Instances.of(boxes, np.linspace(0.9, 0.5, count))


def joints_in(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Joints on the diagonal of each box, none on its rim."""
    share = np.linspace(0.1, 0.9, len(COCO_17))[:, None]
    return np.asarray(boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2]), np.float32)


def step(
    budget: Budget,
    frames: Sequence[Frame],
    tables: Sequence[Instances],
    seconds: Callable[[int], float] = lambda _: 0.0,
) -> tuple[Masks, list[Instances]]:
    """Do what the pose plug-in does; the network takes `seconds` of the number of people."""
    looked = budget.plan(frames, tables)
    boxes = [table.xyxy[mask] for table, mask in zip(tables, looked, strict=True)]
    points, scores = [joints_in(box) for box in boxes], [np.full((len(box), 17), 0.8, np.float32) for box in boxes]
    taken = seconds(sum(map(len, boxes)))
    return looked, budget.fill(frames, tables, looked, points, scores, COCO_17, taken)


def total(masks: Masks) -> int:
    return sum(int(mask.sum()) for mask in masks)


def joints_of(table: Instances) -> NDArray[np.float32]:
    assert table.keypoints is not None
    return table.keypoints


def predicted_of(table: Instances) -> list[bool]:
    assert table.predicted is not None
    predicted: list[bool] = table.predicted.tolist()
    return predicted


# What a table looks like


@pytest.mark.parametrize("frames", [0, 1, 3])
def test_nobody_gives_empty_tables_with_all_columns(frames: int) -> None:
    looked, tables = step(Budget(5, None), [at(n / 25) for n in range(frames)], [Instances.empty()] * frames)
    assert [mask.shape for mask in looked] == [(0,)] * frames
    for table in tables:
        assert joints_of(table).shape == (0, 17, 2)
        assert table.skeleton is COCO_17
        assert predicted_of(table) == []


def test_who_was_never_looked_at_has_joints_in_the_centre_of_the_box_and_score_0() -> None:
    looked, (table,) = step(Budget(1, None), [at(0)], [side_by_side(3)])
    assert looked[0].tolist() == [True, False, False]
    assert predicted_of(table) == [False, True, True]
    np.testing.assert_array_equal(joints_of(table)[1], np.tile([125, 50], (17, 1)))
    assert table.keypoint_score is not None
    np.testing.assert_allclose(table.keypoint_score[:, 0], [0.8, 0, 0])


def test_a_look_is_passed_on_to_the_last_bit_and_the_other_columns_stay() -> None:
    people = side_by_side(2, shift=1 / 3).with_columns(class_id=[0, 7])
    _, (table,) = step(Budget(100, None), [at(0)], [people])
    np.testing.assert_array_equal(joints_of(table), joints_in(people.xyxy))
    assert table.class_id.tolist() == [0, 7]
    np.testing.assert_array_equal(table.xyxy, people.xyxy)
    assert predicted_of(table) == [False, False]


def test_in_between_joints_move_and_scale_with_the_box() -> None:
    budget = Budget(1, None)
    step(budget, [at(0)], [side_by_side(1)])
    moved = Instances.of([[10, 20, 70, 110]], [0.9])
    looked, (table,) = step(budget, [at(0.1)], [moved])
    assert total(looked) == 0
    assert predicted_of(table) == [True]
    np.testing.assert_allclose(joints_of(table), joints_in(moved.xyxy), rtol=1e-5)


@pytest.mark.parametrize(
    "box",
    [
        pytest.param([5, 5, 5, 5], id="a-point"),
        pytest.param([50, 100, 0, 0], id="inside-out"),
        pytest.param([-3e38, -3e38, 3e38, 3e38], id="as-large-as-numbers-go"),
    ],
)
def test_boxes_of_any_kind_give_finite_joints(box: list[float]) -> None:
    budget = Budget(1, None)
    step(budget, [at(0)], [side_by_side(1)])
    for seconds in (0.1, 0.2):
        _, (table,) = step(budget, [at(seconds)], [Instances.of(np.array([box, [0, 0, 50, 100]]), [0.5, 0.5])])
        assert np.isfinite(joints_of(table)).all()


# Who is looked at


def test_new_people_come_first_and_the_best_of_them_first_of_all() -> None:
    budget = Budget(2, None)
    boxes = side_by_side(4).xyxy
    step(budget, [at(0)], [Instances.of(boxes[:1], [0.9])])
    looked, _ = step(budget, [at(0.5)], [Instances.of(boxes, [0.9, 0.3, 0.5, 0.4])])
    assert looked[0].tolist() == [False, False, True, False]
    looked, _ = step(budget, [at(1.0)], [Instances.of(boxes, [0.9, 0.3, 0.5, 0.4])])
    assert looked[0].tolist() == [False, False, False, True]


def test_known_people_take_turns_the_longest_waiting_first() -> None:
    budget = Budget(1, None)
    turns = [np.flatnonzero(step(budget, [at(n)], [side_by_side(3)])[0][0]).tolist() for n in range(7)]
    assert turns == [[0], [1], [2], [0], [1], [2], [0]]


def test_people_keep_their_turn_when_the_rows_change_places() -> None:
    budget = Budget(1, None)
    people = side_by_side(3)
    step(budget, [at(0)], [people])
    looked, (table,) = step(budget, [at(1)], [people[[2, 1, 0]]])
    assert looked[0].tolist() == [False, True, False]  # the better of the new ones
    np.testing.assert_allclose(joints_of(table)[2], joints_in(people.xyxy[:1])[0], rtol=1e-5)


@pytest.mark.parametrize(("away", "score"), [(0.9, 0.8), (1.2, 0.0)], ids=["0.9-s", "1.2-s"])
def test_who_is_out_of_sight_for_about_a_second_is_forgotten(away: float, score: float) -> None:
    budget = Budget(0.5, None)  # the second look is due after 2 s
    step(budget, [at(0)], [side_by_side(1)])
    for seconds in (*np.arange(0.1, away, 0.1), away):
        step(budget, [at(seconds)], [Instances.empty()])
    _, (table,) = step(budget, [at(away)], [side_by_side(1)])
    assert predicted_of(table) == [True]
    assert table.keypoint_score is not None
    assert table.keypoint_score[0, 0] == pytest.approx(score)


def test_a_second_look_in_a_batch_comes_after_everybodys_first_and_looks_are_spread() -> None:
    budget = Budget(16, None)
    looked, tables = step(budget, [at(n / 100) for n in range(4)], [side_by_side(2)] * 4)
    assert np.stack(looked).tolist() == [[True, True], [False, False], [True, True], [False, False]]
    assert [predicted_of(table) for table in tables] == [[False, False], [True, True]] * 2


def test_who_was_looked_at_early_in_a_batch_is_carried_into_its_later_frames() -> None:
    tables = [side_by_side(1, shift=10 * n) for n in range(3)]
    looked, filled = step(Budget(1, None), [at(n / 25) for n in range(3)], tables)
    assert [mask.tolist() for mask in looked] == [[True], [False], [False]]
    for table, result in zip(tables, filled, strict=True):
        np.testing.assert_allclose(joints_of(result), joints_in(table.xyxy), rtol=1e-5)


# How many: a rate


@settings(max_examples=60)
@given(
    rate=st.floats(0.5, 60),
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=60),
    steps=st.lists(st.floats(-1, 3), min_size=1, max_size=60),
    batch=st.integers(1, 8),
)
def test_the_rate_is_never_exceeded(rate: float, counts: list[int], steps: list[float], batch: int) -> None:
    budget, seconds, passed, looks = Budget(rate, None), 0.0, 0.0, 0
    frames: list[Frame] = []
    for number in range(len(counts)):
        step_seconds = steps[number % len(steps)]
        seconds += step_seconds
        passed += max(step_seconds, 0.0) if number else 0.0
        frames.append(at(seconds))
        if len(frames) == batch or number == len(counts) - 1:
            tables = [side_by_side(each) for each in counts[number + 1 - len(frames) : number + 1]]
            looks += total(step(budget, frames, tables)[0])
            frames = []
            assert looks <= 2 * max(1, rate / 4) + rate * passed + 1e-3


@settings(max_examples=15)
@given(
    people=st.integers(1, 12),
    frame_rate=st.sampled_from([0.25, 1, 7.5, 25, 30, 59.94]),
    batch=st.integers(1, 4),
)
def test_with_fewer_people_than_the_rate_everybody_is_looked_at_in_every_frame(
    people: int, frame_rate: float, batch: int
) -> None:
    budget = Budget(people * frame_rate, None)
    step(budget, [at(0)], [side_by_side(people)])
    for start in range(0, 200, batch):
        frames = [at((1 + start + n) / frame_rate) for n in range(batch)]
        looked, tables = step(budget, frames, [side_by_side(people)] * batch)
        assert total(looked) == people * batch
        assert not any(flag for table in tables for flag in predicted_of(table))


@settings(max_examples=15)
@given(
    people=st.integers(1, 25), rate=st.floats(1, 50), frame_rate=st.sampled_from([5, 25, 30]), batch=st.integers(1, 6)
)
def test_everybody_has_a_turn_within_people_over_rate_seconds(
    people: int, rate: float, frame_rate: int, batch: int
) -> None:
    budget = Budget(rate, None)
    rounds = ceil(people / rate)
    last = np.full(people, -np.inf)
    for start in range(0, 3 * (rounds + 1) * frame_rate, batch):
        frames = [at((start + n) / frame_rate) for n in range(batch)]
        looked, _ = step(budget, frames, [side_by_side(people)] * batch)
        for frame, mask in zip(frames, looked, strict=True):
            last[mask] = frame.pts_seconds
        slack = batch / frame_rate + 1 / rate
        if frames[-1].pts_seconds > people / rate + slack:
            assert (frames[-1].pts_seconds - last <= people / rate + 2 * slack).all()


def test_crossing_people_are_all_looked_at_and_their_joints_stay_in_their_boxes() -> None:
    """Two walk towards each other and past, one stands in the way; 4 looks a second."""
    budget, looks = Budget(4, None), np.zeros(3)
    for n in range(250):
        x = 2.0 * n
        left = np.array([x, 500 - x, 230])
        boxes = np.stack([left, np.array([0.0, 10, 5]), left + 60, np.array([160.0, 165, 150])], axis=1)
        table = Instances.of(boxes, [0.9, 0.8, 0.7])
        (looked,), (filled,) = step(budget, [at(n / 25)], [table])
        looks += looked
        known = filled.keypoint_score is not None and filled.keypoint_score[:, 0] > 0
        low, high = table.xyxy[:, None, :2] - 0.01, table.xyxy[:, None, 2:] + 0.01
        inside = (low <= joints_of(filled)) & (joints_of(filled) <= high)
        assert inside[known].all()
    assert looks.sum() <= 2 + 4 * 10
    assert looks.min() >= 10


# Several sources


def test_sources_share_the_rate_and_lend_what_they_do_not_use() -> None:
    budget, looks = Budget(10, None), Counter[str]()
    for n in range(500):
        frames = [at(n / 25, "full"), at(50 + n / 25, "empty"), at(n / 25, "full-too")]
        (full, _, too), _ = step(budget, frames, [side_by_side(9), Instances.empty(), side_by_side(9)])
        looks["full"] += int(full.sum())
        looks["full-too"] += int(too.sum())
    assert looks["full"] == pytest.approx(looks["full-too"], abs=3)
    assert looks["full"] + looks["full-too"] == pytest.approx(10 * 20, abs=6)


@pytest.mark.parametrize(("sources", "frame_rate"), [(2, 25), (20, 1)], ids=["fast", "many-and-slow"])
def test_sources_that_take_turns_share_the_rate_as_well(sources: int, frame_rate: int) -> None:
    budget, looks = Budget(10, None), np.zeros(sources)
    for n in range(40 * frame_rate):
        for source in range(sources):
            looks[source] += total(step(budget, [at(n / frame_rate, str(source))], [side_by_side(25)])[0])
    assert looks.sum() == pytest.approx(10 * 40, abs=20)
    assert looks.min() > 5


def test_what_an_empty_source_does_not_use_is_there_for_the_batches_of_others() -> None:
    budget, looks = Budget(10, None), 0
    for n in range(500):
        step(budget, [at(n / 25, "empty")], [Instances.empty()])
        looks += total(step(budget, [at(n / 25, "full")], [side_by_side(20)])[0])
    assert looks == pytest.approx(10 * 20, abs=6)


@pytest.mark.parametrize("how", ["ended", "silent"])
def test_the_share_of_a_source_that_ended_or_fell_silent_goes_to_the_others(how: str) -> None:
    budget = Budget(10, None)
    for n in range(25):
        step(budget, [at(n / 25, "a"), at(n / 25, "b")], [side_by_side(20)] * 2)
    if how == "ended":
        budget.forget("b")
    after = [total(step(budget, [at(1 + n / 25, "a")], [side_by_side(20)])[0]) for n in range(40 * 25)]
    assert sum(after[30 * 25 :]) == pytest.approx(100, abs=2)


def test_a_forgotten_source_begins_anew() -> None:
    budget = Budget(100, None)
    step(budget, [at(0)], [side_by_side(1)])
    budget.forget("cam")
    budget.forget("never heard of")
    assert budget._sources == {}
    assert step(budget, [at(0.1)], [side_by_side(1)])[0][0].tolist() == [True]


# Time that does not run as it should


@pytest.mark.parametrize("jump", [-1e6, -0.02, 0.0, 5.0, 1e6], ids=str)
def test_a_jump_in_time_breaks_nothing(jump: float) -> None:
    budget, looks, n = Budget(5, None), 0, 0
    for n in range(100):
        looks += total(step(budget, [at(n / 25)], [side_by_side(4)])[0])
    before = looks
    seen = np.zeros(4, bool)
    for m in range(100):
        (looked,), _ = step(budget, [at(n / 25 + jump + m / 25)], [side_by_side(4)])
        looks += int(looked.sum())
        seen |= looked
    assert seen.all()
    assert looks - before <= 5 * 4 + 4 + 3  # at most everybody at once after a long break


@pytest.mark.parametrize(("jump", "score"), [(-20, 0.0), (-1, 0.8), (20, 0.0)])
def test_a_large_jump_in_time_is_a_new_scene(jump: float, score: float) -> None:
    budget = Budget(0.01, None)
    step(budget, [at(100)], [side_by_side(1)])
    _, (table,) = step(budget, [at(100 + jump)], [side_by_side(1)])
    assert table.keypoint_score is not None
    assert table.keypoint_score[0, 0] == pytest.approx(score)


def test_repeated_times_spend_nothing_and_everybody_is_remembered() -> None:
    budget = Budget(2, None)
    masks = [step(budget, [at(3)], [side_by_side(4)])[0] for _ in range(50)]
    assert sum(map(total, masks)) == 1


# Planning again


def everything(budget: Budget) -> Any:
    return (
        repr(
            [
                (name, source.seconds, [(p.box.tolist(), p.seen_at, p.looked_at) for p in source._people])
                for name, source in budget._sources.items()
            ]
        )
        + repr(budget._rate and vars(budget._rate))
        + repr(budget._deadline and vars(budget._deadline))
    )


def test_planning_changes_nothing() -> None:
    budget = Budget(4, 0.1)
    for n in range(10):
        step(budget, [at(n / 25)], [side_by_side(5, shift=n)], seconds=lambda people: 0.03 * people)
    before = everything(budget)
    frames, tables = [at(0.5), at(0.6), at(0.2, "other")], [side_by_side(5, shift=9)] * 3
    first = budget.plan(frames, tables)
    again = budget.plan(frames, tables)
    assert all((one == two).all() for one, two in zip(first, again, strict=True))
    assert everything(budget) == before


def test_a_batch_that_failed_is_repeated_frame_by_frame_within_the_same_budget() -> None:
    budget, frames = Budget(8, None), [at(n / 25) for n in range(8)]
    assert total(budget.plan(frames, [side_by_side(6)] * 8)) == 4  # 2 were to spare, 0.28 s later there are 2 more
    looks = [total(step(budget, [frame], [side_by_side(6)])[0]) for frame in frames if frame is not frames[3]]
    assert sum(looks) == 4


# How many: a deadline


def run_calls(calls: int, deadline: float, people: int, seconds: Callable[[int], float]) -> list[int]:
    budget, counts = Budget(None, deadline), []
    for n in range(calls):
        looked, _ = step(budget, [at(n / 25)], [side_by_side(people)], seconds)
        counts.append(total(looked))
    return counts


@pytest.mark.parametrize(
    ("seconds_of", "fitting"),
    [
        pytest.param(lambda people: 0.010 * people, 3, id="linear"),
        pytest.param(lambda people: 0.020 + 0.001 * people, 15, id="hardly-longer-with-more"),
        pytest.param(lambda _: 0.034, 30, id="the-same-for-all"),
        pytest.param(lambda people: 0.5 * people, 1, id="one-takes-too-long"),
        pytest.param(lambda _: 0.0, 30, id="no-time-at-all"),
    ],
)
def test_as_many_people_are_looked_at_as_fit(seconds_of: Callable[[int], float], fitting: int) -> None:
    counts = run_calls(600, 0.035, 30, seconds_of)
    assert counts[0] == 1
    assert min(counts) >= 1
    late = counts[300:]
    assert np.median(late) == pytest.approx(fitting, abs=1)
    too_long = [count for count in late if seconds_of(count) > 0.035]
    assert fitting == 1 or len(too_long) < 0.05 * len(late)
    assert max(late) <= fitting + 1


def test_a_quiet_hour_does_not_make_the_deadline_forget_that_a_crowd_fits() -> None:
    budget = Budget(None, 0.04)
    for n in range(500):
        step(budget, [at(n / 25)], [side_by_side(1)], lambda people: 0.025 + 0.0005 * people)
    counts = [
        total(step(budget, [at(20 + n / 25)], [side_by_side(30)], lambda people: 0.025 + 0.0005 * people)[0])
        for n in range(100)
    ]
    assert counts[-1] >= 25


def test_one_slow_call_is_not_taken_for_the_rule() -> None:
    slow = [*[0.0] * 50, 1.0, *[0.0] * 50]
    times = iter(slow)
    counts = run_calls(101, 0.1, 10, lambda people: 0.005 * people + next(times))
    assert min(counts[51:]) >= 1
    assert counts[-1] == 10


def test_the_deadline_is_for_all_frames_of_a_call_together_and_nobody_starves() -> None:
    budget = Budget(None, 0.1)
    last: dict[tuple[str, int], int] = {}
    for n in range(100):
        frames = [at(n / 25, source) for source in "abcd"]
        looked, _ = step(budget, frames, [side_by_side(5)] * 4, lambda people: 0.02 * people)
        assert 1 <= total(looked) <= 6
        last |= {
            (f.source_id, int(row)): n for f, mask in zip(frames, looked, strict=True) for row in np.flatnonzero(mask)
        }
    assert len(last) == 20
    assert min(last.values()) >= 100 - 6


@pytest.mark.parametrize(("rate", "deadline", "most"), [(50, 0.0101, 1), (2, 10, 1), (None, None, 9)])
def test_both_limits_count(rate: float | None, deadline: float | None, most: int) -> None:
    budget = Budget(rate, deadline)
    for n in range(5):
        looked, _ = step(budget, [at(n / 2)], [side_by_side(9)], lambda people: 0.01 * people)
        assert 1 <= total(looked) <= most + (n > 0 and deadline == 0.0101)
