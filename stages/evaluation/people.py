"""COCO files: who is in which picture, with which joints; and where a detector saw them.

The formats are those of cocodataset.org/#format-data and #format-results.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.evaluation.categories import VALUES_A_JOINT, Category, category_with_joints, skeleton_in
from stages.evaluation.reading import Box, checked, read_json

__all__ = ["Detections", "Image", "Person", "Truth", "clipped_boxes", "read_detections", "truth_boxes", "truth_of"]


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
    skeleton: Skeleton
    """The joints that are annotated."""
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
        ConfigError: It is damaged, holds no person with joints, or people of other joints than its category names.
    """
    file = checked(TypeAdapter(_File), tree, path)
    category = category_with_joints(file.categories, path)
    own = [(place, person) for place, person in enumerate(file.annotations) if person.category_id == category.id]
    skeleton = skeleton_in(category, (person.keypoints for _, person in own), path)
    people: dict[int, list[Person]] = defaultdict(list)
    for place, person in own:
        people[person.image_id].append(_with_joints(person, len(skeleton), f"'{path}', annotations.{place}"))
    if not any(person.num_keypoints for row in people.values() for person in row):
        msg = f"'{path}' has no person with joints: give the file of person keypoints (person_keypoints_val2017.json)"
        raise ConfigError(msg)
    _check_ids(file.images, people, path)
    return Truth(category, skeleton, file.images, people)


def _check_ids(images: Sequence[Image], people: Mapping[int, object], path: Path) -> None:
    known = {image.id for image in images}
    if len(known) != len(images):
        msg = f"'{path}' gives {len(images)} images only {len(known)} different ids: every image needs its own"
        raise ConfigError(msg)
    if strangers := sorted(people.keys() - known):
        msg = f"'{path}' has people in {len(strangers)} images that it does not list, such as {strangers[:3]}"
        raise ConfigError(msg)


def _with_joints(person: Person, count: int, where: str) -> Person:
    """Fill in what may be left out: joints of a crowd, and how many are labelled."""
    joints = person.keypoints or [0.0] * count * VALUES_A_JOINT
    if len(joints) != count * VALUES_A_JOINT:
        msg = (
            f"{where}: got {len(joints) / VALUES_A_JOINT:g} joints, expected the {count} of its category, of"
            f" {VALUES_A_JOINT} numbers each"
        )
        raise ConfigError(msg)
    labelled = sum(flag > 0 for flag in joints[2::VALUES_A_JOINT])
    found = labelled if person.num_keypoints is None else person.num_keypoints
    return person.model_copy(update={"keypoints": joints, "num_keypoints": found})


def truth_boxes(people: Sequence[Person], image: Image) -> Instances:
    """Give the boxes of the annotated people, as the official evaluation cuts them to the picture; scores are 1.

    Nobody looks at crowds, at people without joints, at outlines without area, or outside the picture.
    """
    kept = [person for person in people if not person.iscrowd and person.area > 0 and max(person.keypoints) > 0]
    boxes = clipped_boxes([person.bbox for person in kept], [(image.width, image.height)] * len(kept))
    inside = boxes[(boxes[:, :2] <= boxes[:, 2:]).all(axis=1)]
    return Instances.of(inside, np.ones(len(inside)))


def clipped_boxes(xywh: ArrayLike, sizes: ArrayLike) -> NDArray[np.float64]:
    """Cut annotated boxes to their pictures, as the official code does (lib/dataset/coco.py of HRNet).

    A box from x1, w wide, ends at min(width - 1, x1 + max(0, w - 1)): the last pixel that belongs to it, unlike a
    detector's box. One that begins left of the picture is moved, not cut: it keeps its width.

    Args:
        xywh: (x, y, width, height), pixels, shape (n, 4).
        sizes: (width, height) of the picture of each, shape (n, 2).

    Returns:
        (x1, y1, x2, y2), shape (n, 4). A box beyond its picture ends before it begins.
    """
    boxes, last = np.asarray(xywh, np.float64).reshape(-1, 4), np.asarray(sizes, np.float64).reshape(-1, 2) - 1
    low = np.maximum(boxes[:, :2], 0)
    return np.concatenate([low, np.minimum(last, low + np.maximum(boxes[:, 2:] - 1, 0))], axis=1)


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
