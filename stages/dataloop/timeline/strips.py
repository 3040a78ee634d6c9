"""A person from when it comes until it has been away for long, as it grows."""

from array import array
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.dataloop.timeline.segments import Course, box_places, point_places
from stages.dataloop.timeline.sights import CORNERS, Sight
from stages.dataloop.timeline.thinning import Records, Runs

__all__ = ["Strip", "Strips"]

Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Strip:
    """What is known of one stretch of time of one identity."""

    track_id: int
    slot: int
    """Where its runs are."""
    first_frame: int
    first_pts: float
    joints: InitVar[int]
    """How many joints it has, k."""
    seen_frame: int = 0
    """In which it was seen last."""
    last_frame: int = 0
    """The last one in which it is shown: that, and those that the video left out after it."""
    last_pts: float = 0.0
    frames: int = 0
    """In how many it was seen."""
    score: float = 0.0
    """Sum over them."""
    joint_frames: NDArray[np.int64] = field(init=False)
    """In how many each joint was seen, shape (k,)."""
    joint_score: Floats = field(init=False)
    """Sum over them, shape (k,)."""
    log: "array[float]" = field(default_factory=lambda: array("d"))
    """Records as (lane, frame, x, y), one after the other: a tenth of what objects would take."""

    def __post_init__(self, joints: int) -> None:
        self.joint_frames = np.zeros(joints, np.int64)
        self.joint_score = np.zeros(joints)

    def see(self, sight: Sight, row: int, frame: int, pts_seconds: float) -> None:
        """Take note that the person is there."""
        self.seen_frame = self.last_frame = frame
        self.last_pts = pts_seconds
        self.frames += 1
        self.joint_frames += sight.seen[row, :-CORNERS]
        self.joint_score += sight.joint_score[row]
        self.score += sight.score[row]

    @property
    def span(self) -> tuple[int, int]:
        """First and last frame in which the person is there."""
        return self.first_frame, self.last_frame

    @property
    def mean_score(self) -> float:
        """Of the person."""
        return self.score / self.frames

    def courses(self, labels: Sequence[str], box_label: str) -> list[Course]:
        """Say where everything was that was seen at least once: joints in their order, then the box."""
        records = np.frombuffer(self.log).reshape(-1, 4)
        records = records[np.argsort(records[:, 0], kind="stable")]
        bounds = np.searchsorted(records[:, 0], np.arange(len(labels) + CORNERS + 1))
        lanes = [records[start:end, 1:] for start, end in pairwise(bounds)]
        return [course for course in self._all(lanes, labels, box_label) if course.frames]

    def _all(self, lanes: Sequence[Floats], labels: Sequence[str], box_label: str) -> Iterator[Course]:
        means = self.joint_score / np.maximum(self.joint_frames, 1)
        for lane, label, score in zip(lanes, labels, means.tolist(), strict=False):
            yield self._course(label, "point", lane[:, 0], point_places(lane[:, 1:]), score)
        first, second = lanes[len(labels) :]
        places = box_places(np.stack([first[:, 1:], second[:, 1:]], axis=1))
        yield self._course(box_label, "box", first[:, 0], places, self.mean_score)

    def _course(self, label: str, kind: str, frames: Floats, places: list[Any], score: float) -> Course:
        """Where it is hidden until the end, end it there: that says the same, and takes no record."""
        numbers, last_frame = [int(frame) for frame in frames], self.last_frame
        if places and places[-1] is None:
            places.pop()
            last_frame = numbers.pop() - 1
        return Course(label, kind, numbers, places, last_frame, score)


class Strips:
    """The strips that grow at present; iterating gives them.

    Args:
        joints: How many each person has.
        tolerance_px: See `Runs`.
    """

    def __init__(self, joints: int, tolerance_px: float) -> None:
        """Begin with nobody."""
        self._joints = joints
        self._runs = Runs(joints + CORNERS, tolerance_px, slice(joints, None))
        self._strips: dict[int, Strip] = {}
        self._free: list[int] = []

    def __iter__(self) -> Iterator[Strip]:
        return iter(self._strips.values())

    def hold(self, frame_before: int, frame: int) -> None:
        """Let those who were there in the frame before be shown until this one."""
        for strip in self:
            if strip.seen_frame == frame_before:
                strip.last_frame = frame - 1

    def hide(self, frame_before: int, frame: int, present: Container[int]) -> None:
        """Hide those who were there in the frame before, and are not now."""
        strips = [strip for strip in self if strip.seen_frame == frame_before and strip.track_id not in present]
        shape = len(strips), self._joints + CORNERS
        self._run(strips, np.zeros((*shape, 2)), np.zeros(shape, np.bool_), frame)

    def see(self, sight: Sight, frame: int, pts_seconds: float) -> None:
        """Take those who are there, known or new."""
        strips = [self._strips.get(track_id) or self._begin(track_id, frame, pts_seconds) for track_id in sight.ids]
        for row, strip in enumerate(strips):
            strip.see(sight, row, frame, pts_seconds)
        self._run(strips, sight.points, sight.seen, frame)

    def cut(self, ids: Iterable[int]) -> list[Strip]:
        """Take strips out; nothing comes to them any more."""
        strips = [self._strips.pop(track_id) for track_id in ids]
        for strip in strips:
            _note(self._runs.end(strip.slot), [strip])
            self._free.append(strip.slot)
        return strips

    def _begin(self, track_id: int, frame: int, pts_seconds: float) -> Strip:
        slot = self._free.pop() if self._free else len(self._strips)
        strip = self._strips[track_id] = Strip(track_id, slot, frame, pts_seconds, self._joints)
        return strip

    def _run(self, strips: list[Strip], points: Floats, seen: NDArray[np.bool_], frame: int) -> None:
        if strips:
            _note(self._runs.update(np.array([strip.slot for strip in strips]), points, seen, frame), strips)


def _note(records: Records, strips: Sequence[Strip]) -> None:
    """Enter records into the strips that their rows stand for."""
    columns = (records.rows.tolist(), records.lanes.tolist(), records.frames.tolist(), *records.places.T.tolist())
    for row, lane, frame, x, y in zip(*columns, strict=True):
        strips[row].log.extend((lane, frame, x, y))
