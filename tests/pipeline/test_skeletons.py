"""Tables of joints fit together: an index that is off by one draws an arm from the ear."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import skeletons
from pipeline.skeletons import COCO_17, MPII_16, Skeleton, skeleton_for, skeleton_of

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


# Joints that a data set names


@pytest.mark.parametrize("known", [COCO_17, MPII_16], ids=["coco", "mpii"])
def test_joints_of_a_known_name_are_the_known_skeleton(known: Skeleton) -> None:
    assert skeleton_of(known.joints) is known
    assert skeleton_of(known.joints, known.bones, known.sigmas) is known
    assert skeleton_of(known.joints[::-1]) != known


@pytest.mark.parametrize(
    "names",
    [
        ["nose", "left_knee", "right_knee"],
        ["Nose", "RightKnee", "LeftKnee"],
        ["nose", "l_knee", "r_knee"],
        ["nose", "knee.R", "knee.L"],
        ["nose", "KNEE-LEFT", "KNEE-RIGHT"],
    ],
)
def test_mirror_pairs_are_told_by_the_names(names: list[str]) -> None:
    (pair,) = skeleton_of(names).mirrored

    assert set(pair) == {1, 2}
    assert "l" in names[pair[0]].lower().replace("knee", "")


def test_names_without_a_side_have_no_pairs() -> None:
    assert skeleton_of(["tail", "skull", "left_ear"], [(0, 1)]).mirrored == ()


def test_a_joint_that_coco_has_is_as_spread_as_there_and_any_other_as_the_mean() -> None:
    assert skeleton_of(["left_ankle", "tail"]).sigmas == (0.089, 0.067)
    assert sum(COCO_17.sigmas) / 17 == pytest.approx(0.067, abs=1e-3)


def test_sigmas_that_a_data_set_states_are_taken() -> None:
    assert skeleton_of(["left_ankle", "tail"], sigmas=[0.2, 0.3]).sigmas == (0.2, 0.3)
    assert skeleton_of(COCO_17.joints, sigmas=[0.1] * 17) != COCO_17


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"joints": ()}, "names of their own, got none", id="no joints"),
        pytest.param({"joints": ("a", "b", "a")}, "names of their own, got a, b, a", id="a name twice"),
        pytest.param({"bones": ((0, 3),)}, r"bones must be pairs of two of its joints, 0 to 2, got \(0, 3\)", id="far"),
        pytest.param({"bones": ((-1, 0),)}, "bones must be pairs", id="from the end"),
        pytest.param({"bones": ((1, 1),)}, "bones must be pairs of two", id="to itself"),
        pytest.param({"mirrored": ((0, 0),)}, "mirrored must be pairs of two", id="its own mirror"),
        pytest.param({"mirrored": ((0, 1), (1, 2))}, "a joint can change places with one other", id="two mirrors"),
        pytest.param({"sigmas": (0.1,)}, "needs 3 sigmas above 0", id="too few sigmas"),
        pytest.param({"sigmas": (0.1, 0.0, 0.1)}, "needs 3 sigmas above 0", id="no spread"),
        pytest.param({"sigmas": (0.1, float("nan"), 0.1)}, "needs 3 sigmas above 0", id="nan"),
        pytest.param({"sigmas": (0.1, float("inf"), 0.1)}, "needs 3 sigmas above 0", id="inf"),
    ],
)
def test_tables_that_do_not_fit_together_are_no_skeleton(fields: dict[str, Any], said: str) -> None:
    whole: dict[str, Any] = {
        "name": "three",
        "joints": ("a", "b", "c"),
        "bones": (),
        "mirrored": (),
        "sigmas": (0.1, 0.1, 0.1),
    }
    assert len(Skeleton(**whole)) == 3
    with pytest.raises(ValueError, match=f"the skeleton 'three' is none: .*{said}"):
        Skeleton(**whole | fields)


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True),
    st.lists(st.sampled_from("stuvwxyz"), max_size=8, unique=True),
    st.sampled_from(["left_{} right_{}", "{}Left {}Right", "L_{} R_{}", "{}.l {}.r"]),
    st.randoms(use_true_random=False),
)
def test_whatever_the_order_every_left_joint_finds_its_right_one(
    parts: list[str], middle: list[str], style: str, random: Any
) -> None:
    pairs = [style.format(part, part).split() for part in parts]
    joints = [*middle, "nose", *(name for pair in pairs for name in pair)]
    random.shuffle(joints)

    skeleton = skeleton_of(joints)

    assert sorted([joints[left], joints[right]] for left, right in skeleton.mirrored) == sorted(pairs)
