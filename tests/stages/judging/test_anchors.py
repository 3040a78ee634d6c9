"""Which point of a person counts."""

from typing import get_args

import numpy as np
import pytest

from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_for
from pipeline.types import Instances
from stages.judging.anchors import Anchor, anchor_points, tremble_px

BOX = [[100, 200, 140, 300]]


def person(skeleton: Skeleton, **joints: tuple[float, float, float]) -> Instances:
    """One person with some joints (x, y, score); the others have score 0 and lie anywhere."""
    table = np.zeros((1, len(skeleton), 3))
    table[..., :2] = 7777
    for name, joint in joints.items():
        table[0, skeleton.joints.index(name)] = joint
    return Instances.of(BOX, [0.9], keypoints=table[..., :2], keypoint_score=table[..., 2], skeleton=skeleton)


@pytest.mark.parametrize(
    ("anchor", "point"),
    [("feet", [120, 300]), ("hip", [120, 250]), ("box", [120, 250])],
)
@pytest.mark.parametrize(
    "people",
    [
        pytest.param(Instances.of(BOX, [0.9]), id="no joints"),
        pytest.param(person(COCO_17), id="joints of score 0"),
        pytest.param(person(COCO_17, left_ankle=(1, 1, 0.9), right_hip=(1, 1, 0.9)), id="one of two"),
        pytest.param(person(skeleton_for(5)), id="other joints"),
    ],
)
def test_the_box_counts_where_joints_are_not_seen(people: Instances, anchor: Anchor, point: list[float]) -> None:
    assert anchor_points(people, anchor, 0.3).tolist() == [point]


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)
def test_the_middle_of_the_joints_counts_where_both_are_seen(skeleton: Skeleton) -> None:
    people = person(
        skeleton,
        left_ankle=(110, 290, 0.3),
        right_ankle=(120, 294, 0.9),
        left_hip=(112, 240, 0.5),
        right_hip=(116, 244, 0.5),
    )
    assert anchor_points(people, "feet", 0.3).tolist() == [[115, 292]]
    assert anchor_points(people, "feet", 0.31).tolist() == [[120, 300]]
    assert anchor_points(people, "hip", 0.3).tolist() == [[114, 242]]
    assert anchor_points(people, "box", 0.3).tolist() == [[120, 250]]


@pytest.mark.parametrize("people", [Instances.empty(), Instances.empty(COCO_17)], ids=["boxes", "joints"])
def test_nobody_has_no_point(people: Instances) -> None:
    for anchor in get_args(Anchor):
        assert anchor_points(people, anchor, 0.3).shape == (0, 2)
    assert tremble_px(people, 0.05).shape == tremble_px(people, 5).shape == (0,)


@pytest.mark.parametrize(("tremble", "pixels"), [(0, 0), (0.05, 5), (1, 100), (1.5, 1.5), (12, 12)])
def test_trembling_is_a_share_of_the_height_up_to_one_and_pixels_above(tremble: float, pixels: float) -> None:
    assert tremble_px(Instances.of(BOX, [0.9]), tremble).tolist() == pytest.approx([pixels])


def test_an_inside_out_box_does_not_tremble() -> None:
    assert tremble_px(Instances.of([[0, 9, 5, 2]], [0.9]), 0.5).tolist() == [0]
