"""From a row of the table to what the network sees and is to say; the same call gives the same sample, anywhere."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, SourceError
from stages.topdown.crops import cut
from stages.topdown.heatmaps import swapped
from stages.topdown.regions import Regions, regions_of_boxes
from training.augmentation import (
    AugmentationOptions,
    View,
    affine,
    choose_view,
    cover,
    half_bodies,
    move,
    reach,
    recolour,
)
from training.crops import CropCache, read_part
from training.datasets import People
from training.skeletons import joint_weights, lower_body
from training.targets import TargetOptions, is_drawn

__all__ = ["NOBODY", "TRIES", "Draw", "Sample", "Samples"]

NOBODY: Final = -1
"""The row of a sample for which no picture could be read."""
TRIES: Final = 10
"""So many pictures in a row may be broken."""


class Draw(NamedTuple):
    """Which look at which person: all chance in a sample comes from these numbers and the seed."""

    epoch: int
    place: int
    """In the order of the epoch."""
    row: int
    """Of the table."""


class Sample(NamedTuple):
    """One look at one person."""

    picture: NDArray[np.uint8]
    """Shape (height, width, 3), BGR."""
    cells: NDArray[np.float32]
    """Joints (x, y) on the grid of the heat maps, shape (k, 2)."""
    weights: NDArray[np.float32]
    """How much each joint counts, shape (k,): 0 where it is not labelled, or its Gaussian does not reach the map."""
    row: int
    """Of the table; NOBODY if no picture could be read."""
    view: View
    broken: tuple[tuple[str, str], ...] = ()
    """Pictures that could not be read, and why; somebody else stands in their place."""


class Samples:
    """Makes samples; it keeps nothing between two calls.

    Args:
        people: The table.
        target: What the network sees and is to say.
        augmentation: How much varies.
        seed: Another one, another training.
        cache: Where parts of pictures are kept.

    Raises:
        ConfigError: People are to be mirrored, but the data set does not tell which joints then change places.
    """

    def __init__(
        self,
        people: People,
        target: TargetOptions,
        augmentation: AugmentationOptions,
        seed: int,
        cache: CropCache | None = None,
    ) -> None:
        """Keep the table, and what follows from its joints."""
        if augmentation.flip and not people.skeleton.mirrored and len(people.skeleton) > 1:
            msg = (
                "mirroring needs to know which joints change places, but no names of joints of the data set are left"
                f" and right ({', '.join(people.skeleton.joints[:5])} ...): name them so, or set augmentation.flip=0"
            )
            raise ConfigError(msg)
        self.people, self.target, self.augmentation, self.seed = people, target, augmentation, seed
        self._read_part = read_part if cache is None else cache.read_part
        self._mirror = swapped(len(people.skeleton), people.skeleton.mirrored)
        self._lower = lower_body(people.skeleton)
        self._weights = joint_weights(people.skeleton, target.joint_weights)

    def __len__(self) -> int:
        """Count the people."""
        return len(self.people)

    def __getitem__(self, draw: Draw) -> Sample:
        """Look at a person; where the picture is broken, at somebody else, whom chance chooses."""
        random = np.random.default_rng((self.seed, draw.epoch, draw.place))
        row, broken = draw.row, list[tuple[str, str]]()
        for _ in range(TRIES):
            try:
                return self._look(random, row)._replace(broken=tuple(broken))
            except SourceError as error:
                broken.append((str(self.people.path(row)), str(error)))
                row = int(random.integers(len(self.people)))
        return self._nobody(tuple(broken))

    def _look(self, random: np.random.Generator, row: int) -> Sample:
        whole, halves = self._regions(row)
        view = choose_view(random, whole, halves, self.augmentation)
        bounds = reach([whole, *halves], self.augmentation.scale)
        part = self._read_part(self.people.path(row), bounds)
        target = self.target
        to_picture = affine(view, target.width, target.height, udp=target.udp)
        to_grid = affine(view, target.grid_width, target.grid_height, udp=target.udp)
        picture = self._vary(random, _cut(part.pixels, _from(part.left, part.top, to_picture), target))
        cells = move(self.people.joints[row], to_grid)
        seen = self.people.labelled[row] & is_drawn(cells, target)
        if view.is_mirrored:
            cells, seen = cells[self._mirror], seen[self._mirror]
        weights = self._weights * seen
        return Sample(picture, np.where(seen[:, None], cells, 0).astype(np.float32), weights, row, view)

    def _regions(self, row: int) -> tuple[Regions, list[Regions]]:
        """Give the regions about a person, and about the halves that may be looked at."""
        people, aspect = self.people, self.target.width / self.target.height
        whole = regions_of_boxes(people.xyxy[row], aspect, self.target.padding)
        if not self.augmentation.half_body:
            return whole, []
        return whole, half_bodies(people.joints[row], people.labelled[row], self._lower, aspect)

    def _vary(self, random: np.random.Generator, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.augmentation.colour:
            picture = recolour(random, picture, self.augmentation.colour)
        return cover(random, picture) if random.random() < self.augmentation.cutout else picture

    def _nobody(self, broken: tuple[tuple[str, str], ...]) -> Sample:
        k, target = len(self.people.skeleton), self.target
        black = np.zeros((target.height, target.width, 3), np.uint8)
        nowhere = View(Regions(np.zeros((1, 2)), np.ones((1, 2))))
        return Sample(black, np.zeros((k, 2), np.float32), np.zeros(k, np.float32), NOBODY, nowhere, broken)


def _from(left: int, top: int, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make an affine of the whole picture one of a part that begins at (left, top)."""
    return np.column_stack([matrix[:, :2], matrix[:, :2] @ [left, top] + matrix[:, 2]])


def _cut(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], target: TargetOptions) -> NDArray[np.uint8]:
    """Draw what the network sees; where the part is empty, nothing."""
    if not pixels.size:
        return np.zeros((target.height, target.width, 3), np.uint8)
    crops = cut([pixels], [matrix[None]], target.width, target.height)
    return np.asarray(crops[0], np.uint8)
