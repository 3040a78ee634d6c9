"""What the platform shows at a frame of annotations that it stores: pure.

An annotation is shown from its first frame to its last one. Where a frame has no record, it is as in the last record
before; a record may say that it is hidden from there on. A pose itself shows nothing: its points do.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

__all__ = ["Annotation", "Person", "play"]

Annotation = Mapping[str, Any]


class Person(TypedDict):
    """What is shown of one object id."""

    joints: dict[str, tuple[float, float]]
    """Label -> (x, y) in pixels; those that are hidden are not in it."""
    box: tuple[float, float, float, float] | None
    """(x1, y1, x2, y2) in pixels; None where there is none."""


def play(annotations: Iterable[Annotation], frame: int = 0) -> dict[str, Person]:
    """Say who is shown at a frame, and where.

    Args:
        annotations: Of one item, in any order: as they are sent, or as the platform lists them.
        frame: Its number. Annotations of a picture have no frames, and are always shown.

    Returns:
        Object id -> what is shown of it. Nothing of it shown: it is not in there.
    """
    people: dict[str, Person] = {}
    for annotation in annotations:
        place = _place(annotation, frame)
        if place is None or annotation["type"] not in {"point", "box"}:
            continue
        person = people.setdefault(_whose(annotation), {"joints": {}, "box": None})
        if annotation["type"] == "box":
            person["box"] = (place[0]["x"], place[0]["y"], place[1]["x"], place[1]["y"])
        else:
            person["joints"][annotation["label"]] = place["x"], place["y"]
    return people


def _whose(annotation: Annotation) -> str:
    """Name whom it is of: the object id, or, where a person or another program gave none, the pose that it is in."""
    system = annotation["metadata"]["system"]
    return str(system.get("objectId") or system.get("parentId") or annotation["id"])


def _place(annotation: Annotation, frame: int) -> Any:  # noqa: ANN401 - coordinates, whose shape depends on the type
    """Give the coordinates at a frame; None where it is not shown."""
    system = annotation["metadata"]["system"]
    if "frame" not in system:
        return annotation["coordinates"]
    if not system["frame"] <= frame <= system.get("endFrame", frame):
        return None
    snapshots = system.get("snapshots_", [])
    past = bisect_right(snapshots, frame, key=lambda snapshot: snapshot["frame"])
    if past == 0:
        return annotation["coordinates"]
    latest = snapshots[past - 1]
    return latest["data"] if latest.get("objectVisible", True) else None
