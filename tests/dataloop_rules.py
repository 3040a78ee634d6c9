"""What the test server refuses: the mistakes of a client that the real platform might store as they are."""

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Refused", "check_annotation"]

Json = dict[str, Any]

_TYPES = {
    *("binary", "box", "class", "comparison", "cube", "cube_3d", "ellipse", "gis", "note", "point", "polygon"),
    *("polyline", "pose", "ref_image", "ref_video", "segment", "subtitle", "text"),
}
_IN_TIME = ("frame", "endFrame", "startTime", "endTime", "snapshots_")


class Refused(Exception):
    """A request that is wrong; says what about it."""


def check_annotation(annotation: Any, item: Mapping[str, Any], parent: Callable[[str], Json | None]) -> None:
    """Refuse an annotation that no viewer could show as it was meant.

    Args:
        annotation: As it would be stored.
        item: That it is of.
        parent: Finds an annotation by its id.

    Raises:
        Refused: With what is wrong.
    """
    _require(isinstance(annotation, dict), f"an annotation must be an object, got {annotation!r}")
    kind, label = annotation.get("type"), annotation.get("label")
    _require(kind in _TYPES, f"unknown type {kind!r}")
    _require(isinstance(label, str) and label != "", f"a label must be a text, got {label!r}")
    _require(isinstance(annotation.get("metadata", {}), dict), "metadata must be an object")
    if kind != "class":
        _check_coordinates(str(kind), annotation.get("coordinates"))
    system = annotation.get("metadata", {}).get("system", {})
    _check_bonds(system, item, parent)
    if "video" in str(item["metadata"]["system"].get("mimetype")):
        _check_times(str(kind), system)
    else:
        there = [key for key in _IN_TIME if key in system]
        _require(not there, f"the item is no video, and the annotation has {', '.join(there)}")


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - reads as the sentence it is
    if not holds:
        raise Refused(message)


def _check_coordinates(kind: str, coordinates: Any) -> None:
    if kind == "pose":
        _require(isinstance(coordinates, dict), f"a pose needs coordinates, got {coordinates!r}")
        template = coordinates.get("templateId")
        _require(isinstance(template, str) and template != "", f"a pose needs a templateId, got {template!r}")
    elif kind == "point":
        _check_point(coordinates)
    elif kind == "box":
        _require(isinstance(coordinates, list) and len(coordinates) >= 2, f"a box has two corners, got {coordinates!r}")
        for corner in coordinates[:2]:
            _check_point(corner)


def _check_point(point: Any) -> None:
    _require(isinstance(point, dict), f"a point must be an object, got {point!r}")
    for axis in ("x", "y"):
        value = point.get(axis)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        _require(is_number, f"{axis} must be a finite number, got {value!r}")


def _check_bonds(system: Json, item: Mapping[str, Any], parent: Callable[[str], Json | None]) -> None:
    object_id, parent_id = system.get("objectId"), system.get("parentId")
    _require(object_id is None or isinstance(object_id, str), f"objectId must be a text, got {object_id!r}")
    if parent_id is not None:
        found = parent(parent_id)
        _require(found is not None, f"no annotation has the parentId {parent_id!r}")
        assert found is not None
        _require(found["itemId"] == item["id"], f"the parent {parent_id} is of the item {found['itemId']}")


def _check_times(kind: str, system: Json) -> None:
    snapshots = system.get("snapshots_", [])
    _require(isinstance(snapshots, list), f"snapshots_ must be a list, got {snapshots!r}")
    if "frame" not in system and "endFrame" not in system:
        _require(not snapshots, "there are snapshots and no first frame")
        return
    frame, end = _frame(system, "frame"), _frame(system, "endFrame")
    _require(frame <= end, f"it ends at frame {end}, before it begins at {frame}")
    last = frame
    for snapshot in snapshots:
        number = _frame(snapshot, "frame")
        _require(number > last, f"snapshots must be in order, each frame once: {number} after {last}")
        _require(number <= end, f"a snapshot at frame {number} lies behind the end, {end}")
        _check_coordinates(kind, snapshot.get("data"))
        last = number


def _frame(tree: Json, key: str) -> int:
    value = tree.get(key)
    _require(isinstance(value, int) and not isinstance(value, bool) and value >= 0, f"{key} must count, got {value!r}")
    return int(value or 0)
