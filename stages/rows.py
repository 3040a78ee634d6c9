"""A packet as plain Python values: what the tables share."""

from datetime import UTC
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import Skeleton
from pipeline.types import NO_TRACK, Event, Frame, Instances, Packet

__all__ = [
    "BOX_COLUMNS",
    "FRAME_COLUMNS",
    "event_object",
    "frame_object",
    "frame_values",
    "ids",
    "joint_columns",
    "joints",
    "people_objects",
    "predictions",
    "rounded",
    "seed_joints",
    "utc",
    "writable_text",
]

FRAME_COLUMNS = ("source", "frame", "pts", "captured_at")
BOX_COLUMNS = ("x1", "y1", "x2", "y2")

_PIXEL_DIGITS = 2
_SCORE_DIGITS = 4
_SECOND_DIGITS = 6


def frame_values(frame: Frame) -> tuple[str, int, float, str]:
    """Give the values of FRAME_COLUMNS: source, index, PTS in seconds, capture time as text."""
    return frame.source_id, frame.index, round(frame.pts_seconds, _SECOND_DIGITS), utc(frame)


def utc(of: Frame | Event) -> str:
    """Give the capture time as ISO 8601 in UTC: `2025-06-01T12:00:00.250000Z`."""
    return of.captured_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def writable_text(text: str) -> str:
    """Escape what UTF-8 cannot hold: the bytes of a file name in another encoding, which Python keeps as surrogates."""
    return text.encode(errors="backslashreplace").decode()


def ids(instances: Instances) -> list[int | None]:
    """Give the identity of each row; None where it has none (yet)."""
    if instances.track_id is None:
        return [None] * len(instances)
    return [None if track_id == NO_TRACK else track_id for track_id in instances.track_id.tolist()]


def predictions(instances: Instances) -> list[bool | None]:
    """Tell of each row whether its joints only moved along with its box; None where the table does not say."""
    return [None] * len(instances) if instances.predicted is None else instances.predicted.tolist()


def joint_columns(skeleton: Skeleton) -> tuple[str, ...]:
    """Name the columns of `joints`: `nose_x, nose_y, nose_score, left_eye_x ...`."""
    return tuple(f"{joint}_{value}" for joint in skeleton.joints for value in ("x", "y", "score"))


def joints(instances: Instances) -> NDArray[np.float32] | None:
    """Give (x, y, score) of every joint, in pixels and 0..1, shape (n, k, 3), float32; None without joints."""
    if instances.keypoints is None or instances.keypoint_score is None:
        return None
    return np.concatenate((instances.keypoints, instances.keypoint_score[..., None]), axis=-1)


def rounded(instances: Instances) -> tuple[list[Any], list[Any], list[Any] | None]:
    """Give boxes, scores and joints as nested lists, rounded to what they can mean: 0.01 px and 0.0001.

    Returns:
        Boxes (n, 4), scores (n,) and joints (n, k, 3); None in place of the joints where there are none.
    """
    boxes = _round(instances.xyxy, _PIXEL_DIGITS).tolist()
    scores = _round(instances.score, _SCORE_DIGITS).tolist()
    if (values := joints(instances)) is None:
        return boxes, scores, None
    places = _round(values, _PIXEL_DIGITS)
    places[..., 2] = _round(values[..., 2], _SCORE_DIGITS)
    return boxes, scores, places.tolist()


def frame_object(packet: Packet) -> dict[str, Any]:
    """Give all of a packet as what JSON can hold.

    Returns:
        The values of FRAME_COLUMNS, and `people`: see `people_objects`; none where nobody looked for them. Where a rule
        saw something happen, `events` too: what, to whom and why.
    """
    frame: dict[str, Any] = dict(zip(FRAME_COLUMNS, frame_values(packet.frame), strict=True))
    frame["people"] = [] if packet.instances is None else people_objects(packet.instances)
    if packet.events:
        frame["events"] = [_what_happened(event) for event in packet.events]
    return frame


def people_objects(instances: Instances) -> list[dict[str, Any]]:
    """Give people as what JSON can hold.

    Returns:
        Of each: `id` (None without one), `score`, `box`; `predicted` and `keypoints` where the table has them.
    """
    boxes, scores, places = rounded(instances)
    columns: dict[str, list[Any]] = {"id": ids(instances), "score": scores, "box": boxes}
    if instances.predicted is not None:
        columns["predicted"] = predictions(instances)
    if places is not None:
        columns["keypoints"] = places
    return [dict(zip(columns, person, strict=True)) for person in zip(*columns.values(), strict=True)]


def seed_joints(instances: Instances | None) -> list[list[list[float]]]:
    """Give the joints of people in the order of simple-HRNet: (y, x, score), as nested lists (n, k, 3), rounded."""
    places = None if instances is None else rounded(instances)[2]
    return [[[y, x, score] for x, y, score in person] for person in places or ()]


def _round(values: NDArray[np.floating[Any]], digits: int) -> NDArray[np.floating[Any]]:
    # In float64, or 0.9 would be written as 0.8999999761581421; adding 0 turns -0.0 into 0.0.
    return np.round(values.astype(np.float64), digits) + 0.0


def event_object(event: Event) -> dict[str, Any]:
    """Give an event as values for JSON; `id`, `box` and `keypoints` are left out where it has none."""
    when = (event.source_id, event.frame_index, round(event.pts_seconds, _SECOND_DIGITS), utc(event))
    values: dict[str, Any] = {**dict(zip(FRAME_COLUMNS, when, strict=True)), **_what_happened(event)}
    if event.xyxy is not None:
        values["box"] = [round(side, _PIXEL_DIGITS) for side in event.xyxy]
    if event.keypoints is not None:
        places = _round(event.keypoints, _PIXEL_DIGITS)
        places[..., 2] = _round(event.keypoints[..., 2], _SCORE_DIGITS)
        values["keypoints"] = places.tolist()
    return values


def _what_happened(event: Event) -> dict[str, Any]:
    """Give an event without what its frame says already."""
    whom = {} if event.track_id is None else {"id": event.track_id}
    what = {"rule": event.rule, "kind": event.kind, "state": event.is_state}
    return {**what, **whom, "reason": event.reason, "values": dict(event.values)}
