"""Keeps people from frame to frame: where they were tells where to look, and a few tiles a frame find new ones."""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from stages.blazepose.poses import Poses
from stages.blazepose.search import PeopleFinder, SearchOptions
from stages.geometry import Region

__all__ = ["FollowOptions", "Scene", "next_scene"]

_SAME_HIPS: Final = 0.12
"""Distance of two candidates' hips, in sides of the larger region, below which they are one person."""
_SAME_SIZE: Final = 0.5
"""Ratio of their sides above which they are."""


class FollowOptions(SearchOptions):
    """How people are kept."""

    search_seconds: float = Field(default=0.5, gt=0)
    """Stream time in which all tiles are looked at once: how late a place is searched for somebody new, at most. The
    tiles are spread over the frames of that time, so that every frame takes about as long."""
    follow_score: float = Field(default=0.5, gt=0, lt=1)
    """What the landmark network must say of somebody known; below, he is gone until he is found again."""
    forget_seconds: float = Field(default=1.0, gt=0)
    """After a gap this long in the stream, as between the pictures of a folder, nobody is known: all tiles are looked
    at in one frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is known about one source after a frame."""

    pts_seconds: float
    people: Poses
    """Longest known first."""
    searched: float = 0.0
    """How many tiles have been looked at, ever; the next tile is this one, modulo their number. The fraction is what
    the frames so far have left over."""

    @classmethod
    def unknown(cls, pts_seconds: float) -> Self:
        """Know nobody yet."""
        return cls(pts_seconds, Poses.concatenate([]))


def next_scene(
    finder: PeopleFinder, options: FollowOptions, before: Scene | None, image: NDArray[np.uint8], pts_seconds: float
) -> Scene:
    """Look at the next frame of a source.

    Args:
        finder: The networks.
        options: How to keep people.
        before: What was known after the frame before; None at the start.
        image: Shape (H, W, 3), uint8, BGR.
        pts_seconds: Time of the frame in the stream.

    Returns:
        What is known now. `before` is as it was, so a frame can be looked at again.
    """
    if before is None or not 0 <= pts_seconds - before.pts_seconds < options.forget_seconds:
        return Scene(pts_seconds, finder.search(image))
    tiles = finder.tiles(image)
    searched = before.searched + min(1.0, (pts_seconds - before.pts_seconds) / options.search_seconds) * len(tiles)
    due = [tiles[index % len(tiles)] for index in range(int(before.searched), int(searched))]
    candidates, poses = finder.look(image, due, before.people.regions())
    known = finder.distinct(image, poses[poses.score > options.follow_score])
    new = finder.confirm(image, _not_of(known.regions(), candidates))
    people = finder.distinct(image, Poses.concatenate([known, new]))
    return Scene(pts_seconds, people, searched)


def _not_of(known: list[Region], candidates: list[Region]) -> list[Region]:
    """Leave out the candidates that are known people."""
    return [body for body in candidates if not any(_same(body, person) for person in known)]


def _same(a: Region, b: Region) -> bool:
    larger = max(a.width, b.width)
    distance = float(np.hypot(a.x - b.x, a.y - b.y))
    return distance < _SAME_HIPS * larger and min(a.width, b.width) > _SAME_SIZE * larger
