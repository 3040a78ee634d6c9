"""Steady joints: the One-Euro filter, for all joints of all people at once.

It is a low pass whose cutoff rises with speed: what is still is held still, what moves fast is followed at once
(Casiez, Roussel, Vogel, "1 Euro Filter", CHI 2012). For a joint that is seen `dt` after it was last seen:

    share(hz) = 1 - exp(-2 pi hz dt)                                               the paper's alpha
    slope    += share(score 2 Hz) ((seen - last seen) / dt - slope)                the paper's dx, smoothed
    cutoff    = score (rest + swiftness |slope| / size)                            the paper's fc = fcmin + beta |dx|
    smoothed += share(cutoff) (seen - smoothed)                                    the paper's low pass

What differs from the paper, and why:

- `share` is the low pass itself, not its first-order approximation 1 / (1 + 1 / (2 pi hz dt)): one step of 0.2 s does
  what six of a thirtieth do, so 5 and 30 frames a second, and irregular ones, behave alike.
- The slope is that of what was seen, not the way to it from what is smoothed: that holds the filter's own lag as well,
  and more of it the higher the frame rate.
- A joint has one cutoff for x and y, from its speed in sizes of its person a second: people near and far are steadied
  alike, and a joint that moves straight is shown to move straight.
- Cutoffs are multiplied by the score: a doubtful joint follows less.

What is left of the trembling of 1 % of a person's height, from frame to frame, and how late joints are of somebody who
walks (1.4 m/s) and of an arm that swings (1.5 times a second), by `benchmarks/smoothing.py`:

    strength   frames/s   trembling left   lag walking   lag of the arm
    light      30         29 %             17 ms         7 ms
    light       5         86 %              0 ms         0 ms
    strong     30         13 %             46 ms         18 ms
    strong      5         47 %              9 ms         0 ms

At 5 frames a second there is little to average that would not be late, so little is.
"""

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.types import NO_TRACK, Instances

if TYPE_CHECKING:
    from pipeline.skeletons import Skeleton

__all__ = ["JointSmoothing", "Strength"]

Floats = NDArray[np.float64]

Strength = Literal["light", "strong"]


class _Tuning(NamedTuple):
    rest_hz: float
    """Cutoff of a joint that does not move."""
    swiftness: float
    """By how many Hz it rises for each size of the person that the joint moves in a second."""


_TUNING: Final[dict[Strength, _Tuning]] = {"light": _Tuning(1.5, 5.0), "strong": _Tuning(0.4, 3.0)}
_SLOPE_HZ: Final = 2.0
"""The paper has 1 Hz; an arm that swings turns round three times a second."""
_AWAY_SECONDS: Final = 1.0
"""A joint that was not seen for longer begins anew, and a person is forgotten."""
_SHORTEST_SECONDS: Final = 1e-6
"""Frames that are closer to each other have the same time: no speed follows from them."""
_SMALLEST_PX: Final = 1.0

_JOINT: Final = np.dtype(
    [
        ("smoothed", np.float64, 2),
        ("last", np.float64, 2),  # as it was seen
        ("slope", np.float64, 2),  # px/s
        ("seen_seconds", np.float64),  # when it was last seen; minus infinity: never
    ]
)


