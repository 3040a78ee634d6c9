"""Finds people in a picture: looks at overlapping tiles, then asks the landmark network who is really there.

The detector was made for the one person before a phone: it finds who fills about a third of its input or more. So a
picture is searched in squares of several sizes, and the same person is seen in a few of them.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import Annotated, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from stages import zoo
from stages.blazepose import candidates, poses
from stages.blazepose.network import Network
from stages.blazepose.poses import Poses
from stages.geometry import Region, crop, invert_affine, region_to_affine, transform_points

__all__ = ["PeopleFinder", "SearchOptions", "tile_layout"]

_SMALLEST_TILE: Final = 64
"""Pixels; below, nobody can be told from a lamp post, and a picture could have thousands of tiles."""

Result = TypeVar("Result")
Detections = tuple[NDArray[np.float64], NDArray[np.float32]]

_MOST_THREADS: Final = 8
"""Each has its own copy of both networks, 25 MB; more threads than people are of no use."""


class SearchOptions(plugin.Options):
    """How people are looked for."""

    tile_scales: tuple[Annotated[float, Field(ge=0.1, le=1)], ...] = Field(default=(1.0, 0.6, 0.4), min_length=1)
    """Sides of the square tiles, in short sides of the picture. Smaller tiles find smaller people and cost more:
    people are found when they are about 0.3 to 1 tile tall. The whole picture is always one tile more."""
    tile_overlap: float = Field(default=0.5, ge=0, lt=0.9)
    """How much of a tile its neighbour shows again: whoever is cut by one is whole in the next."""
    candidate_score: float = Field(default=0.3, gt=0, lt=1)
    """What the detector must say before the landmark network looks."""
    person_score: float = Field(default=0.9, gt=0, lt=1)
    """What the landmark network must say, twice, of somebody new."""
    overlap: float = Field(default=0.5, gt=0, lt=1)
    """IoU of two people's boxes above which they are one person."""
    max_people: int = Field(default=30, ge=1)
    """People in a frame, at most: those known longest, then the most certain. Each costs a run of a network."""
    threads: int | None = Field(default=None, ge=1)
    """Networks that run at the same time; None for one a processor."""


def tile_layout(width: int, height: int, scales: Sequence[float], overlap: float) -> list[Region]:
    """Cover a picture with square tiles.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        scales: Sides of the tiles in short sides of the picture.
        overlap: Share of a tile that its neighbour shows again, at least.

    Returns:
        The whole picture first, then the tiles from large to small.
    """
    whole = Region(width / 2, height / 2, max(width, height), max(width, height))
    tiles = [whole]
    for scale in sorted(scales, reverse=True):
        side = scale * min(width, height)
        if side < _SMALLEST_TILE:
            break
        tiles += [
            Region(x, y, side, side) for y in _centres(height, side, overlap) for x in _centres(width, side, overlap)
        ]
    return list(dict.fromkeys(tiles))


