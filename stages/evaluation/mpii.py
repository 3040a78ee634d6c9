"""MPII: joints of people whose place and size are given, measured by PCKh.

The annotations are in the form of the official HRNet repository (`annot/valid.json`): a list with an entry a person.
Pixels in them count from 1, as in Matlab.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16
from pipeline.types import Instances
from stages.evaluation.heads import Heads, heads_from_file
from stages.evaluation.measure import Measure, Metrics
from stages.evaluation.pckh import pckh
from stages.evaluation.pictures import Picture, choose
from stages.evaluation.reading import checked

__all__ = ["MpiiPeople", "Person", "box_of", "people_of"]

_FIRST_PIXEL: Final = 1.0
"""What the annotations call the first pixel; we call it 0."""
_SIDE: Final = 200.0
"""Pixels of a person's height at scale 1."""
_LOWER: Final = 15.0
"""The centre is moved down so many pixels at scale 1, so that feet are not cut off."""

_Point = tuple[FiniteFloat, FiniteFloat]


class Person(BaseModel):
    """One entry of the file."""

    image: str
    center: _Point
    scale: Annotated[FiniteFloat, Field(gt=0)]
    """Height over 200 px."""
    joints: Annotated[list[_Point], Field(min_length=len(MPII_16), max_length=len(MPII_16))]
    joints_vis: Annotated[list[FiniteFloat], Field(min_length=len(MPII_16), max_length=len(MPII_16))]
    head_size: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Diagonal of the head's box, pixels."""
    headboxes: tuple[_Point, _Point] | None = None
    """Two corners of the head's box."""


def people_of(tree: object, path: Path) -> list[Person]:
    """Take the people out of a file.

    Raises:
        ConfigError: It is damaged, or has other joints.
    """
    return checked(TypeAdapter(Annotated[list[Person], Field(min_length=1)]), tree, path)


def box_of(person: Person) -> list[float]:
    """Give the box around which a model sees the official region: (x1, y1, x2, y2), pixels from 0.

    The official region is a square of 200 px times scale times 1.25 around the centre, which is moved down by 15 px
    times scale and back by one pixel (to count from 0). A model pads boxes itself, by the same 1.25, so the box is the
    square without it. (With an input that is not square, the model widens the region to its aspect.)
    """
    x, y = person.center[0] - _FIRST_PIXEL, person.center[1] + _LOWER * person.scale - _FIRST_PIXEL
    half = _SIDE * person.scale / 2
    return [x - half, y - half, x + half, y + half]


class MpiiPeople(Measure):
    """The people of an MPII file.

    Args:
        people: The annotations.
        folder: Of the pictures.
        head_boxes: The official `gt_valid.mat`; None if the annotations hold the sizes of heads.
        most: Measure on the first so many pictures; None for all.

    Raises:
        ConfigError: Pictures or sizes of heads are missing, or do not belong to these annotations.
    """

    digits: ClassVar[int] = 1

    title = "MPII PCKh, per cent"
    skeleton = MPII_16

    def __init__(
        self, people: Sequence[Person], folder: Path, head_boxes: Path | None = None, *, most: int | None = None
    ) -> None:
        """Choose the pictures."""
        self._people = people
        self._heads = _heads_of(people) if head_boxes is None else heads_from_file(head_boxes, len(people))
        self._found = np.zeros((len(people), len(MPII_16), 2))
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, person in enumerate(people):
            self._rows[person.image].append(row)
        every = [Picture(name, folder / name, self._boxes(rows)) for name, rows in self._rows.items()]
        self.pictures, missing = choose(every, most, folder)
        self.boxes = "ground truth: annotated centre and scale"
        self.counts = Counter(images=len(self.pictures), images_missing=missing, people=len(self._chosen()))

    def add(self, picture: Picture, poses: Instances) -> None:
        """Take the poses of the people of one picture."""
        self.check_joints(poses.skeleton)
        assert poses.keypoints is not None
        self._found[self._rows[str(picture.key)]] = poses.keypoints

    def metrics(self) -> Metrics:
        """Count the joints that are in place; see `pckh`."""
        rows = self._chosen()
        heads = self._heads
        return pckh(self._found[rows] + _FIRST_PIXEL, heads.joints[rows], heads.visible[rows], heads.diagonal[rows])

    def results(self) -> list[dict[str, Any]]:
        """Give the joints found, in the order of the annotations; pixels count from 1, as there."""
        rows = self._chosen()
        joints = (self._found[rows] + _FIRST_PIXEL).tolist()
        return [{"image": self._people[row].image, "joints": found} for row, found in zip(rows, joints, strict=True)]

    def _chosen(self) -> list[int]:
        """Give the rows of the people in the chosen pictures, in the order of the annotations."""
        return sorted(row for picture in self.pictures for row in self._rows[str(picture.key)])

    def _boxes(self, rows: Sequence[int]) -> Instances:
        return Instances.of([box_of(self._people[row]) for row in rows], np.ones(len(rows)))


def _heads_of(people: Sequence[Person]) -> Heads:
    """Take heads and joints from the annotations themselves."""
    diagonal = [_diagonal(person) for person in people]
    if missing := sum(size is None for size in diagonal):
        msg = (
            f"PCKh is relative to the size of heads, and {missing} of {len(people)} people have none: give the official"
            " gt_valid.mat with --head-boxes, or annotations with 'head_size' or 'headboxes'"
        )
        raise ConfigError(msg)
    joints = np.array([person.joints for person in people])
    visible = np.array([person.joints_vis for person in people]) > 0
    return Heads(joints, visible, np.array(diagonal, np.float64))


def _diagonal(person: Person) -> float | None:
    if person.head_size is not None or person.headboxes is None:
        return person.head_size
    length = float(np.linalg.norm(np.subtract(*person.headboxes)))
    return length or None
