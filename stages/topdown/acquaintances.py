"""The people of one source from frame to frame: who was looked at when, and where the joints are since."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trackers.assignment import assign, iou

__all__ = ["Acquaintances", "Person"]

_LEAST_OVERLAP: Final = 0.3
"""IoU of a person's boxes in two frames; SORT's (Bewley et al. 2016, section 3.3)."""
_REMEMBERED_SECONDS: Final = 1.0
"""Who is out of sight that long is forgotten."""
_LONGEST_STEP_SECONDS: Final = 10.0
"""Across a larger step in time, back or forth, boxes that overlap are not taken for the same person."""
_SMALLEST_PX: Final = 1.0
"""Side of a box that joints are scaled by: one without width must not divide by 0."""

Floats = NDArray[np.floating]


@dataclass(eq=False, slots=True)
class Person:
    """Somebody, as seen last. All times are those of `Acquaintances.seconds`."""

    box: Floats
    """(x1, y1, x2, y2) in pixels, shape (4,)."""
    seen_at: float
    looked_at: float | None = None
    """Time of the frame that the joints are from; None before the first look."""
    joints: Floats | None = None
    """(x, y) as shares of the box from its centre, -0.5..0.5 inside, shape (k, 2)."""
    scores: Floats | None = None
    """Shape (k,)."""

    def look(self, keypoints: Floats, scores: Floats, seconds: float) -> None:
        """Remember joints (k, 2), in pixels, that were found in the box as it is now, and their scores (k,)."""
        centre, size = _centre_and_size(self.box)
        self.joints, self.scores, self.looked_at = (keypoints - centre) / size, scores, seconds

    def carried(self, joint_count: int) -> tuple[Floats, Floats]:
        """Give the joints (k, 2), in pixels, moved and scaled with the box, and their scores (k,).

        Without a look so far they are the centre of the box, of score 0.
        """
        centre, size = _centre_and_size(self.box)
        if self.joints is None or self.scores is None:
            return np.tile(centre, (joint_count, 1)), np.zeros(joint_count)
        return centre + self.joints * size, self.scores


class Acquaintances:
    """The people of one source. Boxes are paired with the last ones by their overlap; nobody's motion is predicted."""

    def __init__(self) -> None:
        """Know nobody."""
        self.seconds = 0.0
        """Time that passed in the source, steps back left out."""
        self._pts_seconds: float | None = None
        self._people: list[Person] = []

    def copy(self) -> "Acquaintances":
        """Copy it with everybody in it, to try something out."""
        copied = Acquaintances()
        copied.seconds, copied._pts_seconds = self.seconds, self._pts_seconds
        copied._people = [replace(person) for person in self._people]
        return copied

    def pass_time(self, pts_seconds: float) -> float:
        """Go on to the next frame, and give the seconds that passed: 0 if time stood still or jumped back.

        A step of more than 10 s counts as 10 s, and everybody is forgotten.
        """
        step = 0.0 if self._pts_seconds is None else pts_seconds - self._pts_seconds
        self._pts_seconds = pts_seconds
        if abs(step) > _LONGEST_STEP_SECONDS:
            self._people = []
        passed = min(max(step, 0.0), _LONGEST_STEP_SECONDS)
        self.seconds += passed
        return passed

    def recognise(self, xyxy: Floats) -> list[Person]:
        """Say who is in which box of the present frame, shape (n, 4), pixels. People who were never seen are added."""
        known = self._people
        overlap = iou(xyxy, np.array([person.box for person in known], np.float32).reshape(-1, 4))
        pairs, _, _ = assign(1.0 - overlap, 1.0 - _LEAST_OVERLAP)
        whose = dict(pairs.tolist())
        present = [known[whose[row]] if row in whose else Person(box, self.seconds) for row, box in enumerate(xyxy)]
        for person, box in zip(present, xyxy, strict=True):
            person.box, person.seen_at = box, self.seconds
        here = {id(person) for person in present}
        absent = [person for person in known if id(person) not in here]
        self._people = present + [person for person in absent if self.seconds - person.seen_at <= _REMEMBERED_SECONDS]
        return present


def _centre_and_size(box: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = box.astype(np.float64)  # which no coordinate overflows
    return (corners[:2] + corners[2:]) / 2, np.maximum(corners[2:] - corners[:2], _SMALLEST_PX)
