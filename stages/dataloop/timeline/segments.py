"""A stretch of time of one person, as the platform stores it: plain dicts, nothing looked up, nothing sent.

One annotation holds the pose, one each point of it, one the box; they share an object id. In a video an annotation has
a first frame, at the top, then records of later frames (`snapshots_`), and a last frame. What is not recorded in a
frame is as in the frame before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.dataloop.labels import Template

if TYPE_CHECKING:
    from stages.dataloop.items import Item

__all__ = ["Course", "Segment", "SegmentWriter", "Stamp", "box_places", "point_places"]

Annotation = dict[str, Any]

_SCORE_DIGITS = 4
_SECOND_DIGITS = 6


@dataclass(frozen=True)
class Stamp:
    """Who made the annotations; every one of them carries it."""

    run_id: str
    """Tells the annotations of one run from those of another one."""
    model_name: str
    """What the annotations of an earlier run are found by, in order to replace them."""
    model_id: str


@dataclass(frozen=True)
class Segment:
    """A stretch of time of one person."""

    object_id: str
    """The identity."""
    number: int
    """Counts the segments of the identity, from 0."""
    first_frame: int
    last_frame: int
    """The last frame in which the person is there."""
    pose: Annotation
    """The parent, as it is sent; spans this segment."""
    children: list[Annotation]
    """Points, and the box, as they are sent; at least one. `metadata.system.parentId` is for the sender to set."""


class Course(NamedTuple):
    """Where one thing is in the course of time."""

    label: str
    kind: str
    """`point` or `box`."""
    frames: list[int]
    """From which frame on each record holds, ascending."""
    places: list[Any]
    """Coordinates of each record; None where it is hidden from that frame on, never in the first one."""
    last_frame: int
    """The last frame in which it is there, hidden or not."""
    score: float
    """Mean confidence while it is seen, 0..1."""


def _key(object_id: str, number: int, label: str) -> str:
    """Name an annotation within a run; a run that is repeated gives the same names.

    Args:
        object_id: The identity.
        number: Of the segment.
        label: Of the joint, or `pose` or `box`.
    """
    return f"{object_id}/{number}/{label}"


class SegmentWriter:
    """Writes segments of one item.

    Args:
        item: What is annotated.
        template: Of the pose.
        stamp: Who made it.
    """

    def __init__(self, item: "Item", template: Template, stamp: Stamp) -> None:
        """Keep what all annotations share."""
        self._item = item
        self._template = template
        self._stamp = stamp

    def write(
        self, object_id: str, number: int, span: tuple[int, int], score: float, courses: Sequence[Course]
    ) -> Segment:
        """Write a segment.

        Args:
            object_id: The identity.
            number: Counts its segments.
            span: First and last frame.
            score: Mean confidence of the person, 0..1.
            courses: Points and box; at least one.
        """
        pose = self._annotation("pose", self._template.name, {"templateId": self._template.id, "instanceId": object_id})
        self._sign(pose, _key(object_id, number, "pose"), object_id, score)
        self._time(pose, *span, [])
        children = [self._child(object_id, number, course) for course in courses]
        return Segment(object_id, number, *span, pose, children)

    def _child(self, object_id: str, number: int, course: Course) -> Annotation:
        child = self._annotation(course.kind, course.label, course.places[0])
        name = course.kind if course.kind == "box" else course.label
        self._sign(child, _key(object_id, number, name), object_id, course.score)
        self._time(child, course.frames[0], course.last_frame, list(_snapshots(course)))
        return child

    def _annotation(self, kind: str, label: str, coordinates: object) -> Annotation:
        return {
            "itemId": self._item.id,
            "datasetId": self._item.dataset_id,
            "source": "sdk",
            "type": kind,
            "label": label,
            "coordinates": coordinates,
            "metadata": {"system": {"automated": True, "attributes": {}}},
        }

    def _sign(self, annotation: Annotation, key: str, object_id: str, score: float) -> None:
        confidence = round(min(1.0, max(0.0, score)), _SCORE_DIGITS)
        model = {"name": self._stamp.model_name, "model_id": self._stamp.model_id, "confidence": confidence}
        annotation["metadata"]["system"] |= {"objectId": object_id, "model": dict(model)}
        annotation["metadata"]["user"] = {"model": model, "kinestream": {"run": self._stamp.run_id, "key": key}}

    def _time(self, annotation: Annotation, first: int, last: int, snapshots: list[dict[str, Any]]) -> None:
        if (rate := self._item.frames_per_second) is None or not self._item.is_video:
            return
        annotation["metadata"]["system"] |= {
            "frame": first,
            "endFrame": last,
            "startTime": round(first / rate, _SECOND_DIGITS),
            "endTime": round(last / rate, _SECOND_DIGITS),
            "snapshots_": snapshots,
        }


def point_places(places: NDArray[np.float64]) -> list[Any]:
    """Write points, shape (m, 2), as coordinates; None where they are NaN."""
    return [None if isnan(x) else {"x": x, "y": y} for x, y in places.tolist()]


def box_places(corners: NDArray[np.float64]) -> list[Any]:
    """Write boxes, shape (m, 2, 2), as coordinates; None where they are NaN."""
    return [None if None in (pair := point_places(box)) else pair for box in corners]


def _snapshots(course: Course) -> Iterator[dict[str, Any]]:
    """Write all records but the first one, as short as dtlpy reads them back rightly.

    It takes the type from the annotation, and what has no `objectVisible` for visible. Without a label or coordinates
    it drops the whole annotation, and raises nothing: so what is hidden repeats where it was.
    """
    place = course.places[0]
    for frame, here in zip(course.frames[1:], course.places[1:], strict=True):
        place = place if here is None else here
        snapshot = {"frame": frame, "fixed": True, "label": course.label, "data": place}
        yield snapshot if here is not None else snapshot | {"objectVisible": False}
