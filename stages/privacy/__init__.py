"""mask, blank: what of a picture nobody gets to see.

    Mask   hides parts of the picture as soon as it was read, from models and outputs
    Blank  the last stage: outputs get people, but no picture

    coverage   which pixels a polygon touches
    polygons   the polygons of a configuration, checked
    pictures   pixels that show less than their source

Both only exchange the pixels of a frame; nothing is computed until somebody looks.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import SourceError
from pipeline.stage import Stage
from pipeline.types import Event, Frame, Instances, Packet
from stages.privacy.coverage import Corners, touched
from stages.privacy.pictures import BlankPixels, MaskedPixels
from stages.privacy.polygons import EVERY, check_sources, read, to_size

__all__ = ["Blank", "Mask"]

_log = logging.getLogger(__name__)

Size = tuple[int, int]
"""Width and height, pixels."""


@dataclass(slots=True)
class _View:
    """What is known about one source that has a mask."""

    first_size: Size
    size: Size | None = None
    """Of the picture that `shown` fits."""
    shown: NDArray[np.uint8] | None = None


class Mask:
    """Makes parts of pictures black before anybody looks at them.

    Args:
        masks: Source id, or `*` for every source -> polygons, each a list of corners [x, y]: in fractions of the
            picture where all values are at most 1, else in pixels of the first picture of the source.
        sources: Ids of all sources; None where more may come while it runs: then a source without a mask of its own is
            logged as long as there is a mask without its source.

    Raises:
        ConfigError: A polygon would not hide what it seems to, or is for a source that there is not.
    """

    def __init__(self, masks: Mapping[str, Sequence[Any]], sources: Collection[str] | None = None) -> None:
        """Check the polygons."""
        self._masks = read(masks)
        if sources is not None:
            check_sources(self._masks, sources)
        self._views: dict[str, _View] = {}
        self._waiting = set(self._masks) - {EVERY} if sources is None else set[str]()

    def hide(self, frame: Frame) -> Frame:
        """Give the frame without its masked parts; the frame itself where its source has no mask.

        Raises:
            SourceError: A polygon lies outside the picture. The frame goes nowhere: better none than an open one.
        """
        polygons = self._masks.get(EVERY, {}) | self._masks.get(frame.source_id, {})
        size = (frame.width, frame.height)
        if frame.source_id not in self._views:
            self._views[frame.source_id] = _View(size)
            self._note(frame.source_id)
        if not polygons:
            return frame
        view = self._views[frame.source_id]
        if view.shown is None or view.size != size:
            view.shown, view.size = _shown(polygons, size, view.first_size, frame.source_id), size
        return replace(frame, pixels=MaskedPixels(frame.pixels, view.shown))

    def _note(self, source_id: str) -> None:
        """Take note of a new source. One without a mask, while a mask has no source, may be a misspelt name."""
        self._waiting.discard(source_id)
        if self._waiting and source_id not in self._masks:
            names = ", ".join(sorted(self._waiting))
            _log.warning(
                "source '%s' has no mask of its own; there are masks for sources not seen yet: %s", source_id, names
            )


def _shown(polygons: Mapping[str, Corners], size: Size, first_size: Size, source_id: str) -> NDArray[np.uint8]:
    """Say what is still shown of a picture: shape (H, W), 255 there and 0 where it is hidden."""
    shown = np.full(size[::-1], 255, np.uint8)
    for where, corners in polygons.items():
        hidden = touched(to_size(corners, size, first_size), *size)
        if not hidden.any():
            msg = (
                f"{where} hides nothing: it lies outside the picture of source '{source_id}', which has "
                f"{size[0]}x{size[1]} pixels (got {corners.tolist()}); move it, or give fractions of the picture (0..1)"
            )
            raise SourceError(msg)
        shown[hidden] = 0
    return shown


class Blank(Stage):
    """Takes the picture away from what goes to the outputs: they draw people on one dark colour.

    Boxes, joints, identities and events stay. Appearance vectors go as well: they are made of pixels, and tell people
    apart. What stays is copied, since an array may be a window into something larger.
    """

    name = "blank"
    provides = frozenset({"pixels"})
    max_batch = 8

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Give packets that hold nothing of the picture."""
        return [_without_picture(packet) for packet in packets]


def _without_picture(packet: Packet) -> Packet:
    return replace(
        packet,
        frame=replace(packet.frame, pixels=BlankPixels(packet.frame.width, packet.frame.height)),
        instances=None if packet.instances is None else _anonymous(packet.instances),
        events=tuple(_detached(event) for event in packet.events),
    )


def _anonymous(people: Instances) -> Instances:
    columns = {column.name: getattr(people, column.name) for column in fields(people)}
    copies = {name: column.copy() for name, column in columns.items() if isinstance(column, np.ndarray)}
    return people.with_columns(**(copies | {"embedding": None}))


def _detached(event: Event) -> Event:
    return event if event.keypoints is None else replace(event, keypoints=event.keypoints.copy())
