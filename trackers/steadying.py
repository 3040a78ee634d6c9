"""Steady boxes: each one is where its neighbours in time say it should be, as far as people do not move otherwise.

A detector's boxes tremble. Around each frame a line is fitted to the boxes of a person, before and after it, in windows
that grow. The widest window counts whose line still agrees with those of all narrower ones (the rule of intersecting
confidence intervals; Goldenshluger and Nemirovski 1997): somebody who stands is averaged over most of a second,
somebody who turns about over a few frames, or not at all.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackers.reel import HeldFrame, Reel

__all__ = ["REACH_SECONDS", "steadied", "steady_boxes"]

Floats = NDArray[np.float64]

_WINDOWS_SECONDS: Final = (0.1, 0.2, 0.4)
"""How far windows reach to both sides."""
REACH_SECONDS: Final = _WINDOWS_SECONDS[-1]
"""How far from a frame others are looked at."""
_TREMBLE: Final = 0.02
"""Standard deviation of a sure box, of its own size. That of a doubtful one is larger by 1 / score."""
_CONFIDENCE: Final = 1.5
"""Half a confidence interval, in standard deviations."""


def steady_boxes(reel: Reel, frame: HeldFrame) -> Floats:
    """Give all boxes of a frame, those of tracks that are worth an id steadied: shape (rows, 4)."""
    near, tracks = reel.around(frame, REACH_SECONDS), frame.tracks
    boxes, score = np.zeros((len(tracks), len(near), 4)), np.zeros((len(tracks), len(near)))
    for column, other in enumerate(near):
        rows = np.array([other.row_of.get(track, -1) for track in tracks], np.int64)
        there = rows >= 0
        boxes[there, column] = other.people.xyxy[rows[there]]
        score[there, column] = other.people.score[rows[there]]
    offset_seconds = np.array([one.seconds - frame.seconds for one in near])
    xyxy = frame.people.xyxy.astype(np.float64)
    xyxy[[frame.row_of[track] for track in tracks]] = steadied(boxes, score, offset_seconds, near.index(frame))
    return xyxy


def steadied(xyxy: Floats, score: Floats, offset_seconds: Floats, now: int) -> Floats:
    """Steady the boxes of one frame by those of the frames around it.

    Args:
        xyxy: Of n people in m frames, shape (n, m, 4).
        score: 0..1, 0 where a person is not in a frame; shape (n, m).
        offset_seconds: Of each frame from the one that is asked for, shape (m,).
        now: Which frame that is; everybody is in it.

    Returns:
        Shape (n, 4).
    """
    boxes = np.concatenate([(xyxy[..., :2] + xyxy[..., 2:]) / 2, xyxy[..., 2:] - xyxy[..., :2]], axis=-1)
    steady = boxes[:, now]
    size = np.tile(np.maximum(steady[:, 2:], 1.0), 2)
    noise = _TREMBLE / np.maximum(score, 1e-3)
    reach = _CONFIDENCE * noise[:, now, None] * size
    low, high, agrees = steady - reach, steady + reach, score[:, now] > 0
    for window_seconds in _WINDOWS_SECONDS:
        weight = _line_weights(score**2 * np.maximum(1 - (offset_seconds / window_seconds) ** 2, 0), offset_seconds)
        fitted = np.einsum("nm,nmc->nc", weight, boxes)
        reach = _CONFIDENCE * np.sqrt(((weight * noise) ** 2).sum(axis=1))[:, None] * size
        low, high = np.maximum(low, fitted - reach), np.minimum(high, fitted + reach)
        agrees &= (low <= high).all(axis=1)
        steady = np.where(agrees[:, None], fitted, steady)
    half = np.maximum(steady[:, 2:], 0.0) / 2
    return np.hstack([steady[:, :2] - half, steady[:, :2] + half])


def _line_weights(weight: Floats, x: Floats) -> Floats:
    """Give what each point counts in the value at 0 of the line that fits best to points at `x`, shape (n, m).

    Where points at one place do not tell a slope, that of their mean.
    """
    total, first, second = weight.sum(axis=1), weight @ x, weight @ x**2
    spread = total * second - first**2
    known = spread > 1e-3 * np.maximum(total, 1e-9) * second
    line = weight * (second[:, None] - first[:, None] * x) / np.where(known, spread, 1.0)[:, None]
    return np.where(known[:, None], line, weight / np.maximum(total, 1e-9)[:, None])
