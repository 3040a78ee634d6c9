import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from stages.blazepose.poses import Poses, decode, distinct

IDENTITY = np.array([[1.0, 0, 0], [0, 1, 0]])


def outputs(x: float = 100, y: float = 50) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    landmarks = np.tile(np.array([x, y, 0, 100, 0], np.float32), 39)
    return landmarks, np.array([0.75], np.float32), np.full((64, 64, 39), -1000, np.float32)


def test_a_joint_is_as_sure_as_person_presence_and_visibility_together() -> None:
    pose = decode(*outputs(), IDENTITY)
    assert_allclose(pose.keypoints(), np.full((1, 17, 2), [100, 50]))
    assert_allclose(pose.keypoint_score(), np.full((1, 17), 0.75 * 0.5))


def test_points_are_given_in_the_picture() -> None:
    pose = decode(*outputs(), np.array([[0, -2.0, 300], [2, 0, 10]]))
    assert_allclose(pose.points[0, 0], [200, 210])


def test_a_sure_heatmap_moves_its_point_and_no_other() -> None:
    landmarks, flag, heatmaps = outputs()
    heatmaps[13, 26, 0] = 1000
    pose = decode(landmarks, flag, heatmaps, IDENTITY)
    assert_allclose(pose.points[0, :2], [[104, 52], [100, 50]])


@pytest.mark.parametrize(
    ("x", "y"),
    [
        pytest.param(-5000, -5000, id="far outside"),
        pytest.param(-1, 256, id="just outside"),
        pytest.param(0, 255, id="corner"),
    ],
)
def test_a_point_at_the_edge_stays_without_a_heatmap(x: float, y: float) -> None:
    assert_allclose(decode(*outputs(x, y), IDENTITY).points, np.full((1, 39, 2), [x, y]))


def test_no_poses_make_a_table_of_no_rows() -> None:
    nobody = Poses.concatenate([])
    assert len(nobody) == 0
    assert nobody.regions() == []
    people = nobody.to_instances(100, 100)
    assert len(people) == 0
    assert people.skeleton is not None


def test_boxes_stay_in_the_picture() -> None:
    pose = decode(*outputs(), np.array([[50.0, 0, -4000], [0, 50, -2400]]))
    assert_allclose(pose.boxes(640, 480), [[640, 100, 640, 100]], atol=1)


def test_likeness_falls_from_one_to_zero_with_distance() -> None:
    landmarks, flag, heatmaps = outputs()
    landmarks.reshape(39, 5)[34, 1] -= 40
    here = decode(landmarks, flag, heatmaps, IDENTITY)
    near, far = (Poses(here.points + shift, here.point_score, here.score) for shift in (2, 200))
    assert here.likeness(here) == pytest.approx(1)
    assert 0.5 < here.likeness(near)[0] < 1
    assert here.likeness(far) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("boxes", "kept"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([[0, 0, 0, 0], [0, 0, 10, 10]], [1], id="one outside the picture"),
        pytest.param([[0, 0, 10, 10], [10, 0, 20, 10]], [0, 1], id="touching"),
        pytest.param([[0, 0, 10, 10], [4, 0, 14, 10]], [0, 1], id="side by side"),
        pytest.param([[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10]], [0, 2], id="the same twice"),
        pytest.param([[0, 0, 10, 20], [2, 1, 8, 9]], [0], id="a small one in the upper half"),
        pytest.param([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], [0, 2], id="who is left out excludes nobody"),
    ],
)
def test_one_pose_a_person_is_kept(boxes: list[list[float]], kept: list[int]) -> None:
    apart = np.zeros((len(boxes), len(boxes)), np.bool_)
    assert_array_equal(distinct(np.array(boxes, np.float64).reshape(-1, 4), apart, 0.5), kept)


def test_two_bodies_with_one_head_are_one_person() -> None:
    points = np.zeros((3, 39, 2))
    points[:, 34] = (0, -100)  # the circle about each body has a radius of 100
    points[1] += (14, 0)
    points[2] += (30, 0)
    people = Poses(points, np.ones((3, 39), np.float32), np.ones(3, np.float32))
    assert_array_equal(people.one_head(), [[True, True, False], [True, True, False], [False, False, True]])
    side_by_side = np.array([[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9]], np.float64)
    assert_array_equal(distinct(side_by_side, people.one_head(), 0.5), [0, 2])
