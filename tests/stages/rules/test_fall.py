from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from stick_figure import (
    BEND,
    HEIGHT,
    LIE,
    SIT,
    SQUAT,
    STAND,
    WIDTH,
    Script,
    Stance,
    frame_at,
    kinds,
    people_of,
    play,
    times,
    told,
    walk,
)

from pipeline.skeletons import COCO_17, MPII_16, Skeleton
from pipeline.types import NO_TRACK, Instances
from stages.rules.fall import FallRule, Options

LIE_BACK = Stance(torso=-90, left_thigh=90, right_thigh=90, left_shank=90, right_shank=90)
FALL: Script = [(0, STAND), (2, STAND), (2.7, LIE), (30, LIE)]
WALK_AND_FALL: Script = [*walk([(0, STAND)], 3, to_x=760), (3.7, replace(LIE, x=760)), (30, replace(LIE, x=760))]
GET_UP: Script = [*FALL[:3], (9, LIE), (10.5, STAND), (12.5, STAND)]
Change = Callable[[float, Instances], Instances]


def fall_rule(**options: float | None) -> FallRule:
    return FallRule(Options.model_validate({"long_seconds": 5, **options}), "fall")


def turned(script: Script, **columns: float) -> Script:
    return [(seconds, replace(stance, **columns)) for seconds, stance in script]


def unseen(*words: str, between: tuple[float, float] = (0, 1e9)) -> Change:
    """Give joints whose names hold one of the words a low score."""

    def change(seconds: float, people: Instances) -> Instances:
        assert people.skeleton is not None
        assert people.keypoint_score is not None
        if not between[0] <= seconds < between[1]:
            return people
        hidden = [any(word in joint for word in words) for joint in people.skeleton.joints]
        return people.with_columns(keypoint_score=np.where(hidden, 0.1, people.keypoint_score))

    return change


# Nobody, nothing, and time that misbehaves


@pytest.mark.parametrize(
    "people",
    [
        pytest.param(Instances.empty(), id="no columns"),
        pytest.param(Instances.empty(COCO_17), id="no identities"),
        pytest.param(Instances.empty(COCO_17).with_columns(track_id=[]), id="no rows"),
        pytest.param(Instances.of([[0, 0, 9, 9]], [1]).with_columns(track_id=[1]), id="no joints"),
        pytest.param(Instances.of([[0, 0, 9, 9]], [1], skeleton=COCO_17).with_columns(track_id=[1]), id="score 0"),
    ],
)
def test_where_nothing_is_seen_nothing_happens(people: Instances) -> None:
    rule = fall_rule()
    assert [rule.update(frame_at(seconds), people) for seconds in (0, 1, 2)] == [[], [], []]


def test_who_has_no_identity_does_not_fall() -> None:
    assert play(fall_rule(), FALL, times(6, 15), track_id=NO_TRACK) == []


def test_time_that_stands_still_or_jumps_back_lets_nobody_fall_and_keeps_memory_bounded() -> None:
    rule = fall_rule()
    for step in range(500):
        assert rule.update(frame_at(0.0), people_of(STAND, track_id=step)) == []
        assert rule.update(frame_at(-step), people_of(replace(STAND, y=600 + step % 50), track_id=7)) == []
    people = list(rule._attendance._known.values())
    assert max(len(person.hips) for person in people) <= 1


def test_a_step_back_in_time_costs_nothing() -> None:
    rule = fall_rule()
    before, after = play(rule, FALL, times(2.3)), play(rule, [(s - 2.3, stance) for s, stance in FALL], times(3))
    assert kinds(before + after) == ["fall"]


def test_who_is_gone_is_forgotten() -> None:
    rule = fall_rule(forget_seconds=5)
    for number in range(100):
        rule.update(frame_at(number * 1.0), people_of(STAND, track_id=number))
    assert len(rule._attendance) <= 6


def test_wrong_thresholds_are_an_error_that_says_both() -> None:
    with pytest.raises(ValidationError, match="at most torso_degrees, 55, got 60"):
        fall_rule(recover_degrees=60)


# Falls


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(FALL, id="forwards to the right"),
        pytest.param(turned(FALL, yaw=180), id="forwards to the left"),
        pytest.param(turned(FALL, yaw=40), id="forwards, half turned to the camera"),
        pytest.param([(0, STAND), (2, STAND), (2.7, LIE_BACK)], id="back"),
        pytest.param(turned([(0, STAND), (2, STAND), (2.7, Stance(roll=88))], yaw=90), id="sideways"),
        pytest.param(WALK_AND_FALL, id="out of a walk"),
        pytest.param([(0, STAND), (2, STAND), (2.5, BEND), (3.2, LIE)], id="bent over first"),
        pytest.param(turned(FALL, size=60), id="small"),
    ],
)
def test_a_fall_is_told_once(script: Script, skeleton: Skeleton) -> None:
    events = play(fall_rule(), script, times(6, 15), skeleton=skeleton)
    assert kinds(events) == ["fall"]
    assert events[0].track_id == 1
    assert float(events[0].values["drop"]) > 0.25
    assert float(events[0].values["torso_degrees"]) > 55


