"""Tables of joints fit together: an index that is off by one draws an arm from the ear."""

import pytest

from pipeline import skeletons
from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_for

ALL = [value for value in vars(skeletons).values() if isinstance(value, Skeleton)]

every_skeleton = pytest.mark.parametrize("skeleton", ALL, ids=[skeleton.name for skeleton in ALL])


@every_skeleton
def test_joints_have_names_of_their_own(skeleton: Skeleton) -> None:
    assert len(skeleton) == len(skeleton.joints) == len(set(skeleton.joints)) > 0


@every_skeleton
def test_bones_join_two_joints_that_exist_once_each(skeleton: Skeleton) -> None:
    assert all(0 <= joint < len(skeleton) for bone in skeleton.bones for joint in bone)
    assert all(len(set(bone)) == 2 for bone in skeleton.bones)
    assert len({frozenset(bone) for bone in skeleton.bones}) == len(skeleton.bones)


@every_skeleton
def test_bones_reach_every_joint_and_hold_the_body_together(skeleton: Skeleton) -> None:
    reached = {0}
    for _ in skeleton.joints:
        reached |= {joint for bone in skeleton.bones if reached & set(bone) for joint in bone}
    assert reached == set(range(len(skeleton)))


@every_skeleton
def test_every_left_joint_is_mirrored_to_its_right_one(skeleton: Skeleton) -> None:
    names = [(skeleton.joints[left], skeleton.joints[right]) for left, right in skeleton.mirrored]
    assert {left for left, _ in names} == {name for name in skeleton.joints if name.startswith("left_")}
    assert all(right == left.replace("left_", "right_") for left, right in names)
    assert sum(name.startswith("right_") for name in skeleton.joints) == len(names)


@every_skeleton
def test_the_skeleton_looks_the_same_in_a_mirror(skeleton: Skeleton) -> None:
    other = {a: b for pair in skeleton.mirrored for a, b in (pair, pair[::-1])}
    bones = {frozenset(bone) for bone in skeleton.bones}
    assert {frozenset(other.get(joint, joint) for joint in bone) for bone in bones} == bones


@every_skeleton
def test_every_joint_has_a_spread_and_mirrored_joints_share_it(skeleton: Skeleton) -> None:
    assert len(skeleton.sigmas) == len(skeleton)
    assert all(0 < sigma < 1 for sigma in skeleton.sigmas)
    assert all(skeleton.sigmas[left] == skeleton.sigmas[right] for left, right in skeleton.mirrored)


def test_names_of_skeletons_are_different() -> None:
    assert len({skeleton.name for skeleton in ALL}) == len(ALL)


def test_coco_is_the_one_that_everybody_means() -> None:
    assert len(COCO_17) == 17
    assert (COCO_17.joints[0], COCO_17.joints[5], COCO_17.joints[16]) == ("nose", "left_shoulder", "right_ankle")
    assert COCO_17.sigmas[0] == 0.026


def test_mpii_is_in_the_order_of_its_annotations() -> None:
    assert len(MPII_16) == 16
    places = {0: "right_ankle", 6: "pelvis", 9: "head_top", 10: "right_wrist", 13: "left_shoulder", 15: "left_wrist"}
    assert {place: MPII_16.joints[place] for place in places} == places


def test_joints_that_both_data_sets_have_are_as_spread() -> None:
    sigmas = dict(zip(COCO_17.joints, COCO_17.sigmas, strict=True))
    shared = [(name, sigma) for name, sigma in zip(MPII_16.joints, MPII_16.sigmas, strict=True) if name in sigmas]
    assert len(shared) == 12
    assert all(sigmas[name] == sigma for name, sigma in shared)


@pytest.mark.parametrize("skeleton", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_the_number_of_joints_tells_a_known_skeleton(skeleton: Skeleton) -> None:
    assert skeleton_for(len(skeleton)) is skeleton


@pytest.mark.parametrize("count", [1, 15, 18, 133])
def test_an_unknown_number_of_joints_gives_numbered_ones_that_nothing_is_known_of(count: int) -> None:
    skeleton = skeleton_for(count)
    assert len(skeleton) == len(set(skeleton.joints)) == len(skeleton.sigmas) == count
    assert skeleton.joints[-1] == f"joint_{count - 1}"
    assert skeleton.bones == skeleton.mirrored == ()
    assert skeleton == skeleton_for(count)
    assert str(count) in skeleton.name


def test_a_skeleton_can_be_a_key() -> None:
    assert {COCO_17: 1}[COCO_17] == 1
