"""How the camera moved, found in its pictures: corners of what does not move are followed from picture to picture.

    picture --small, grey--> corners, not on people --Lucas-Kanade--> where they are now --RANSAC--> similarity

The picture is compared with a reference, not always with the one before: as long as the camera stands still, the
reference stays, so that a slow drift adds up until it shows, and corners are sought once. A camera that has stood still
for a while is looked at only now and then, and costs next to nothing.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.types import Frame
from trackers.base import Tracker
from trackers.camera_motion import between, read_warps

__all__ = ["FileWarps", "FlowWarps", "Look", "warps_for"]

Floats = NDArray[np.float64]
Grey = NDArray[np.uint8]

_WIDTH: Final = 320
"""Of the small picture, pixels."""
_CORNERS: Final = 150
_APART: Final = 7
"""Corners are at least so many small pixels from each other: they shall tell of the whole picture."""
_TEXTURE: Final = 0.01
"""The weakest corner, relative to the strongest one."""
_WINDOW: Final = (11, 11)
_LEVELS: Final = 4
"""Of the pyramid, each half as large: corners are found again some 40 small pixels away."""
_AGREE: Final = 0.8
"""Corners agree with a motion if it leaves them less than so many small pixels off."""
_FEWEST: Final = 12
_LEAST_CONFIDENCE: Final = 0.35
"""After a cut of the scene, some corners agree by chance: less than a tenth. With a crowd that was not detected, half
may disagree."""
_LARGEST_SCALE: Final = 1.5
_LARGEST_TURN: Final = 0.5
"""Radians. Between two pictures, a camera does not turn or zoom more."""
_STILL: Final = 0.15
"""A picture whose corners move by less than so many small pixels has not moved: it is measured to a twentieth."""
_REST_AFTER_SECONDS: Final = 1.0
_REST_SECONDS: Final = 0.25
"""How long a camera that has stood still for long is not looked at."""
_OLDEST_SECONDS: Final = 2.0
"""Age of a reference at which it is replaced: light changes, and things are put down and taken away."""


class Look(NamedTuple):
    """What was found out."""

    warp: Floats | None
    """From pixels of the frame in the call before to pixels of this one, shape (2, 3); None: still, or unknown."""
    confidence: float
    """Share of the corners that agree, 0..1; below 0.35, the motion is unknown. 1 where nobody looked, at rest."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """The picture that others are compared with."""

    grey: Grey
    corners: NDArray[np.float32]
    """Shape (n, 1, 2), small pixels."""
    pts_seconds: float


class FlowWarps:
    """Watches one camera."""

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self._reference: _Reference | None = None
        self._size = (0, 0)
        self._moved_seconds = self._looked_seconds = 0.0

    def of(self, frame: Frame, xyxy: NDArray[np.floating]) -> Floats | None:
        """Give how the camera moved since the frame before; None: it stood still, or nobody knows.

        Args:
            frame: The next one of the source.
            xyxy: The people in it, shape (n, 4), pixels.
        """
        if self._rests(frame.pts_seconds):
            return None  # before the picture is touched: one that lies on a GPU stays there
        return self.look(frame.image, xyxy, frame.pts_seconds).warp

    def look(self, image: NDArray[np.uint8], xyxy: NDArray[np.floating], pts_seconds: float) -> Look:
        """Compare a picture with the reference.

        Args:
            image: Shape (H, W, 3), uint8, BGR.
            xyxy: The people in it, shape (n, 4), pixels: what moves by itself says nothing of the camera.
            pts_seconds: Time of the picture.
        """
        if self._rests(pts_seconds):
            return Look(None, 1.0)
        self._looked_seconds = pts_seconds
        grey, scale = _small(image)
        people = _mask(grey, xyxy / scale)
        reference = self._reference if self._size == image.shape[:2] else None
        self._size = (image.shape[0], image.shape[1])
        warp, confidence = (None, 0.0) if reference is None else _motion(reference, grey, people)
        moved = warp is not None and _reach(warp, grey) > _STILL
        if moved or warp is None or reference is None or abs(pts_seconds - reference.pts_seconds) > _OLDEST_SECONDS:
            self._reference = _Reference(grey, _corners(grey, people), pts_seconds)
        if moved or warp is None:
            self._moved_seconds = pts_seconds
        return Look(_enlarged(warp, scale) if moved and warp is not None else None, confidence)

    def _rests(self, pts_seconds: float) -> bool:
        """Tell whether the camera has stood still for so long that this picture need not be looked at."""
        since = pts_seconds - self._looked_seconds
        return 0 <= since < _REST_SECONDS and self._looked_seconds - self._moved_seconds > _REST_AFTER_SECONDS


class FileWarps:
    """Reads how one camera moved from a file, by the index of the frame.

    Args:
        warps: Of each frame from the one before it, shape (n, 2, 3).
    """

    def __init__(self, warps: Floats) -> None:
        """Stand before the first frame."""
        self._warps = warps
        self._index = -1

    def of(self, frame: Frame, xyxy: NDArray[np.floating]) -> Floats | None:  # noqa: ARG002 - as `FlowWarps.of`
        """Give how the camera moved since the frame before, over those that were left out; None: nobody knows."""
        before, self._index = self._index, frame.index
        return between(self._warps, before, frame.index)


def warps_for(tracker: Tracker) -> FlowWarps | FileWarps | None:
    """Make what a tracker is given its warps by, as its option `camera_motion` says; None if it wants none.

    Raises:
        ConfigError: The file cannot be read, or is wrong.
    """
    if "warp" not in tracker.wants:
        return None
    source = getattr(getattr(tracker, "options", None), "camera_motion", "flow")
    return FileWarps(read_warps(source)) if isinstance(source, Path) else FlowWarps()


def _small(image: NDArray[np.uint8]) -> tuple[Grey, float]:
    """Make the small grey picture, and tell how many pixels of the large one a pixel of it is wide.

    Green is grey enough. Most pixels of a large picture are left out before the rest is averaged: to look at all of
    them would take as long as all other steps together.
    """
    stride = max(1, image.shape[1] // (2 * _WIDTH))
    green = np.ascontiguousarray(image[::stride, ::stride, 1])
    height, width = green.shape
    if width <= _WIDTH:
        return green, float(stride)
    size = (_WIDTH, max(1, round(height * _WIDTH / width)))
    return np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.uint8), stride * width / _WIDTH


def _mask(grey: Grey, xyxy: NDArray[np.floating]) -> Grey:
    """Give what belongs to the background: 255, where people are 0; shape of `grey`."""
    mask = np.full_like(grey, 255)
    for x1, y1, x2, y2 in np.clip(xyxy, -1, max(grey.shape) + 1).astype(np.int64):
        mask[max(y1 - 1, 0) : y2 + 2, max(x1 - 1, 0) : x2 + 2] = 0
    return mask


def _corners(grey: Grey, mask: Grey) -> NDArray[np.float32]:
    """Find corners in the background, shape (n, 1, 2); none in a picture without texture."""
    found: NDArray[np.float32] | None = cv2.goodFeaturesToTrack(grey, _CORNERS, _TEXTURE, _APART, mask=mask)  # type: ignore[assignment] # its types lack None
    return np.empty((0, 1, 2), np.float32) if found is None else found


def _motion(reference: _Reference, grey: Grey, mask: Grey) -> tuple[Floats | None, float]:
    """Find how the reference became this picture, in small pixels, and the share of corners that agree."""
    before = reference.corners
    if len(before) < _FEWEST:
        return None, 0.0
    after, found, _ = cv2.calcOpticalFlowPyrLK(
        reference.grey, grey, before, np.empty_like(before), winSize=_WINDOW, maxLevel=_LEVELS - 1
    )
    known = (found[:, 0] == 1) & _on_background(np.asarray(after[:, 0], np.float32), mask)
    if known.sum() < _FEWEST:
        return None, 0.0
    warp, agrees = cv2.estimateAffinePartial2D(
        before[known], after[known], method=cv2.RANSAC, ransacReprojThreshold=_AGREE, maxIters=500, confidence=0.995
    )
    if warp is None or agrees.sum() < _FEWEST:
        return None, 0.0
    confidence = float(agrees.sum() / known.sum())
    return (np.asarray(warp, np.float64) if confidence >= _LEAST_CONFIDENCE and _is_likely(warp) else None), confidence


def _on_background(points: NDArray[np.float32], mask: Grey) -> NDArray[np.bool_]:
    """Tell which points are in the picture and on nobody, shape (n,)."""
    x, y = np.floor(np.nan_to_num(points, nan=-1.0)).clip(-1, max(mask.shape)).astype(np.int64).T
    inside = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    return np.asarray(inside & (mask[y.clip(0, mask.shape[0] - 1), x.clip(0, mask.shape[1] - 1)] > 0))


def _is_likely(warp: Floats) -> bool:
    """Tell whether a camera can do that between two pictures."""
    scale, turn = np.hypot(warp[0, 0], warp[1, 0]), np.arctan2(warp[1, 0], warp[0, 0])
    return bool(1 / _LARGEST_SCALE < scale < _LARGEST_SCALE and abs(turn) < _LARGEST_TURN)


def _reach(warp: Floats, grey: Grey) -> float:
    """Measure how far the warp moves the corner of the picture that it moves farthest, small pixels."""
    height, width = grey.shape
    ends = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    return float(np.hypot(*(ends @ warp[:, :2].T + warp[:, 2] - ends).T).max())


def _enlarged(warp: Floats, scale: float) -> Floats:
    """Turn a warp of small pixels, which have their origin in the middle of the first one, into one of large ones."""
    linear, origin = warp[:, :2], np.full(2, scale / 2)
    return np.column_stack([linear, scale * warp[:, 2] + origin - linear @ origin])
