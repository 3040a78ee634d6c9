from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from stick_figure import (
    BEND,
    HANDS_UP,
    LIE,
    SIT,
    STAND,
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
from stages.rules.pose import Options, PoseRule

ONE_HAND = Stance(left_arm=175)
POSTURES = {"hands_up": HANDS_UP, "sitting": SIT, "lying": LIE}


def pose_rule(**options: Any) -> PoseRule:
    return PoseRule(Options.model_validate(options), "pose")


def hold(stance: Stance) -> Script:
    return [(0, STAND), (1, STAND), (1.6, stance), (4, stance), (4.6, STAND), (7, STAND)]


def turned(script: Script, yaw: float) -> Script:
    return [(seconds, replace(stance, yaw=yaw)) for seconds, stance in script]


@pytest.mark.parametrize(
    "people",
    [
        pytest.param(Instances.empty(), id="no columns"),
        pytest.param(Instances.empty(COCO_17).with_columns(track_id=[]), id="no rows"),
        pytest.param(Instances.of([[0, 0, 9, 9]], [1]).with_columns(track_id=[1]), id="no joints"),
        pytest.param(Instances.of([[0, 0, 9, 9]], [1], skeleton=COCO_17).with_columns(track_id=[1]), id="score 0"),
        pytest.param(people_of(LIE, track_id=NO_TRACK), id="no identity"),
        pytest.param(people_of(LIE).with_columns(predicted=[True]), id="not looked at"),
    ],
)
def test_where_nothing_is_seen_nothing_happens(people: Instances) -> None:
    rule = pose_rule()
    assert [rule.update(frame_at(seconds), people) for seconds in (0, 1, 2)] == [[], [], []]


@pytest.mark.parametrize("postures", [[], ["hands_up", "hands_up"], ["flying"]])
def test_postures_are_known_ones_each_once(postures: list[str]) -> None:
    with pytest.raises(ValidationError):
        pose_rule(postures=postures)


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("posture", POSTURES)
def test_a_posture_begins_and_ends(posture: str, skeleton: Skeleton) -> None:
    begin, end = play(pose_rule(), hold(POSTURES[posture]), times(7, 15), skeleton=skeleton)
    assert (begin.kind, end.kind) == (posture, f"{posture}_end")
    assert begin.pts_seconds == pytest.approx(1.9, abs=0.3)
    assert end.values["seconds"] == pytest.approx(2.9, abs=0.4)
    assert begin.track_id == end.track_id == 1
    assert "for 0." in begin.reason
    assert "after " in end.reason


@pytest.mark.parametrize("yaw", [0, 45, 90, 180, 270])
@pytest.mark.parametrize("posture", ["hands_up", "sitting"])
def test_hands_and_chairs_are_seen_from_every_side(posture: str, yaw: float) -> None:
    assert kinds(play(pose_rule(), turned(hold(POSTURES[posture]), yaw), times(7, 15), pitch_degrees=20)) == [
        posture,
        f"{posture}_end",
    ]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param([(0, STAND)], id="stands"),
        pytest.param(walk([(0, STAND)], 4, to_x=900), id="walks"),
        pytest.param([(0, STAND), (1, STAND), (1.5, BEND)], id="bends over"),
        pytest.param([(0, ONE_HAND)], id="one hand"),
        pytest.param([(0, Stance(left_arm=90, right_arm=90))], id="arms stretched out"),
        pytest.param([(0, Stance(left_thigh=90))], id="a knee raised"),
        pytest.param([(0, STAND), (1, STAND), (1.3, HANDS_UP), (1.6, STAND)], id="a wave"),
    ],
)
@pytest.mark.parametrize("yaw", [0, 45, 90])
def test_daily_life_is_no_posture(script: Script, yaw: float) -> None:
    assert told(play(pose_rule(), turned(script, yaw), times(4, 15))) == []


def test_one_hand_is_enough_if_asked() -> None:
    assert kinds(play(pose_rule(one_hand=True), hold(ONE_HAND), times(7, 15))) == ["hands_up", "hands_up_end"]


def test_only_what_is_asked_for_is_watched() -> None:
    script = [*hold(SIT), (8, HANDS_UP), (10, HANDS_UP)]
    assert kinds(play(pose_rule(postures=["hands_up"]), script, times(10, 15))) == ["hands_up"]


def test_a_hidden_wrist_is_not_guessed_but_one_that_hangs_settles_it() -> None:
    assert play(pose_rule(), [(0, HANDS_UP)], times(3), score={"left_wrist": 0.1}) == []
    rule = pose_rule()
    up = play(rule, [(0, HANDS_UP)], times(1))
    down = [
        event for s in times(3) for event in rule.update(frame_at(1 + s), people_of(STAND, score={"left_wrist": 0}))
    ]
    assert kinds(up + down) == ["hands_up", "hands_up_end"]


def test_between_the_thresholds_what_was_said_last_holds() -> None:
    half = Stance(left_thigh=42, right_thigh=42)
    assert play(pose_rule(), [(0, half)], times(3, 15), pitch_degrees=0) == []
    assert kinds(play(pose_rule(), [(0, SIT), (2, SIT), (2.5, half)], times(6, 15), pitch_degrees=0)) == ["sitting"]


def test_who_vanishes_ends_the_posture_after_the_gap() -> None:
    rule = pose_rule()
    begin = play(rule, [(0, LIE)], times(2))
    end = [event for s in times(4) for event in rule.update(frame_at(2 + s), Instances.empty())]
    assert kinds(begin + end) == ["lying", "lying_end"]
    assert end[0].track_id == 1
    assert end[0].pts_seconds == pytest.approx(3.96)
    assert end[0].reason == "joints not seen for 2.0 s, after 2.0 s"
    assert len(rule._attendance) == 0


def test_who_is_there_without_joints_ends_the_posture_after_the_gap_and_a_short_gap_does_not() -> None:
    blink = lambda seconds, people: people.with_columns(predicted=[1 < seconds < 2.5])  # noqa: E731
    assert kinds(play(pose_rule(), [(0, LIE)], times(4, 15), blink)) == ["lying"]
    assert kinds(play(pose_rule(gap_seconds=1), [(0, LIE)], times(4, 15), blink)) == ["lying", "lying_end", "lying"]


def test_time_that_stands_still_begins_nothing_and_a_step_back_counts_as_nothing() -> None:
    rule = pose_rule()
    assert [event for _ in range(50) for event in rule.update(frame_at(5.0), people_of(LIE))] == []
    assert rule.update(frame_at(1.0), people_of(LIE)) == []
    assert kinds(rule.update(frame_at(1.5), people_of(LIE))) == ["lying"]


@pytest.mark.parametrize("fps", [5, 12.5, 30])
@pytest.mark.parametrize("posture", POSTURES)
def test_the_events_are_the_same_at_every_frame_rate(posture: str, fps: float) -> None:
    fine, coarse = (play(pose_rule(), hold(POSTURES[posture]), times(7, rate)) for rate in (60, fps))
    assert kinds(coarse) == kinds(fine)
    late = np.array([event.pts_seconds for event in coarse]) - [event.pts_seconds for event in fine]
    assert (np.abs(late) <= 2 / fps + 0.02).all()
