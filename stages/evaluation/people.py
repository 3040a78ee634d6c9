"""COCO files: who is in which picture, with which joints; and where a detector saw them.

The formats are those of cocodataset.org/#format-data and #format-results.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.evaluation.reading import Box, checked, read_json

__all__ = ["Category", "Detections", "Image", "Person", "Truth", "read_detections", "truth_boxes", "truth_of"]

_VALUES_A_JOINT: Final = 3
"""x, y, and whether the joint is not labelled (0), hidden (1) or visible (2)."""


class Category(BaseModel):
    """A kind of object."""

    id: int
    name: str
    keypoints: list[str] = []


class Image(BaseModel):
    """A picture of the data set."""

    id: int
    file_name: str
    width: int
    height: int


class Person(BaseModel):
    """One annotation; of the other fields of the file nothing is needed."""

    image_id: int
    category_id: int
    bbox: Box
    area: Annotated[FiniteFloat, Field(ge=0)]
    """Of the outline, px^2: the size that OKS is relative to."""
    iscrowd: int = 0
    keypoints: list[FiniteFloat] = []
    num_keypoints: int | None = None


class _File(BaseModel):
    images: list[Image] = Field(min_length=1)
    annotations: list[Person]
    categories: list[Category]


class _Detection(BaseModel):
    image_id: int
    category_id: int
    bbox: Box
    score: FiniteFloat


@dataclass(frozen=True)
class Truth:
    """The people of a data set, as annotated."""

    category: Category
    """What a person is called in it."""
    images: Sequence[Image]
    people: Mapping[int, Sequence[Person]]
    """Image id -> the people in it, crowds and people without joints too."""


@dataclass(frozen=True)
class Detections:
    """Where a detector saw people."""

    people: Mapping[int, Instances]
    """Image id -> boxes and scores, in the order of the file."""
    left_out: Counter[str]
    """Why detections were left out -> how many."""


def truth_of(tree: object, path: Path) -> Truth:
    """Take the people out of a COCO file.

    Args:
        tree: What the file holds.
        path: Where it lies, for messages.

    Raises:
        ConfigError: It is damaged, holds no person with joints, or joints that are not those of COCO.
    """
    file = checked(TypeAdapter(_File), tree, path)
    category = _person(file.categories, path)
    people: dict[int, list[Person]] = defaultdict(list)
    for place, person in enumerate(file.annotations):
        if person.category_id == category.id:
            people[person.image_id].append(_with_joints(person, place, path))
    if not any(person.num_keypoints for row in people.values() for person in row):
        msg = f"'{path}' has no person with joints: give the file of person keypoints (person_keypoints_val2017.json)"
        raise ConfigError(msg)
    _check_ids(file.images, people, path)
    return Truth(category, file.images, people)


def _check_ids(images: Sequence[Image], people: Mapping[int, object], path: Path) -> None:
    known = {image.id for image in images}
    if len(known) != len(images):
        msg = f"'{path}' gives {len(images)} images only {len(known)} different ids: every image needs its own"
        raise ConfigError(msg)
    if strangers := sorted(people.keys() - known):
        msg = f"'{path}' has people in {len(strangers)} images that it does not list, such as {strangers[:3]}"
        raise ConfigError(msg)


def _person(categories: Sequence[Category], path: Path) -> Category:
    found = [category for category in categories if category.name == "person"]
    if len(found) != 1:
        names = ", ".join(category.name for category in categories[:5]) or "none"
        msg = f"'{path}' must have one category 'person', got {len(found)} among its categories: {names}"
        raise ConfigError(msg)
    return found[0]


def _with_joints(person: Person, place: int, path: Path) -> Person:
    """Fill in what may be left out: joints of a crowd, and their count."""
    joints = person.keypoints or [0.0] * len(COCO_17) * _VALUES_A_JOINT
    if len(joints) != len(COCO_17) * _VALUES_A_JOINT:
        msg = (
            f"'{path}', annotations.{place}: got {len(joints) / _VALUES_A_JOINT:g} joints, expected the"
            f" {len(COCO_17)} of {COCO_17.name}; no other joints can be measured in COCO's form"
        )
        raise ConfigError(msg)
    labelled = sum(flag > 0 for flag in joints[2::_VALUES_A_JOINT])
    count = labelled if person.num_keypoints is None else person.num_keypoints
    return person.model_copy(update={"keypoints": joints, "num_keypoints": count})


def truth_boxes(people: Sequence[Person], image: Image) -> Instances:
    """Give the boxes of the annotated people, as the official evaluation cuts them to the picture; scores are 1.

    Nobody looks at crowds, at people without joints, or at outlines without area. A box from x1, w wide, ends at
    min(width - 1, x1 + max(0, w - 1)): the last pixel that belongs to it, unlike a detector's box.
    """
    kept = [person for person in people if not person.iscrowd and person.area > 0 and max(person.keypoints) > 0]
    x, y, width, height = np.array([person.bbox for person in kept], np.float64).reshape(-1, 4).T
    x1, y1 = np.maximum(x, 0), np.maximum(y, 0)
    x2 = np.minimum(image.width - 1, x1 + np.maximum(width - 1, 0))
    y2 = np.minimum(image.height - 1, y1 + np.maximum(height - 1, 0))
    boxes = np.stack([x1, y1, x2, y2], axis=1)[(x2 >= x1) & (y2 >= y1)]
    return Instances.of(boxes, np.ones(len(boxes)))


def read_detections(path: Path, truth: Truth, min_score: float = 0.0) -> Detections:
    """Read a detector's results: a list of {image_id, category_id, bbox, score}.

    Args:
        path: The file.
        truth: The data set that they are for.
        min_score: Leave out what scores less. The published evaluation keeps everything.

    Raises:
        ConfigError: It is damaged; or a box has NaN, or a negative side.
    """
    rows = checked(TypeAdapter(list[_Detection]), read_json(path, "detections"), path)
    known = {image.id for image in truth.images}
    left_out: Counter[str] = Counter()
    by_image: dict[int, list[_Detection]] = defaultdict(list)
    for row in rows:
        if reason := _reason_against(row, truth.category.id, known, min_score):
            left_out[reason] += 1
        else:
            by_image[row.image_id].append(row)
    return Detections({image_id: _table(found) for image_id, found in by_image.items()}, left_out)


def _reason_against(row: _Detection, person: int, known: set[int], min_score: float) -> str:
    if row.category_id != person:
        return "detections_of_other_categories"
    if row.image_id not in known:
        return "detections_of_unknown_images"
    return "detections_below_min_score" if row.score < min_score else ""


def _table(rows: Sequence[_Detection]) -> Instances:
    boxes = np.array([row.bbox for row in rows], np.float64)
    boxes[:, 2:] += boxes[:, :2]
    return Instances.of(boxes, [row.score for row in rows])
