"""Constant-velocity motion of boxes: one Kalman filter over arrays, for all tracks of a source at once.

The state of a box is (cx, cy, w, h) in pixels and its velocity in pixels per second, as in BoT-SORT (Aharon et al.
2022, section 3.1); SORT and DeepSORT keep an aspect ratio instead of the width. Every coordinate moves and is
measured on its own, so the 8x8 covariance of a box falls apart into four 2x2 blocks, and all its arithmetic is
elementwise: `_variance[:, :, 0 | 1 | 2]` holds var(position), cov(position, velocity) and var(velocity).

Time is in seconds. The papers' constants are per frame, of videos of about 30 frames a second, and add the same noise
however long a frame lasts. Here they become two white noises in continuous time, one that shakes the position and one
that shakes the velocity (Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2):

    Q(dt) = q_position [[dt, 0], [0, 0]] + q_velocity [[dt^3 / 3, dt^2 / 2], [dt^2 / 2, dt]]

With dt = 1/30 this is the papers' noise, and predicting over a and then over b is predicting over a + b. So 5 and 30
frames a second, and frames that come irregularly, leave the same belief after the same time.

The box of somebody who walks grows wide and narrow with every step. At 5 frames a second, one that is just becoming
narrow would be expected to have no width at all in the next frame. So the velocity v of a size may fade, as exp(-t /
fade), where that of a centre lasts; its noise is then that of an integrated Ornstein-Uhlenbeck process.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoxMotion"]

_FRAMES_PER_SECOND: Final = 30.0
"""Of the videos that the papers' constants are for (MOT17: 14 to 30)."""
_POSITION: Final = 1 / 20
"""DeepSORT's `std_weight_position`: px per px of box size, and for the process noise per frame."""
_VELOCITY: Final = 1 / 160
"""DeepSORT's `std_weight_velocity`: px per frame, per px of box size, and for the process noise per frame."""

_MEASURED: Final = _POSITION**2
"""Variance of a measured coordinate, px^2 per px^2 of size."""
_SHAKE: Final = _POSITION**2 * _FRAMES_PER_SECOND
"""q_position: px^2 per second, per px^2 of size."""
_SWERVE: Final = (_VELOCITY * _FRAMES_PER_SECOND) ** 2 * _FRAMES_PER_SECOND
"""q_velocity: (px/s)^2 per second, per px^2 of size."""
_FIRST_VARIANCE: Final = np.array([(2 * _POSITION) ** 2, 0.0, (10 * _VELOCITY * _FRAMES_PER_SECOND) ** 2])
"""Of a new box, per px^2 of size: twice the position noise, ten times the velocity noise (DeepSORT)."""
_SMALLEST_PX: Final = 1.0
"""A box without area still has the uncertainty of one pixel; else its variance would be 0 and the gain 0 / 0."""