def _centres(length: float, side: float, overlap: float) -> list[float]:
    """Spread tiles evenly from edge to edge: one where it covers all."""
    if side >= length:
        return [length / 2]
    steps = math.ceil((length - side) / (side * (1 - overlap)) - 1e-9)
    return [float(x) for x in np.linspace(side / 2, length - side / 2, steps + 1)]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What `open` takes and `close` gives back."""

    detector: Network
    landmarks: Network
    pool: ThreadPoolExecutor


class PeopleFinder:
    """The two networks and the threads they run on.

    Args:
        options: How to look.
    """

    def __init__(self, options: SearchOptions) -> None:
        """Keep the options; `open` loads the networks."""
        self._options = options
        self._loaded: _Loaded | None = None

    def open(self) -> None:
        """Load the networks.

        Raises:
            WeightsError: They cannot be had, are damaged, or are other ones.
        """
        threads = self._options.threads or min(len(os.sched_getaffinity(0)), _MOST_THREADS)
        detector = Network(zoo.locate("blazepose-detector"), candidates.INTERFACE, copies=threads)
        landmarks = Network(zoo.locate("blazepose-landmark-full"), poses.INTERFACE, copies=threads)
        self._loaded = _Loaded(detector, landmarks, ThreadPoolExecutor(threads, thread_name_prefix="blazepose"))

    def close(self) -> None:
        """Give back threads and networks."""
        if self._loaded is not None:
            self._loaded.pool.shutdown()
        self._loaded = None

    def search(self, image: NDArray[np.uint8]) -> Poses:
        """Find everybody in a picture, shape (H, W, 3), uint8, BGR; best score first."""
        found, _ = self.look(image, self.tiles(image), [])
        people = self.confirm(image, found)
        return people[np.argsort(-people.score, kind="stable")]

    def tiles(self, image: NDArray[np.uint8]) -> list[Region]:
        """Give the tiles that cover a picture."""
        height, width = image.shape[:2]
        return tile_layout(width, height, self._options.tile_scales, self._options.tile_overlap)

    def look(
        self, image: NDArray[np.uint8], tiles: Sequence[Region], bodies: Sequence[Region]
    ) -> tuple[list[Region], Poses]:
        """Ask the detector about tiles and the landmark network about bodies, all at the same time.

        Returns:
            Regions in which the detector sees somebody, best first, and one pose a body, in order.
        """
        seen, rows = self._each(self._detect, image, tiles), self._each(self._estimate, image, bodies)
        points, scores = _concatenate(list(seen))
        found = [candidates.body_region(hips, rim) for _, _, hips, rim in candidates.merge(points, scores)]
        return found, Poses.concatenate(list(rows))

    def confirm(self, image: NDArray[np.uint8], bodies: Sequence[Region]) -> Poses:
        """Keep the people among candidates, most certain first.

        The landmark network must find a person twice, the second time in the region that the first one gave. Of poses
        that exclude each other, the one it saw the most alike both times is kept: its own score is close to 1 also
        for a pose made of two people. This raises OKS on COCO from 0.69 to 0.75.
        """
        least = self._options.person_score
        _, first = self.look(image, [], bodies)
        first = first[first.score > least]
        _, second = self.look(image, [], first.regions())
        order = np.argsort(-second.score * second.likeness(first), kind="stable")
        return self.distinct(image, second[order[second.score[order] > least]])

    def distinct(self, image: NDArray[np.uint8], people: Poses) -> Poses:
        """Leave one pose a person, the first, and at most `max_people`."""
        height, width = image.shape[:2]
        rows = poses.distinct(people.boxes(width, height), people.one_head(), self._options.overlap)
        return people[rows[: self._options.max_people]]

    def _detect(self, loaded: _Loaded, image: NDArray[np.uint8], tile: Region) -> Detections:
        side = loaded.detector.side
        affine = region_to_affine(tile, side, side)
        regressors, logits = loaded.detector.run(crop(image, affine, side, side))
        points, scores = candidates.decode(regressors, logits, self._options.candidate_score)
        return transform_points(points, invert_affine(affine)), scores

    def _estimate(self, loaded: _Loaded, image: NDArray[np.uint8], body: Region) -> Poses:
        side = loaded.landmarks.side
        affine = region_to_affine(body, side, side)
        points, flag, heatmaps = loaded.landmarks.run(crop(image, affine, side, side))
        return poses.decode(points, flag, heatmaps, invert_affine(affine))

    def _each(
        self,
        work: Callable[[_Loaded, NDArray[np.uint8], Region], Result],
        image: NDArray[np.uint8],
        regions: Sequence[Region],
    ) -> Iterator[Result]:
        """Start the work on every region at once; give results in order."""
        if self._loaded is None:
            msg = "the networks are not loaded: call open() first"
            raise RuntimeError(msg)
        return self._loaded.pool.map(work, repeat(self._loaded), repeat(image), regions)


def _concatenate(detections: Sequence[Detections]) -> Detections:
    none = np.zeros((0, 4, 2)), np.zeros(0, np.float32)
    points, scores = zip(none, *detections, strict=True)
    return np.concatenate(points), np.concatenate(scores)
