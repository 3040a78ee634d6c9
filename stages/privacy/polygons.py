"""The polygons of a configuration that hide parts of a picture, checked."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConfigError
from pipeline.registry import explain
from stages.judging.places import Polygon
from stages.privacy.coverage import Corners

__all__ = ["EVERY", "check_sources", "read", "to_size"]

EVERY: Final = "*"
"""Stands for every source."""

_SECTION: Final = "privacy.mask"
_FARTHEST: Final = 100_000
"""The largest coordinate that makes sense; beyond it, arithmetic would lose pixels."""
_POLYGON: Final[TypeAdapter[Any]] = TypeAdapter(Polygon)


def read(masks: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Corners]]:
    """Check polygons as a configuration gives them.

    Args:
        masks: Source id -> polygons, each a list of corners [x, y].

    Returns:
        Source id -> where a polygon stands in the configuration (`privacy.mask.door.0`) -> its corners as given.

    Raises:
        ConfigError: One is no polygon, or would not hide what it seems to.
    """
    return {source_id: _read_one(f"{_SECTION}.{source_id}", polygons) for source_id, polygons in masks.items()}


def _read_one(where: str, polygons: object) -> dict[str, Corners]:
    if not isinstance(polygons, Sequence) or isinstance(polygons, str) or not polygons:
        msg = f"{where}: expected a list of polygons, each a list of corners [x, y], at least one; got {polygons!r}"
        raise ConfigError(msg)
    if _is_corner(polygons[0]):
        msg = f"{where}: expected a list of polygons, got the corners of one: put it in a list, [{polygons!r}]"
        raise ConfigError(msg)
    return {
        f"{where}.{position}": _corners(f"{where}.{position}", polygons[position]) for position in range(len(polygons))
    }


def _is_corner(value: object) -> bool:
    return isinstance(value, Sequence) and len(value) > 0 and isinstance(value[0], int | float)


def _corners(where: str, polygon: object) -> Corners:
    try:
        corners = np.array(_POLYGON.validate_python(polygon), np.float64)
    except ValidationError as error:
        raise ConfigError(explain(error, where, {})) from None
    if np.abs(corners).max() > _FARTHEST:
        msg = f"{where}: corners must be within {_FARTHEST} of the picture, got {polygon}"
        raise ConfigError(msg)
    if corners.max() > 1 and ((corners > 0) & (corners < 1)).any():
        msg = (
            f"{where}: got fractions of the picture and pixels in one polygon, {polygon}, so it would hide next to "
            "nothing: give all corners in fractions (0..1), or all in pixels"
        )
        raise ConfigError(msg)
    return corners


def to_size(corners: Corners, size: tuple[int, int], first_size: tuple[int, int]) -> Corners:
    """Give corners in pixels of a picture.

    Fractions follow the size of the picture. So do pixels, which are those of the first picture of a source: a camera
    that comes back with another resolution still looks at the same place.

    Args:
        corners: As given: in fractions where all values are at most 1, else in pixels.
        size: Of the picture, (width, height).
        first_size: Of the first picture of its source.
    """
    unit = (1, 1) if corners.max() <= 1 else first_size
    return corners * size / unit


def check_sources(masks: Collection[str], sources: Collection[str]) -> None:
    """Refuse a mask for a source that there is not: it would hide nothing, and a camera would go unmasked.

    Raises:
        ConfigError: With the closest name.
    """
    for source_id in sorted(set(masks) - set(sources) - {EVERY}):
        closest = get_close_matches(source_id, list(sources), n=1)
        hint = f" Did you mean '{closest[0]}'?" if closest else ""
        known = ", ".join([*sources, f"'{EVERY}' (every one)"])
        msg = f"{_SECTION}.{source_id}: no source has this id.{hint} Known: {known}"
        raise ConfigError(msg)
