import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stick_figure import BEND, HANDS_UP, LIE, SIT, STAND, WIDTH, Stance, frame_at, people_of

from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_for
from pipeline.types import Instances
from stages.judging.body import Bodies

FRAME = frame_at(0)
MEASURES = ("torso_degrees", "torso_px", "thigh_degrees", "axis_degrees")


def bodies(people: Instances, min_joint_score: float = 0.3, edge: float = 0.01) -> Bodies:
    return Bodies(people, FRAME, min_joint_score, edge)


@pytest.mark.parametrize(
    "people",
    [
        pytest.param(Instances.empty(), id="no joints, nobody"),
        pytest.param(Instances.empty(COCO_17), id="nobody"),
        pytest.param(Instances.of([[0, 0, 1, 1]] * 3, [1] * 3), id="no joints"),
        pytest.param(Instances.of([[0, 0, 1, 1]] * 3, [1] * 3, skeleton=COCO_17), id="score 0"),
        pytest.param(people_of(STAND).with_columns(predicted=[True]), id="predicted"),
        pytest.param(
            Instances.of(
                [[0, 0, 9, 9]],
                [1],
                keypoints=np.full((1, 5, 2), 99),
                keypoint_score=np.ones((1, 5)),
                skeleton=skeleton_for(5),
            ),
            id="unknown joints",
        ),
    ],
)
def test_what_is_not_seen_is_nan_in_a_row_for_each_person(people: Instances) -> None:
    seen = bodies(people)
    for measure in MEASURES:
        np.testing.assert_array_equal(getattr(seen, measure), np.full(len(people), np.nan))
    assert seen.hand_rises.shape == (len(people), 2)
    assert seen.hips.shape == seen.ankles.shape == (len(people), 2)


def test_joints_in_one_place_have_no_direction() -> None:
    people = people_of(STAND).with_columns(keypoints=np.full((1, 17, 2), 300.0))
    assert np.isnan(bodies(people).torso_degrees).all()
    assert np.isnan(bodies(people).hand_rises).all()


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize(
    ("stance", "torso", "thigh", "axis"),
    [
        pytest.param(STAND, 0, 0, 0, id="stands"),
        pytest.param(SIT, 5, 88, None, id="sits"),
        pytest.param(BEND, 100, 8, None, id="bends over"),
        pytest.param(LIE, 90, 90, 90, id="lies"),
        pytest.param(Stance(torso=180, left_thigh=180, right_thigh=180), 180, 180, None, id="hangs"),
    ],
)
def test_angles_of_stances(stance: Stance, torso: float, thigh: float, axis: float | None, skeleton: Skeleton) -> None:
    seen = bodies(people_of(stance, skeleton=skeleton, pitch_degrees=0))
    assert seen.torso_degrees[0] == pytest.approx(torso, abs=1)
    assert seen.thigh_degrees[0] == pytest.approx(thigh, abs=6)  # from lengths: a cosine near 1 tells angles badly
    assert axis is None or seen.axis_degrees[0] == pytest.approx(axis, abs=1)
    assert seen.torso_px[0] == pytest.approx(0.288 * stance.size, rel=0.01)


@given(st.floats(0, 360), st.floats(20, 400), st.integers(0, 2**32))
def test_torso_and_tilt_follow_a_turn_in_the_picture(turn: float, length: float, seed: int) -> None:
    center = np.random.default_rng(seed).uniform(300, 400, 2)
    up = np.array([np.sin(np.radians(turn)), -np.cos(np.radians(turn))])
    along = {"hip": 0.0, "shoulder": 0.3, "ankle": -0.5}
    points = [center + up * length * next((v for k, v in along.items() if k in name), 0.0) for name in COCO_17.joints]
    people = people_of(STAND).with_columns(keypoints=[points])
    seen = bodies(people)
    from_up = min(turn, 360 - turn)
    assert seen.torso_degrees[0] == pytest.approx(from_up, abs=0.1)
    assert seen.axis_degrees[0] == pytest.approx(min(from_up, 180 - from_up), abs=0.1)


