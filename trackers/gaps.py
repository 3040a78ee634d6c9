"""Rows that a track lacks: those between two sightings, and those from before the tracker was sure of it."""

from typing import Any, Final

import numpy as np

from pipeline.types import NO_TRACK, Instances
from trackers.assignment import iou
from trackers.reel import HeldFrame, Reel, Sighting, Track

__all__ = ["PREDICTED_SCORE", "between", "fill_gap", "find_beginning"]

PREDICTED_SCORE: Final = 0.2
"""Of a box that nobody saw."""
_FAR: Final = 1.0
"""Who moved farther unseen, in sizes of the box, may have gone any way."""
_BEFORE_SECONDS: Final = 0.2
"""How long before its first id a track is sought among the boxes of nobody."""
_BEFORE_IOU: Final = 0.5
_BEFORE_SCORE: Final = 0.5


def fill_gap(reel: Reel, track: Track, after: Sighting, *, went_straight: bool = False) -> None:
    """Add rows of a track to the frames between its last sighting and the next one, with which it goes on.

    Args:
        reel: With both sightings, and all frames in between.
        track: Of whom.
        after: Where it was seen next.
        went_straight: Its motion before and after says so. Otherwise nothing is added where it went far meanwhile.
    """
    before = track.sightings[-1]
    gap = reel.between(before.frame, after.frame)
    if not gap:
        return
    ends = before.frame.people[[before.row]], after.frame.people[[after.row]]
    if not went_straight and _way(*ends) > _FAR:
        return
    gap_seconds = after.frame.seconds - before.frame.seconds
    for frame in gap:
        made = between(*ends, (frame.seconds - before.frame.seconds) / gap_seconds)
        frame.people = _appended(frame.people, made)
        frame.row_of[track] = len(frame.people) - 1


def _way(before: Instances, after: Instances) -> float:
    """Give how far somebody moved, in sizes of the box: roots of its area."""
    low, high = (before.xyxy + after.xyxy).astype(np.float64).reshape(2, 2) / 2
    moved = (after.xyxy - before.xyxy).astype(np.float64).reshape(2, 2).mean(axis=0)
    return float(np.hypot(*moved) / np.sqrt(np.maximum(high - low, 1.0).prod()))


def between(before: Instances, after: Instances, share: float) -> Instances:
    """Give where somebody was on the way, in a straight line.

    Args:
        before: One row: where he was seen last.
        after: One row: where he was seen next.
        share: Of the time between them that has passed, 0..1.

    Returns:
        One row, `predicted`, with a low score. A joint is as sure as where it is known less. Looks are those of the
        sighting that is nearer in time.
    """
    nearer = before if share < 0.5 else after
    columns: dict[str, Any] = {
        "xyxy": (1 - share) * before.xyxy + share * after.xyxy,
        "score": np.full(1, PREDICTED_SCORE),
        "track_id": np.full(1, NO_TRACK),
        "predicted": np.ones(1, bool),
    }
    if before.skeleton is not None and before.skeleton == after.skeleton:
        assert before.keypoints is not None
        assert after.keypoints is not None
        assert before.keypoint_score is not None
        assert after.keypoint_score is not None
        columns["keypoints"] = (1 - share) * before.keypoints + share * after.keypoints
        columns["keypoint_score"] = np.minimum(before.keypoint_score, after.keypoint_score)
    return nearer.with_columns(**columns)


def _appended(people: Instances, one: Instances) -> Instances:
    """Add a row to a table. A table of zero rows takes over what the row knows; any other one keeps its columns."""
    if not len(people):
        return one
    if people.skeleton != one.skeleton:  # then joints mean something else
        one = one.with_columns(keypoints=None, keypoint_score=None, skeleton=None)
    columns: dict[str, Any] = {}
    for name in ("xyxy", "score", "class_id", "track_id", "predicted", "keypoints", "keypoint_score", "embedding"):
        column, value = getattr(people, name), getattr(one, name)
        if column is not None:
            fits = value is not None and value.shape[1:] == column.shape[1:]
            columns[name] = np.concatenate([column, value if fits else np.zeros_like(column[:1])])
    return people.with_columns(**columns)


def find_beginning(reel: Reel, track: Track) -> None:
    """Give a new track the rows of nobody in which it was seen before it had an id, frame by frame back in time."""
    for frame in reel.waiting_before(track.sightings[0].frame):
        row = _row_of_nobody(frame, track.sightings[0])
        if row is None or track.seen - frame.seconds > _BEFORE_SECONDS:
            return
        track.see(Sighting(frame, row))


def _row_of_nobody(frame: HeldFrame, later: Sighting) -> int | None:
    """Find a row that is nobody's and lies where somebody was seen a frame later."""
    people, (there, row) = frame.people, later
    free = (people.score >= _BEFORE_SCORE) & (people.class_id == there.people.class_id[row])
    free[list(frame.row_of.values())] = False
    if not free.any():
        return None
    overlap = iou(there.people.xyxy[[row]], people.xyxy)[0] * free
    return int(overlap.argmax()) if overlap.max() >= _BEFORE_IOU else None
