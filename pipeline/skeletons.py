"""Which joints a pose has: names, bones, mirror pairs, and the spread of each joint that OKS needs."""

from dataclasses import dataclass

__all__ = ["COCO_17", "Skeleton"]


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