@given(st.lists(st.sampled_from([STAND, SIT, BEND, LIE, HANDS_UP]), min_size=1, max_size=6))
def test_many_people_are_measured_as_each_alone(stances: list[Stance]) -> None:
    tables = [people_of(stance) for stance in stances]
    together = Instances.of(
        np.concatenate([table.xyxy for table in tables]),
        np.ones(len(tables)),
        keypoints=np.concatenate([table.keypoints for table in tables if table.keypoints is not None]),
        keypoint_score=np.ones((len(tables), 17)),
        skeleton=COCO_17,
    )
    for measure in MEASURES:
        alone = [getattr(bodies(table), measure)[0] for table in tables]
        np.testing.assert_allclose(getattr(bodies(together), measure), alone)


def test_one_side_is_enough_but_a_left_hip_and_a_right_shoulder_are_no_torso() -> None:
    front = Stance(yaw=90)
    one_side = people_of(front, score={"left_hip": 0, "left_shoulder": 0})
    crossed = people_of(front, score={"left_hip": 0, "right_shoulder": 0})
    assert bodies(one_side).torso_degrees[0] < 10
    assert np.isnan(bodies(crossed).torso_degrees[0])


def test_a_score_of_the_least_counts() -> None:
    people = people_of(STAND, score=0.5)
    assert np.isfinite(bodies(people, 0.5).torso_degrees).all()
    assert np.isnan(bodies(people, 0.51).torso_degrees).all()


def test_joints_on_the_edge_of_the_frame_or_beyond_are_not_seen() -> None:
    assert np.isnan(bodies(people_of(Stance(x=WIDTH + 100))).torso_degrees).all()
    assert np.isnan(bodies(people_of(Stance(x=WIDTH - 5))).torso_degrees).all()
    assert np.isfinite(bodies(people_of(Stance(x=WIDTH - 5)), edge=0).torso_degrees).all()


def test_raised_hands_are_measured_in_torsos_above_the_shoulders() -> None:
    up, down = bodies(people_of(HANDS_UP)).hand_rises[0], bodies(people_of(STAND)).hand_rises[0]
    np.testing.assert_allclose(up, 0.332 / 0.288, rtol=0.02)
    np.testing.assert_allclose(down, -0.332 / 0.288, rtol=0.02)


def test_without_ankles_the_thighs_tell_the_long_axis() -> None:
    no_ankles = {"left_ankle": 0.0, "right_ankle": 0.0}
    assert bodies(people_of(LIE, score=no_ankles)).axis_degrees[0] == pytest.approx(90, abs=1)
    assert bodies(people_of(BEND, score=no_ankles)).axis_degrees[0] < 15


@pytest.mark.parametrize(
    ("knee_y", "ankle_y", "low", "high"),
    [
        pytest.param(325, 350, 0, 5, id="standing: thigh and shin equally short"),
        pytest.param(305, 345, 75, 90, id="sitting: the shin hangs, the thigh points at the camera"),
    ],
)
def test_a_camera_that_looks_down_tells_standing_from_sitting(
    knee_y: float, ankle_y: float, low: float, high: float
) -> None:
    places = np.tile([300.0, 300.0], (1, 17, 1))
    for names, y in ((("shoulder",), 210), (("hip",), 300), (("knee",), knee_y), (("ankle",), ankle_y)):
        columns = [COCO_17.joints.index(f"{side}_{name}") for side in ("left", "right") for name in names]
        places[0, columns, 1] = y
    people = Instances.of(
        [[280, 180, 320, 360]], [0.9], keypoints=places, keypoint_score=np.ones((1, 17)), skeleton=COCO_17
    )
    (degrees,) = bodies(people).thigh_degrees
    assert low <= degrees <= high


def test_where_no_ankle_is_seen_nobody_says_what_the_thighs_do() -> None:
    people = people_of(SIT)
    hidden = np.array(people.keypoint_score)
    hidden[:, [COCO_17.joints.index(f"{side}_ankle") for side in ("left", "right")]] = 0.1
    assert np.isfinite(bodies(people).thigh_degrees).all()
    assert np.isnan(bodies(people.with_columns(keypoint_score=hidden)).thigh_degrees).all()
