"""Which joints a pose has: names, bones, mirror pairs, and the spread of each joint that OKS needs."""

from dataclasses import dataclass

__all__ = ["COCO_17", "MPII_16", "Skeleton", "skeleton_for"]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints of one pose format, in the order of its keypoint rows."""

    name: str
    joints: tuple[str, ...]
    bones: tuple[tuple[int, int], ...]
    """Pairs of joint indices that are drawn as a line."""
    mirrored: tuple[tuple[int, int], ...]
    """Pairs (left, right) that change places when the picture is flipped."""
    sigmas: tuple[float, ...]
    """Standard deviation of human annotators per joint, relative to the object's scale."""

    def __len__(self) -> int:
        """Count the joints."""
        return len(self.joints)


COCO_17 = Skeleton(
    name="coco-17",
    joints=(
        "nose",
        "left_eye",
        "right_eye",
        "left_ear",
        "right_ear",
        "left_shoulder",
        "right_shoulder",
        "left_elbow",
        "right_elbow",
        "left_wrist",
        "right_wrist",
        "left_hip",
        "right_hip",
        "left_knee",
        "right_knee",
        "left_ankle",
        "right_ankle",
    ),
    bones=(
        (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9),
        (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
    ),
    mirrored=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
        0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
)  # fmt: skip
"""COCO person keypoints; sigmas from the COCO keypoint evaluation (cocodataset.org/#keypoints-eval, section 1.3)."""

MPII_16 = Skeleton(
    name="mpii-16",
    joints=(
        "right_ankle",
        "right_knee",
        "right_hip",
        "left_hip",
        "left_knee",
        "left_ankle",
        "pelvis",
        "thorax",
        "upper_neck",
        "head_top",
        "right_wrist",
        "right_elbow",
        "right_shoulder",
        "left_shoulder",
        "left_elbow",
        "left_wrist",
    ),
    bones=(
        (0, 1), (1, 2), (2, 6), (3, 6), (3, 4), (4, 5), (6, 7), (7, 8),
        (8, 9), (7, 12), (7, 13), (12, 11), (11, 10), (13, 14), (14, 15),
    ),
    mirrored=((5, 0), (4, 1), (3, 2), (15, 10), (14, 11), (13, 12)),
    sigmas=(
        0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.107, 0.079,
        0.026, 0.026, 0.062, 0.072, 0.079, 0.079, 0.072, 0.062,
    ),
)  # fmt: skip
"""MPII human pose, in the order of its annotations. MPII is measured by PCKh and states no sigmas: these are COCO's for
the joints that both have; pelvis as the hips, thorax as the shoulders, neck and top of the head as the nose."""

_UNKNOWN_SIGMA = 0.1


def skeleton_for(joint_count: int) -> Skeleton:
    """Give the skeleton that a network with so many joints was trained on.

    Args:
        joint_count: At least 1. 17 is COCO, 16 is MPII; any other count gets numbered joints without bones and mirror
            pairs, all of the same sigma.
    """
    known = {len(skeleton): skeleton for skeleton in (COCO_17, MPII_16)}
    return known.get(joint_count) or Skeleton(
        name=f"joints-{joint_count}",
        joints=tuple(f"joint_{number}" for number in range(joint_count)),
        bones=(),
        mirrored=(),
        sigmas=(_UNKNOWN_SIGMA,) * joint_count,
    )
