"""The people of a frame, as far as they are annotated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import Skeleton
from pipeline.types import NO_TRACK, Instances

if TYPE_CHECKING:
    from stages.dataloop.items import Item

__all__ = ["CORNERS", "Sight", "Sights", "identified"]

Floats = NDArray[np.float64]

CORNERS: Final = 2
"""A box is two points."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """Who is to be shown in a frame, and where: n people with k joints."""

    ids: list[int]
    """Identities."""
    points: Floats
    """Joints, then the upper left and the lower right corner of the box, pixels, shape (n, k + 2, 2)."""
    seen: NDArray[np.bool_]
    """Which of them are to be shown, shape (n, k + 2)."""
    joint_score: Floats
    """0 where a joint is not to be shown, shape (n, k)."""
    score: list[float]
    """Of the people."""


class Sights:
    """Judges what is to be shown of people.

    Args:
        item: What they are in; boxes end where it does.
        skeleton: The joints that they must have.
        min_score: Joints below it are not shown.
        boxes: Show boxes.
    """

    def __init__(self, item: "Item", skeleton: Skeleton, min_score: float, *, boxes: bool) -> None:
        """Keep what is asked for."""
        self._limits = [item.width or np.inf, item.height or np.inf]
        self._skeleton = skeleton
        self._min_score = min_score
        self._boxes = boxes

    def of(self, people: Instances, ids: list[int]) -> Sight:
        """Judge the people of a frame.

        Raises:
            ValueError: They have no joints, or others.
        """
        joints, joint_score = self._joints_of(people)
        seen = joint_score >= self._min_score
        corners = people.xyxy.astype(np.float64).reshape(-1, CORNERS, 2).clip(0, self._limits)
        boxed = np.logical_and.reduce(corners[:, 1] > corners[:, 0], axis=1) & self._boxes
        return Sight(
            ids,
            np.concatenate([joints, corners], axis=1),
            np.concatenate([seen, np.repeat(boxed[:, None], CORNERS, axis=1)], axis=1),
            np.where(seen, joint_score, 0.0),
            people.score.tolist(),
        )

    def _joints_of(self, people: Instances) -> tuple[Floats, Floats]:
        if not len(people):
            return np.zeros((0, len(self._skeleton), 2)), np.zeros((0, len(self._skeleton)))
        if people.skeleton != self._skeleton or people.keypoints is None or people.keypoint_score is None:
            got = people.skeleton.name if people.skeleton else "no joints"
            msg = (
                f"the template has the joints of {self._skeleton.name}, the people have {got}; "
                "choose a pose model and a template that fit each other"
            )
            raise ValueError(msg)
        return people.keypoints.astype(np.float64), people.keypoint_score.astype(np.float64)


def identified(people: Instances) -> tuple[Instances, list[int]]:
    """Give those who have an identity, and which.

    Raises:
        ValueError: Nobody was asked who they are.
    """
    if people.track_id is None:
        if len(people):
            msg = "the people of a video have no identities; put a tracker in front, or set tracked to false"
            raise ValueError(msg)
        return people, []
    rows = np.flatnonzero(people.track_id != NO_TRACK)
    return people[rows], people.track_id[rows].tolist()
