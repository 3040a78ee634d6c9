"""How a person and the joints are called."""

import re

import pytest

from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_for
from stages.dataloop.labels import PERSON, Template, arcs, colours, labels, standing

BOTH = pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)


def test_coco_labels_are_those_that_datasets_are_set_up_with() -> None:
    assert labels(COCO_17) == (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    )  # fmt: skip


def test_mpii_has_sixteen_labels() -> None:
    assert len(set(labels(MPII_16))) == 16


def test_template_pose_and_box_have_the_same_name() -> None:
    assert Template("t-1", COCO_17).name == PERSON == "person"


@BOTH
def test_arcs_join_labels(skeleton: Skeleton) -> None:
    assert {end for arc in arcs(skeleton) for end in arc} == set(labels(skeleton))


@BOTH
def test_every_label_has_a_colour(skeleton: Skeleton) -> None:
    painted = colours(skeleton)

    assert painted.keys() == {PERSON, *labels(skeleton)}
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in painted.values())
    assert painted["left_knee"] != painted["right_knee"]


@BOTH
def test_somebody_who_stands_has_the_head_up_and_the_left_hand_at_our_right(skeleton: Skeleton) -> None:
    places = standing(skeleton)

    assert tuple(places) == labels(skeleton)
    assert len(set(places.values())) == len(skeleton)
    assert places["left_wrist"][0] > places["right_wrist"][0]
    assert places["left_shoulder"][1] < places["left_hip"][1] < places["left_knee"][1] < places["left_ankle"][1]


def test_a_joint_whose_place_nobody_knows_is_an_error() -> None:
    with pytest.raises(ValueError, match="joint_0"):
        standing(skeleton_for(5))
