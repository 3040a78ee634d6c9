"""Whether somebody who appears is somebody who was lost: judged from both sides of the gap.

Motion has to agree both ways: who was lost must have been on his way to where somebody appears, and who appears must
come from where somebody was lost. Poses and looks, where there are any, can only speak against it: what moves alike
and looks alike may still be two people, and a wrong link costs more than a right one gives.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances
from trackers.assignment import assign, oks
from trackers.reel import Sighting, Track

__all__ = ["LOOK_SECONDS", "likeness", "link"]

Floats = NDArray[np.float64]

LOOK_SECONDS: Final = 0.5
"""How much of a track is looked at on each side of a gap."""
_LEAST: Final = 0.6
"""The least likeness of two tracks that are one."""
_SPREAD: Final = 0.1
"""How far a prediction is off, in sizes of the box, to begin with."""
_SPREAD_PER_SECOND: Final = 0.3
_HEIGHT_SPREAD: Final = 0.15
"""Of the logarithm of heights."""
_SHY_SECONDS2: Final = 0.005
"""How much a track must have shown before its velocity is believed: sum of squared times, weighted by score."""
_SWING_SECONDS: Final = 0.2
"""After so long unseen, a joint may be off by as much again as annotators are: as in `trackers.pose_motion`."""
_INDIFFERENT_OKS: Final = 0.4
"""A pose that fits less speaks against a link."""
_INDIFFERENT_LOOKS: Final = 0.6
"""Cosine below which looks speak against a link; at half of it they forbid it."""


class _End(NamedTuple):
    """One end of a track."""

    centre: Floats
    size: Floats
    velocity: Floats
    """Of the centre, pixels per second."""
    person: Instances
    """The outermost sighting, one row."""
    looks: Floats | None
    """Mean of the looks, length 1."""


def link(lost: Sequence[Track], found: Sequence[Track]) -> list[tuple[Track, Track]]:
    """Pair those who were lost with those who appeared later, as far as they are likely the same."""
    alike = np.array([[likeness(one, other) for other in found] for one in lost]).reshape(len(lost), len(found))
    pairs, _, _ = assign(-alike, -_LEAST)
    return [(lost[i], found[j]) for i, j in pairs]


def likeness(lost: Track, found: Track) -> float:
    """Tell how likely two tracks are one person.

    Args:
        lost: The earlier one.
        found: The later one, which begins after `lost` was seen last.

    Returns:
        0..1.
    """
    before = _end([one for one in lost.sightings if lost.seen - one.frame.seconds <= LOOK_SECONDS], -1)
    after = _end([one for one in found.sightings if one.frame.seconds - found.born <= LOOK_SECONDS], 0)
    if before.person.class_id[0] != after.person.class_id[0]:
        return 0.0
    gap_seconds = found.born - lost.seen
    return _motion_fit(before, after, gap_seconds) * _pose_fit(before, after, gap_seconds) * _look_fit(before, after)


def _end(sightings: Sequence[Sighting], outermost: int) -> _End:
    """Sum up some sightings; one of them is the outermost."""
    boxes = np.array([frame.people.xyxy[row] for frame, row in sightings], np.float64)
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    weight = np.array([[frame.people.score[row]] for frame, row in sightings], np.float64) ** 2 + 1e-6
    seconds = np.array([[frame.seconds] for frame, _ in sightings]) - sightings[outermost].frame.seconds
    mean_seconds, centre, size = ((weight * values).sum(axis=0) / weight.sum() for values in (seconds, centres, sizes))
    late = seconds - mean_seconds
    velocity = (weight * late * (centres - centre)).sum(axis=0) / ((weight * late**2).sum() + _SHY_SECONDS2)
    last = sightings[outermost]
    return _End(centre - velocity * mean_seconds, size, velocity, last.frame.people[[last.row]], _mean_looks(sightings))


def _mean_looks(sightings: Sequence[Sighting]) -> Floats | None:
    looks = [frame.people.embedding[row] for frame, row in sightings if frame.people.embedding is not None]
    if not looks or len({len(one) for one in looks}) > 1:
        return None
    vectors = np.array(looks, np.float64)
    mean = (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)).mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))


def _motion_fit(before: _End, after: _End, gap_seconds: float) -> float:
    way = after.centre - before.centre
    off = [way - gap_seconds * end.velocity for end in (before, after)]
    spread = np.sqrt(before.size * after.size).prod() ** 0.5 * (_SPREAD + _SPREAD_PER_SECOND * gap_seconds)
    distance = np.mean([one @ one for one in off]) / spread**2
    grown = np.log(after.size[1] / before.size[1]) / _HEIGHT_SPREAD
    return float(np.exp(-(distance + grown**2) / 2))


def _pose_fit(before: _End, after: _End, gap_seconds: float) -> float:
    """Compare the poses, wherever the bodies are: a joint is expected where it was on the body."""
    one, other = before.person, after.person
    if one.skeleton is None or one.skeleton != other.skeleton:
        return 1.0
    assert one.keypoints is not None
    assert other.keypoints is not None
    assert one.keypoint_score is not None
    assert other.keypoint_score is not None
    if not (one.keypoint_score * other.keypoint_score).any():
        return 1.0
    loose = np.hypot(1.0, gap_seconds / _SWING_SECONDS)
    fit = oks(
        one.keypoints - _centre(one), other.keypoints - _centre(other),
        weight_a=one.keypoint_score, weight_b=other.keypoint_score,
        area=np.atleast_1d(after.size.prod()), sigmas=loose * np.asarray(one.skeleton.sigmas),
    )  # fmt: skip
    return float(min(fit[0, 0] / _INDIFFERENT_OKS, 1.0))


def _look_fit(before: _End, after: _End) -> float:
    if before.looks is None or after.looks is None or before.looks.shape != after.looks.shape:
        return 1.0
    cosine = float(before.looks @ after.looks)
    return min(max(2 * cosine / _INDIFFERENT_LOOKS - 1, 0.0), 1.0)


def _centre(person: Instances) -> NDArray[np.float32]:
    return np.asarray((person.xyxy[:, None, :2] + person.xyxy[:, None, 2:]) / 2)