class JointSmoothing:
    """Steadies the joints of the people of one source.

    Boxes and scores stay as they are, and so does everything of a person without an id. A joint of score 0 was not
    seen: it is given as it came, and the filter waits for the next one.

    Args:
        strength: `light` or `strong`: how much of the trembling goes, for how much lag.
    """

    def __init__(self, strength: Strength = "light") -> None:
        """Know nobody yet."""
        self._tuning = _TUNING[strength]
        self._skeleton: Skeleton | None = None
        self._forget()

    def update(self, instances: Instances, pts_seconds: float) -> Instances:
        """Take the people of the next frame and give them with steady joints.

        Args:
            instances: With `track_id`, each id once. A table without ids or joints is given back as it is.
            pts_seconds: Time of the frame. Where it is not later than that of the frame before, joints begin anew.

        Returns:
            The same rows in the same order; no joint is outside of where it was seen.
        """
        if instances.keypoints is None or instances.keypoint_score is None or instances.track_id is None:
            return instances
        if instances.skeleton != self._skeleton:
            self._skeleton = instances.skeleton
            self._forget()
        rows = np.flatnonzero(instances.track_id != NO_TRACK)
        people, ids = instances[rows], instances.track_id[rows]
        joints = self._followed(self._recall(ids), people, pts_seconds)
        self._remember(ids, joints, pts_seconds)
        keypoints, is_seen = instances.keypoints.copy(), instances.keypoint_score[rows] > 0
        keypoints[rows] = np.where(is_seen[..., None], joints["smoothed"], keypoints[rows])
        return instances.with_columns(keypoints=keypoints)

    def _forget(self) -> None:
        """Know nobody."""
        self._ids = np.empty(0, np.int64)
        self._joints = np.empty((0, 0 if self._skeleton is None else len(self._skeleton)), _JOINT)

    def _recall(self, ids: NDArray[np.int64]) -> NDArray[np.void]:
        """Give what is known of the joints of some people, shape (n, k)."""
        joints = np.zeros((len(ids), self._joints.shape[1]), _JOINT)
        joints["seen_seconds"] = -np.inf
        known, asked = np.nonzero(self._ids[:, None] == ids)
        joints[asked] = self._joints[known]
        return joints

    def _followed(self, before: NDArray[np.void], people: Instances, pts_seconds: float) -> NDArray[np.void]:
        """Give what is known of joints after this frame: see the formulas of this module."""
        assert people.keypoints is not None
        assert people.keypoint_score is not None
        seen = people.keypoints.astype(np.float64)
        score = np.clip(people.keypoint_score, 0.0, 1.0).astype(np.float64)
        gap = pts_seconds - before["seen_seconds"]
        is_steady = (gap >= _SHORTEST_SECONDS) & (gap <= _AWAY_SECONDS)
        step = np.where(is_steady, gap, 1.0)
        rate = (seen - before["last"]) / step[..., None]
        slope = before["slope"] + _share(score * _SLOPE_HZ, step) * (rate - before["slope"])
        speed = np.hypot(slope[..., 0], slope[..., 1]) / _sizes(people)[:, None]
        cutoff = score * (self._tuning.rest_hz + self._tuning.swiftness * speed)
        smoothed = before["smoothed"] + _share(cutoff, step) * (seen - before["smoothed"])
        now = np.empty_like(before)
        now["smoothed"] = np.where(is_steady[..., None], smoothed, seen)
        now["slope"] = np.where(is_steady[..., None], slope, 0.0)
        now["last"], now["seen_seconds"] = seen, pts_seconds
        return np.where(score > 0, now, before)

    def _remember(self, ids: NDArray[np.int64], joints: NDArray[np.void], pts_seconds: float) -> None:
        """Keep the people of this frame, and those who may come back soon."""
        away = pts_seconds - self._joints["seen_seconds"].max(axis=1, initial=-np.inf)
        stays = (away >= 0) & (away <= _AWAY_SECONDS) & ~np.isin(self._ids, ids)
        self._ids = np.concatenate([self._ids[stays], ids])
        self._joints = np.concatenate([self._joints[stays], joints])


def _share(hz: Floats, step_seconds: Floats) -> Floats:
    """Say how far a low pass goes towards what it sees: shape (n, k) to (n, k, 1), 0..1."""
    return np.asarray(-np.expm1(-2 * np.pi * hz * step_seconds))[..., None]


def _sizes(people: Instances) -> Floats:
    """Give the longer side of each box, shape (n,), pixels."""
    low, high = np.split(people.xyxy.astype(np.float64), 2, axis=1)
    return np.asarray(np.maximum((high - low).max(axis=1), _SMALLEST_PX))
