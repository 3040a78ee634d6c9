"""Motion of joints: where each joint of a person will be, and how well a pose that is seen fits.

A joint moves with its body and swings about it. The body's velocity is that of the box and lasts; what a joint has on
top of it fades within a fraction of a second, because arms and legs swing back:

    joint(t + dt) = joint(t) + body dt + swing fade (1 - exp(-dt / fade))

And it is believed less and less: OKS compares with a spread that grows with the time since a joint was seen.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackers.camera_motion import warp_points

__all__ = ["PoseMotion"]

Floats = NDArray[np.float64]

_FADE_SECONDS: Final = 0.15
"""How long a joint goes on as it swings: a quarter of a step of somebody who walks."""
_SWING_SECONDS: Final = 0.2
"""After so long unseen, a joint may be off by as much again as annotators are."""
_INDIFFERENT: Final = 0.4
"""OKS that speaks neither for a pair nor against it: about that of somebody else at the same place."""
_FOLLOW_SECONDS: Final = 0.08
"""Over what time the velocity of a joint is averaged."""
_MEMORY_SECONDS: Final = 0.5
"""How long a joint that is not seen any more is still remembered."""


class PoseMotion:
    """The joints of n people. Rows are the caller's to order; new ones come last.

    Args:
        sigmas: Spread of each joint, shape (k,): `Skeleton.sigmas`.
    """

    def __init__(self, sigmas: tuple[float, ...], people: int = 0) -> None:
        """Start with people whose joints have never been seen."""
        self._spread = 8 * np.asarray(sigmas) ** 2  # 2 (2 sigma)^2, as in COCO's formula
        k = len(sigmas)
        self._joints, self._swing = np.zeros((people, k, 2)), np.zeros((people, k, 2))
        self._score, self._unseen_seconds = np.zeros((people, k)), np.zeros((people, k))

    @property
    def joints(self) -> int:
        """Count the joints of a person."""
        return len(self._spread)

    def warp(self, warp: Floats) -> None:
        """Move all joints along with the picture: affine map of pixels, shape (2, 3)."""
        self._joints, self._swing = warp_points(self._joints, warp), self._swing @ warp[:, :2].T

    def predict(self, step_seconds: float, body_velocity: Floats) -> None:
        """Move all joints on.

        Args:
            step_seconds: 0 or more.
            body_velocity: Of the boxes' centres, shape (n, 2), px/s.
        """
        left = np.exp(-step_seconds / _FADE_SECONDS)
        self._joints = self._joints + body_velocity[:, None] * step_seconds + self._swing * _FADE_SECONDS * (1 - left)
        self._swing = self._swing * left
        self._score = self._score * np.exp(-step_seconds / _MEMORY_SECONDS)
        self._unseen_seconds = self._unseen_seconds + step_seconds

    def fit(
        self, rows: NDArray[np.integer], area: Floats, joints: NDArray[np.floating], score: NDArray[np.floating]
    ) -> Floats:
        """Tell how well poses fit to people, pair by pair: OKS above or below that of chance, as far as both are known.

        Args:
            rows: Whom, shape (p,).
            area: Of their boxes, shape (p,), px^2.
            joints: What is seen, shape (p, k, 2), pixels.
            score: Of the joints, shape (p, k), 0..1.

        Returns:
            Shape (p,): above 0 speaks for a pair, below 0 against it; 0 where the two have no joint in common.
        """
        weight = self._score[rows] * score
        loose = 1 + (self._unseen_seconds[rows] / _SWING_SECONDS) ** 2
        dx, dy = np.moveaxis(self._joints[rows] - joints, 2, 0)
        alike = np.exp(-(dx * dx + dy * dy) / (np.maximum(area, 1.0)[:, None] * self._spread * loose))
        return np.asarray((weight * (alike - _INDIFFERENT)).mean(axis=1))

    def update(self, rows: NDArray[np.integer], joints: NDArray[np.floating], score: NDArray[np.floating]) -> None:
        """Correct some people by the joints that were seen of them, each as far as it is sure.

        Args:
            rows: Which ones, shape (m,), each at most once.
            joints: Shape (m, k, 2), pixels.
            score: Shape (m, k), 0..1.
        """
        known, gap = self._score[rows], self._unseen_seconds[rows]
        trust = (score / np.maximum(known + score, 1e-6)) ** 0.5  # both sure: mostly what is seen, 0.7
        surprise = joints - self._joints[rows]
        steady = ((known > 0) & (gap > 0))[..., None]
        rate = score[..., None] * surprise / np.maximum(gap + _FOLLOW_SECONDS, 1e-6)[..., None]
        self._swing[rows] = np.where(steady, self._swing[rows] + rate, 0.0)
        self._joints[rows] += trust[..., None] * surprise
        self._unseen_seconds[rows] = gap * (1 - score)
        self._score[rows] = np.maximum(known, score)

    def append(self, joints: NDArray[np.floating], score: NDArray[np.floating]) -> None:
        """Add people: joints of shape (m, k, 2), scores of shape (m, k)."""
        self._joints = np.concatenate([self._joints, joints])
        self._swing = np.concatenate([self._swing, np.zeros(joints.shape)])
        self._score = np.concatenate([self._score, score])
        self._unseen_seconds = np.concatenate([self._unseen_seconds, np.zeros(score.shape)])

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Forget all people but `rows`."""
        self._joints, self._swing = self._joints[rows], self._swing[rows]
        self._score, self._unseen_seconds = self._score[rows], self._unseen_seconds[rows]