def test_a_fall_says_why_with_numbers_then_a_long_lie_then_recovery() -> None:
    events = play(fall_rule(), GET_UP, times(12.5, 15))
    assert kinds(events) == ["fall", "down", "recover"]
    fall, down, recover = events
    assert "hips down by 0.4" in fall.reason
    assert "torso 90 degrees from upright (more than 55), for 1.0 s" in fall.reason
    assert fall.pts_seconds == pytest.approx(3.5, abs=0.1)
    assert down.pts_seconds - fall.pts_seconds == pytest.approx(4, abs=0.01)
    assert down.values["seconds"] == pytest.approx(5, abs=0.01)
    assert recover.pts_seconds == pytest.approx(10.5, abs=1)
    assert recover.reason.startswith("upright for 1.0 s, after 7.")


def test_without_long_seconds_nobody_says_down() -> None:
    assert kinds(play(fall_rule(long_seconds=None), GET_UP, times(12.5, 15))) == ["fall", "recover"]


def test_who_falls_twice_is_told_twice() -> None:
    again = [(seconds + 12.5, stance) for seconds, stance in GET_UP]
    assert kinds(play(fall_rule(), [*GET_UP, *again], times(25, 15))) == ["fall", "down", "recover"] * 2


def test_two_people_are_told_apart() -> None:
    rule, events = fall_rule(), []
    for seconds in times(6):
        both = [people_of(FALL[2][1] if seconds > 2.4 else STAND, track_id=5), people_of(STAND, track_id=9)]
        table = Instances.of(
            np.concatenate([one.xyxy for one in both]),
            [0.9, 0.9],
            keypoints=np.concatenate([one.keypoints for one in both if one.keypoints is not None]),
            keypoint_score=np.concatenate([one.keypoint_score for one in both if one.keypoint_score is not None]),
            skeleton=COCO_17,
        )
        events += rule.update(frame_at(float(seconds)), table.with_columns(track_id=[5, 9]))
    assert [(event.kind, event.track_id) for event in events] == [("fall", 5)]


# Daily life


@pytest.mark.parametrize("pitch", [0.0, 35.0])
@pytest.mark.parametrize("yaw", [0, 90, 270])
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(walk([(0, STAND)], 8, to_x=1000, to_y=480), id="walks"),
        pytest.param([(0, STAND), (2, STAND), (2.6, SIT), (6, SIT), (7, STAND)], id="sits down"),
        pytest.param([(0, STAND), (2, STAND), (2.5, SIT), (3, replace(SIT, torso=80))], id="sits down, leans forward"),
        pytest.param([(0, STAND), (2, STAND), (2.6, BEND), (6, BEND), (7, STAND)], id="bends over"),
        pytest.param([(0, STAND), (2, STAND), (2.6, SQUAT), (6, SQUAT), (7, STAND)], id="squats"),
        pytest.param([(0, LIE)], id="lies from the start"),
        pytest.param([(0, LIE), (4, LIE), (5, replace(LIE, torso=-90))], id="turns over"),
        pytest.param([(0, SIT), (2, SIT), (7, LIE_BACK)], id="lies down slowly"),
        pytest.param([(0, STAND), (2, STAND), (2.6, LIE), (2.9, LIE), (3.4, STAND)], id="stumbles"),
    ],
)
def test_daily_life_is_no_fall(script: Script, yaw: float, pitch: float) -> None:
    assert told(play(fall_rule(), turned(script, yaw=yaw), times(7, 10), pitch_degrees=pitch)) == []


def test_who_slides_down_slowly_does_not_fall() -> None:
    assert told(play(fall_rule(), [(0, STAND), (1, STAND), (8, LIE)], times(12, 15))) == []


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(WIDTH + 150, 600, id="right"),
        pytest.param(-150, 600, id="left"),
        pytest.param(640, HEIGHT + 330, id="bottom"),
        pytest.param(WIDTH + 100, HEIGHT + 200, id="corner"),
    ],
)
@pytest.mark.parametrize("yaw", [0, 90])
def test_who_walks_out_of_the_frame_does_not_fall_although_all_joints_have_good_scores(
    x: float, y: float, yaw: float
) -> None:
    script = walk([(0, STAND), (1, STAND)], 4, to_x=x, to_y=y)
    assert told(play(fall_rule(), turned(script, yaw=yaw), times(6, 15))) == []


# Falls in line with the camera: documented as hard


def test_a_fall_towards_a_camera_that_looks_down_is_told_for_the_head_lies_below_the_hips() -> None:
    assert kinds(play(fall_rule(), turned(FALL, yaw=90), times(6, 15), pitch_degrees=35)) == ["fall"]