class BoxMotion:
    """The motion of n boxes. Rows are the caller's to order; new ones come last.

    Noise is relative to the size of a box when it was last measured, not to its predicted size, so that one long step
    and many short ones agree exactly.

    Args:
        swerve: How much velocities change, as a multiple of the papers' noise: less than 1 for people who keep on
            walking as they do.
        size_fade_seconds: After how long the velocity of a size has faded to 1/e; infinity: it lasts, as in the papers.
    """

    def __init__(self, swerve: float = 1.0, size_fade_seconds: float = math.inf) -> None:
        """Start with no boxes."""
        self._swerve, self._size_fade_seconds = _SWERVE * swerve, size_fade_seconds
        self._position = np.empty((0, 4))
        self._velocity = np.empty((0, 4))
        self._variance = np.empty((0, 4, 3))
        self._scale = np.empty((0, 4))

    def __len__(self) -> int:
        """Count the boxes."""
        return len(self._position)

    @property
    def xyxy(self) -> NDArray[np.float64]:
        """Boxes (x1, y1, x2, y2) where they are believed to be, shape (n, 4), pixels. Never inside out."""
        centre, half = self._position[:, :2], np.maximum(self._position[:, 2:], 0.0) / 2
        return np.hstack([centre - half, centre + half])

    @property
    def area(self) -> NDArray[np.float64]:
        """Of the boxes, shape (n,), px^2. Never negative."""
        return np.asarray(np.maximum(self._position[:, 2:], 0.0).prod(axis=1))

    @property
    def velocity(self) -> NDArray[np.float64]:
        """Of (cx, cy, w, h), shape (n, 4), pixels per second."""
        return self._velocity.copy()

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Of (position, velocity) of each of cx, cy, w, h: shape (n, 4, 2, 2), px^2, px^2/s, px^2/s^2."""
        return self._variance[:, :, [[0, 1], [1, 2]]]

    def initiate(self, xyxy: NDArray[np.floating]) -> None:
        """Append boxes at rest.

        Args:
            xyxy: Shape (m, 4), pixels.
        """
        position = _centre_size(xyxy)
        scale = _noise_scale(position)
        self._position = np.vstack([self._position, position])
        self._velocity = np.vstack([self._velocity, np.zeros_like(position)])
        self._variance = np.vstack([self._variance, scale[:, :, None] ** 2 * _FIRST_VARIANCE])
        self._scale = np.vstack([self._scale, scale])

    def predict(self, step_seconds: float | NDArray[np.float64]) -> None:
        """Move every box on by a time that is not negative.

        Args:
            step_seconds: One for all, or one for each box, shape (n,).

        Raises:
            ValueError: A step is negative or not finite.
        """
        steps = np.atleast_1d(step_seconds)
        if not ((steps >= 0) & (steps < np.inf)).all():
            msg = f"a step must be 0 seconds or more, and finite, got {step_seconds}"
            raise ValueError(msg)
        dt, noise = steps[:, None], self._scale**2
        centre, size = (_drift(steps, fade_seconds) for fade_seconds in (math.inf, self._size_fade_seconds))
        reach, kept, *wander = np.array([centre, centre, size, size]).transpose(1, 2, 0)
        position, cross, velocity = np.moveaxis(self._variance, 2, 0)
        self._position, self._velocity = self._position + reach * self._velocity, kept * self._velocity
        noise_of_position, noise_of_both, noise_of_velocity = (noise * self._swerve * one for one in wander)
        self._variance = np.stack(
            [
                position + 2 * reach * cross + reach**2 * velocity + noise * _SHAKE * dt + noise_of_position,
                kept * (cross + reach * velocity) + noise_of_both,
                kept**2 * velocity + noise_of_velocity,
            ],
            axis=2,
        )

    def update(
        self, rows: NDArray[np.integer], xyxy: NDArray[np.floating], doubt: float | NDArray[np.floating] = 1.0
    ) -> None:
        """Correct some boxes by what was measured.

        Args:
            rows: Which ones, shape (m,), each at most once.
            xyxy: Where they were seen, shape (m, 4), pixels.
            doubt: Variance of the measurement as a multiple of the papers': one for all, or shape (m,). More than 0.
        """
        measured = _centre_size(xyxy)
        position, cross, velocity = np.moveaxis(self._variance[rows], 2, 0)
        noise = _MEASURED * np.atleast_1d(doubt)[:, None] * self._scale[rows] ** 2
        gain = 1 / (position + noise)
        surprise = measured - self._position[rows]
        self._position[rows] += position * gain * surprise
        self._velocity[rows] += cross * gain * surprise
        # p r / (p + r) where the textbook has p - p^2 / (p + r): no rounding can make it negative.
        self._variance[rows] = np.stack(
            [position * noise * gain, cross * noise * gain, velocity - cross * cross * gain], axis=2
        )
        self._scale[rows] = _noise_scale(self._position[rows])

    def warp(self, warp: NDArray[np.float64]) -> None:
        """Move every box along with the picture, when the camera has moved.

        A centre and its velocity are mapped; a side and its velocity are stretched. Where the picture turns, what was
        known about x and y is mixed; that this makes both depend on each other is left out, as it is everywhere here.

        Args:
            warp: Affine map of pixels, shape (2, 3).
        """
        turn, stretch = warp[:, :2], np.sqrt((warp[:, :2] ** 2).sum(axis=0))
        self._position = np.hstack([self._position[:, :2] @ turn.T + warp[:, 2], self._position[:, 2:] * stretch])
        self._velocity = np.hstack([self._velocity[:, :2] @ turn.T, self._velocity[:, 2:] * stretch])
        mixed = np.einsum("ij,njk->nik", turn**2, self._variance[:, :2])
        self._variance = np.concatenate([mixed, self._variance[:, 2:] * stretch[:, None] ** 2], axis=1)
        self._scale = self._scale * np.tile(stretch, 2)

    def hold_size(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> None:
        """Let some boxes keep their size while they move: extrapolated unseen, a shrinking box would vanish."""
        self._velocity[rows, 2:] = 0.0

    def copy(self, rows: NDArray[np.integer]) -> "BoxMotion":
        """Give a copy of some boxes, in the order of `rows`, that goes its own way."""
        taken = BoxMotion()
        taken._swerve, taken._size_fade_seconds = self._swerve, self._size_fade_seconds
        taken._position, taken._velocity = self._position[rows], self._velocity[rows]
        taken._variance, taken._scale = self._variance[rows], self._scale[rows]
        return taken

    def put(self, rows: NDArray[np.integer], motion: "BoxMotion") -> None:
        """Overwrite some boxes by those of another motion, shape (m,), each at most once."""
        self._position[rows], self._velocity[rows] = motion._position, motion._velocity  # noqa: SLF001 - of its own kind
        self._variance[rows], self._scale[rows] = motion._variance, motion._scale  # noqa: SLF001

    def keep(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> None:
        """Forget all boxes but `rows`, which close up in their order."""
        self._position, self._velocity = self._position[rows], self._velocity[rows]
        self._variance, self._scale = self._variance[rows], self._scale[rows]


def _drift(dt: NDArray[np.float64], fade_seconds: float) -> tuple[NDArray[np.float64], ...]:
    """Say what some steps of time do, for a velocity that fades.

    Returns:
        How far a velocity of 1 carries, and how much of it is left; what white noise of 1 in the velocity adds to
        var(position), cov(position, velocity) and var(velocity). Each like `dt`.
    """
    if math.isinf(fade_seconds):
        return dt, np.ones_like(dt), dt**3 / 3, dt**2 / 2, dt
    kept = np.exp(-dt / fade_seconds)
    reach, settled = fade_seconds * (1 - kept), fade_seconds / 2 * (1 - kept**2)
    return reach, kept, fade_seconds**2 * (dt - 2 * reach + settled), reach**2 / 2, settled


def _centre_size(xyxy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Turn (x1, y1, x2, y2) into (cx, cy, w, h), in float64."""
    boxes = np.asarray(xyxy, dtype=np.float64)
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.hstack([(low + high) / 2, high - low])


def _noise_scale(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the size that noise is relative to, px: w for cx and w, h for cy and h (BoT-SORT)."""
    return np.maximum(np.tile(position[:, 2:], 2), _SMALLEST_PX)
