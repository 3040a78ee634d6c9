"""Draws people on a picture: boxes, limbs, names, trails. Pure functions; colours and sizes suit any picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.drawing.happenings import Saying
from stages.drawing.outlines import Outline, draw_outlines
from stages.drawing.paint import Image, Mask, blend, blend_thin, letters, pill
from stages.drawing.palette import (
    ALARM,
    EVENT,
    INK,
    LEFT,
    MIDDLE,
    NOBODY,
    PAPER,
    RIGHT,
    Colour,
    dimmed,
    identity_colour,
)
from stages.drawing.tags import place
from stages.rows import ids, joints, predictions

__all__ = ["Judged", "Pen", "Style", "draw", "draw_notes"]

_CORNER: Final = 0.25
"""Length of a box's corner, as a share of its shorter side."""
_ALARM_SIZE: Final = 1.5
"""Height of the letters of an alarm, in those of other tags."""
_FADES: Final = 6
"""Steps in which a trail fades."""
_SHIFT: Final = 4
"""OpenCV takes coordinates in 1/16 pixel, so lines move smoothly."""
_FARTHEST: Final = 30_000
"""Pixels: OpenCV's fixed-point lines overflow far outside; a joint beyond that is drawn there."""


@dataclass(frozen=True, slots=True)
class Style:
    """What is drawn."""

    boxes: bool = True
    skeletons: bool = True
    labels: bool = True
    scores: bool = True
    """Write the score behind the identity; a person without one always gets it."""
    min_joint_score: float = 0.3
    """Joints below it are not drawn, nor the bones that end in them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What rules say about a picture; places are in its pixels."""

    sayings: Sequence[Saying] = ()
    """What to write at people's boxes."""
    listed: Sequence[Saying] = ()
    """Lines of text for the lower left corner."""
    outlines: Sequence[Outline] = ()
    """Where they look."""


@dataclass(frozen=True, slots=True)
class Pen:
    """Sizes that suit a picture, in pixels."""

    hair: int
    line: int
    rim: int
    """Width of the dark line under a line."""
    text: int
    """Height of capitals."""

    @classmethod
    def of(cls, image: Image) -> "Pen":
        """Choose: lines of 2 and capitals of 11 in 1080p, more in larger pictures, never less than can be read."""
        unit = max(image.shape[:2]) / 1920
        hair, line = max(1, round(unit)), max(1, round(2 * unit))
        return cls(hair=hair, line=line, rim=line + max(1, round(2 * unit)), text=max(7, round(11 * unit)))


def draw(
    image: Image,
    instances: Instances | None,
    style: Style,
    *,
    trails: Mapping[int, NDArray[np.float32]] | None = None,
    notes: Sequence[str] = (),
    judged: Judged | None = None,
) -> Image:
    """Draw people on a copy of a picture.

    Args:
        image: Shape (H, W, 3), uint8, BGR; not written to.
        instances: Who is where, in pixels of `image`.
        style: What to draw.
        trails: Path of each identity: rows of (x, y, freshness), oldest first; see `Trails.paths`.
        notes: Lines of text for the upper left corner.
        judged: What rules say about it.

    Returns:
        A new picture of the same shape.
    """
    canvas, judged = image.copy(), judged or Judged()
    pen = Pen.of(canvas)
    draw_outlines(canvas, judged.outlines, line_px=pen.line, text_px=pen.text)
    for track_id, path in (trails or {}).items():
        _draw_trail(canvas, path, identity_colour(track_id), pen)
    people = Instances.empty() if instances is None else instances
    _draw_people(canvas, people, style, pen)
    _draw_tags(canvas, [*_name_tags(people, style, pen), *_event_tags(canvas, people, judged.sayings, pen)], pen)
    _draw_list(canvas, judged.listed, pen)
    draw_notes(canvas, notes, pen)
    return canvas