@pytest.mark.parametrize(("yaw", "pitch"), [(270, 35.0), (270, 0.0), (90, 0.0)])
def test_a_fall_away_from_the_camera_or_into_a_level_one_is_not_seen(yaw: float, pitch: float) -> None:
    assert told(play(fall_rule(), turned(FALL, yaw=yaw), times(6, 15), pitch_degrees=pitch)) == []


# What is not seen


@pytest.mark.parametrize("hidden", [("ankle",), ("knee", "ankle"), ("left",), ("wrist", "elbow", "nose", "eye", "ear")])
def test_a_fall_is_seen_without(hidden: tuple[str, ...]) -> None:
    assert told(play(fall_rule(), FALL, times(6, 15), unseen(*hidden))) == told(play(fall_rule(), FALL, times(6, 15)))


def test_a_stumble_is_no_fall_without_ankles_either() -> None:
    stumble: Script = [(0, STAND), (2, STAND), (2.6, LIE), (2.9, LIE), (3.4, STAND)]
    assert play(fall_rule(), stumble, times(6, 15), unseen("ankle")) == []


@pytest.mark.parametrize("hidden", ["hip", "shoulder", ""])
def test_without_hips_or_shoulders_nobody_guesses(hidden: str) -> None:
    assert play(fall_rule(), FALL, times(6, 15), unseen(hidden)) == []


def test_joints_that_were_only_moved_along_with_the_box_are_not_looked_at() -> None:
    assert play(fall_rule(), FALL, times(6, 15), lambda _, people: people.with_columns(predicted=[True])) == []


def test_a_short_gap_keeps_what_has_begun() -> None:
    assert told(play(fall_rule(), FALL, times(6, 15), unseen("", between=(2.9, 3.2)))) == told(
        play(fall_rule(), FALL, times(6, 15))
    )
    assert kinds(play(fall_rule(), FALL, times(6, 15), unseen("", between=(2.2, 3.2)))) == ["fall"]


def test_a_gap_of_gap_seconds_drops_what_has_begun() -> None:
    assert play(fall_rule(gap_seconds=0.5), FALL, times(6, 15), unseen("", between=(2.2, 3.0))) == []
    assert play(fall_rule(gap_seconds=0.5), FALL, times(6, 15), unseen("", between=(2.8, 3.5))) == []


def test_who_has_fallen_stays_fallen_through_a_gap() -> None:
    events = play(fall_rule(), GET_UP, times(12.5, 15), unseen("", between=(5, 8.5)))
    assert kinds(events) == ["fall", "down", "recover"]
    assert events[1].pts_seconds == pytest.approx(8.5, abs=0.1)


def test_who_vanishes_after_a_fall_and_comes_back_is_still_fallen() -> None:
    gone = lambda seconds, people: people[[]] if 4 < seconds < 8 else people  # noqa: E731
    assert kinds(play(fall_rule(), GET_UP, times(12.5, 15), gone)) == ["fall", "down", "recover"]


@pytest.mark.parametrize("seed", range(2))
def test_joints_that_flicker_and_shake_change_nothing_but_the_moment(seed: int) -> None:
    random = np.random.default_rng(seed)

    def change(_: float, people: Instances) -> Instances:
        assert people.keypoints is not None
        return people.with_columns(
            keypoints=people.keypoints + random.normal(0, 4, people.keypoints.shape),
            keypoint_score=random.choice([0.05, 0.9], (1, 17), p=[0.3, 0.7]),
        )

    shaken, still = play(fall_rule(), GET_UP, times(12.5, 15), change), play(fall_rule(), GET_UP, times(12.5, 15))
    assert kinds(shaken) == kinds(still)
    np.testing.assert_allclose([e.pts_seconds for e in shaken], [e.pts_seconds for e in still], atol=0.4)


# Frame rates


@pytest.mark.parametrize("fps", [5, 7.5, 12.5, 30])
def test_the_events_are_the_same_at_every_frame_rate(fps: float) -> None:
    fine, coarse = play(fall_rule(), GET_UP, times(12.5, 100)), play(fall_rule(), GET_UP, times(12.5, fps))
    assert kinds(coarse) == kinds(fine) == ["fall", "down", "recover"]
    late = np.array([event.pts_seconds for event in coarse]) - [event.pts_seconds for event in fine]
    assert (late > -0.01).all()
    assert (late <= 2 / fps).all(), "up to a frame late at each end of the time that must pass"


@pytest.mark.parametrize("seed", range(3))
def test_dropped_frames_and_a_variable_rate_change_nothing_but_the_moment(seed: int) -> None:
    random = np.random.default_rng(seed)
    moments = np.cumsum(random.choice([1 / 30, 1 / 15, 1 / 5], 400, p=[0.7, 0.2, 0.1]))
    moments = moments[moments < 12.5]
    fine, jerky = play(fall_rule(), GET_UP, times(12.5, 100)), play(fall_rule(), GET_UP, moments)
    assert kinds(jerky) == kinds(fine)
    np.testing.assert_allclose([e.pts_seconds for e in jerky], [e.pts_seconds for e in fine], atol=0.4)