def draw_notes(canvas: Image, notes: Sequence[str], pen: Pen) -> None:
    """Write lines of text on a dark patch in the upper left corner of `canvas`."""
    if not notes:
        return
    masks = [letters(note, pen.text) for note in notes]
    margin, pitch = pen.text, masks[0].shape[0]
    width = max(mask.shape[1] for mask in masks) + 2 * margin
    blend(canvas, pill(width, pitch * len(masks) + margin // 2, margin // 2), margin, margin, INK, 0.65)
    for line, mask in enumerate(masks):
        blend(canvas, mask, 2 * margin, margin + margin // 4 + line * pitch, PAPER)


def _draw_people(canvas: Image, instances: Instances, style: Style, pen: Pen) -> None:
    colours = _colours(instances)
    skeletons = joints(instances) if style.skeletons else None
    predicted = predictions(instances)
    far_to_near = np.argsort(instances.xyxy[:, 3], kind="stable").tolist()  # who stands lower stands in front
    for row in far_to_near:
        if style.boxes:
            _draw_box(canvas, instances.xyxy[row], colours[row], pen)
        if skeletons is not None and instances.skeleton is not None:
            carried = predicted[row] is True
            _draw_skeleton(canvas, skeletons[row], instances.skeleton, style.min_joint_score, pen, predicted=carried)


def _colours(instances: Instances) -> list[Colour]:
    return [NOBODY if track_id is None else identity_colour(track_id) for track_id in ids(instances)]


def _draw_box(canvas: Image, xyxy: NDArray[np.float32], colour: Colour, pen: Pen) -> None:
    """Draw a hairline with strong corners: it shows where a box ends, and hides little of a crowd."""
    x1, y1, x2, y2 = np.clip(np.round(xyxy), -_FARTHEST, _FARTHEST).astype(int).tolist()
    arm = max(round(_CORNER * min(x2 - x1, y2 - y1)), 1)
    corners = [
        np.array([(x + dx, y), (x, y), (x, y + dy)], np.int32)
        for x, dx in ((x1, arm), (x2, -arm))
        for y, dy in ((y1, arm), (y2, -arm))
    ]
    cv2.polylines(canvas, corners, False, INK, pen.rim)
    cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, pen.hair)
    cv2.polylines(canvas, corners, False, colour, pen.line)


Limbs = tuple[tuple[Colour, NDArray[np.intp]], ...]
"""Bones of one colour: pairs of joint indices, shape (m, 2)."""


@lru_cache(maxsize=16)
def _limbs(skeleton: Skeleton, predicted: bool) -> Limbs:  # noqa: FBT001 - a key of the cache
    """Sort bones by the colour they are drawn in: dim where the joints only moved along with the box."""
    left, right = ({pair[side] for pair in skeleton.mirrored} for side in (0, 1))
    sides: dict[Colour, list[tuple[int, int]]] = {LEFT: [], RIGHT: [], MIDDLE: []}
    for bone in skeleton.bones:
        sides[LEFT if left.issuperset(bone) else RIGHT if right.issuperset(bone) else MIDDLE].append(bone)
    return tuple(
        (dimmed(colour) if predicted else colour, np.array(bones, np.intp)) for colour, bones in sides.items() if bones
    )


def _draw_skeleton(
    canvas: Image,
    person: NDArray[np.float32],
    skeleton: Skeleton,
    min_joint_score: float,
    pen: Pen,
    *,
    predicted: bool,
) -> None:
    """Draw bones over a dark rim, and joints as light dots; `predicted`, dim bones and dark dots."""
    places, seen = _fixed(person[:, :2]), person[:, 2] >= min_joint_score
    lines = [(colour, list(places[bones[seen[bones].all(axis=1)]])) for colour, bones in _limbs(skeleton, predicted)]
    cv2.polylines(canvas, [bone for _, bones in lines for bone in bones], False, INK, pen.rim, cv2.LINE_AA, _SHIFT)
    for colour, bones in lines:
        cv2.polylines(canvas, bones, False, colour, pen.line, cv2.LINE_AA, _SHIFT)
    dots = list(places[seen][:, None].repeat(2, axis=1))  # a line from a point to itself is a round dot
    cv2.polylines(canvas, dots, False, INK if predicted else PAPER, pen.line, cv2.LINE_AA, _SHIFT)


class _Tag(NamedTuple):
    """A pill with words in it, and the box beside which it is to be."""

    text: Mask
    paper: Colour
    ink: Colour
    xyxy: NDArray[np.float32]


def _name_tags(instances: Instances, style: Style, pen: Pen) -> list[_Tag]:
    if not style.labels:
        return []
    people = zip(ids(instances), instances.score.tolist(), _colours(instances), instances.xyxy, strict=True)
    return [
        _Tag(
            _tag(track_id, round(100 * score) if style.scores or track_id is None else None, pen.text), colour, INK, box
        )
        for track_id, score, colour, box in people
    ]


def _event_tags(canvas: Image, instances: Instances, sayings: Sequence[Saying], pen: Pen) -> list[_Tag]:
    """Set what is written at boxes; who is in alarm gets a strong red box."""
    rows = {track_id: row for row, track_id in enumerate(ids(instances)) if track_id is not None}
    tags = []
    for saying in sayings:
        row = rows.get(saying.track_id) if saying.track_id is not None else None
        if row is None and saying.xyxy is None:
            continue
        xyxy = np.array(saying.xyxy, np.float32) if row is None else instances.xyxy[row]
        if saying.is_alarm:
            corners = np.clip(np.round(xyxy), -_FARTHEST, _FARTHEST).astype(int).tolist()
            cv2.rectangle(canvas, corners[:2], corners[2:], INK, 2 * pen.line + pen.rim)
            cv2.rectangle(canvas, corners[:2], corners[2:], ALARM, 2 * pen.line)
        text = letters(saying.text, round(pen.text * (_ALARM_SIZE if saying.is_alarm else 1)))
        gap = np.zeros((text.shape[0], pen.text // 2), np.uint8)
        tags.append(_Tag(np.hstack([gap, text, gap]), *_inks(saying), xyxy))
    return tags


def _inks(saying: Saying) -> tuple[Colour, Colour]:
    """Give the colours of the paper and of the letters on it."""
    return (ALARM, PAPER) if saying.is_alarm else (EVENT, INK)


def _draw_tags(canvas: Image, tags: Sequence[_Tag], pen: Pen) -> None:
    if not tags:
        return
    sizes = np.array([tag.text.shape[1::-1] for tag in tags])
    corners = place(sizes, np.stack([tag.xyxy for tag in tags]), canvas.shape[1], canvas.shape[0]).tolist()
    for (text, paper, ink, _), (left, top) in zip(tags, corners, strict=True):
        blend(canvas, pill(*text.shape[1::-1], pen.text // 2), left, top, paper, 0.9)
        blend(canvas, text, left, top, ink)


def _draw_list(canvas: Image, lines: Sequence[Saying], pen: Pen) -> None:
    """Write lines in the lower left corner, the last one lowest: dark patches, red ones where it is an alarm."""
    margin = pen.text
    masks = [letters(line.text, pen.text) for line in lines]
    top = canvas.shape[0] - margin - sum(mask.shape[0] for mask in masks)
    for line, mask in zip(lines, masks, strict=True):
        patch = pill(mask.shape[1] + 2 * margin, mask.shape[0], margin // 2)
        blend(canvas, patch, margin, top, *((ALARM, 0.9) if line.is_alarm else (INK, 0.65)))
        blend(canvas, mask, 2 * margin, top, PAPER)
        top += mask.shape[0]


@lru_cache(maxsize=4096)
def _tag(track_id: int | None, percent: int | None, text_px: int) -> Mask:
    """Set the text of a tag: the identity, and the score paler behind it. At least one of them is given."""
    words = [] if track_id is None else [letters(str(track_id), text_px)]
    if percent is not None:
        score = letters(f"{percent}%", text_px)
        words.append(score // 4 * 3 if words else score)
    gap = np.zeros((words[0].shape[0], text_px // 2), np.uint8)
    return np.hstack([gap, *(part for word in words for part in (word, gap))])


def _draw_trail(canvas: Image, path: NDArray[np.float32], colour: Colour, pen: Pen) -> None:
    if np.ptp(path[:, :2], axis=0).max() < pen.text:  # who stands still leaves a blot, not a trail
        return
    frame = canvas.shape[1::-1]
    low = np.clip(np.floor(path[:, :2].min(axis=0)) - pen.rim, 0, frame).astype(int)
    high = np.clip(np.ceil(path[:, :2].max(axis=0)) + pen.rim, 0, frame).astype(int)
    if (low >= high).any():
        return
    mask = np.zeros((high - low)[::-1], np.uint8)
    points = _fixed(path[:, :2] - low)
    stops = np.linspace(0, len(path) - 1, min(_FADES, len(path) - 1) + 1).astype(int).tolist()
    for start, end in pairwise(stops):
        light = round(255 * float(path[end, 2]))
        cv2.polylines(mask, [points[start : end + 1]], False, light, pen.rim, cv2.LINE_AA, _SHIFT)
    blend_thin(canvas, mask, int(low[0]), int(low[1]), colour, 0.7)


def _fixed(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    near = np.clip(points, -_FARTHEST, _FARTHEST)
    return np.asarray(np.round(near * (1 << _SHIFT)), np.int32)
