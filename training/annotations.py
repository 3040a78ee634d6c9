"""The forms in which people are annotated: COCO's (cocodataset.org/#format-data), with any joints, and MPII's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16, Skeleton, skeleton_for
from stages.evaluation.mpii import box_of, people_of
from stages.evaluation.people import Image
from stages.evaluation.reading import Box, checked
from training.skeletons import skeleton_of

__all__ = ["Columns", "coco_columns", "mpii_columns"]

_VALUES: Final = 3
"""Of a joint: x, y, and whether it is not labelled (0), hidden (1) or visible (2)."""


class Columns(NamedTuple):
    """What a file says of n people with k joints; see `People`."""

    skeleton: Skeleton
    pictures: NDArray[np.str_]
    xyxy: NDArray[np.float32]
    joints: NDArray[np.float32]
    labelled: NDArray[np.bool_]
    left_out: Mapping[str, int]


class _Category(BaseModel):
    id: int
    name: str
    keypoints: list[str] = []
    skeleton: list[tuple[int, int]] = []
    """Bones; joints count from 1."""


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    bbox: Box | None = None
    area: FiniteFloat | None = None
    iscrowd: int = 0
    keypoints: list[FiniteFloat] = []


class _File(BaseModel):
    images: list[Image] = Field(min_length=1)
    annotations: list[_Annotation]
    categories: list[_Category]


def coco_columns(tree: object, path: Path) -> Columns:
    """Take the people out of a COCO file; joints, bones and mirror pairs are what its category says.

    Args:
        tree: What the file holds.
        path: Where it lies, for messages.

    Raises:
        ConfigError: It is damaged, has no category with joints or several, or people of other joints than it names.
    """
    file = checked(TypeAdapter(_File), tree, path)
    category = _with_joints(file.categories, path)
    images = {image.id: image for image in file.images}
    left_out: Counter[str] = Counter()
    kept: list[_Annotation] = []
    skeleton = _skeleton(category, file.annotations, path)
    for place, annotation in enumerate(file.annotations):
        if annotation.category_id != category.id:
            continue
        _check(annotation, place, images, skeleton, path)
        if reason := _reason_against(annotation, images[annotation.image_id]):
            left_out[reason] += 1
        else:
            kept.append(annotation)
    joints = np.array([row.keypoints for row in kept], np.float32).reshape(len(kept), len(skeleton), _VALUES)
    labelled = joints[..., 2] > 0
    seen = [images[row.image_id] for row in kept]
    return Columns(
        skeleton,
        np.array([image.file_name for image in seen], np.str_),
        _inside([row.bbox for row in kept], seen),
        np.where(labelled[..., None], joints[..., :2], np.float32(0)),
        labelled,
        dict(left_out),
    )


def mpii_columns(tree: object, path: Path) -> Columns:
    """Take the people out of an MPII file, in the form of the official HRNet repository; its pixels count from 1.

    Raises:
        ConfigError: It is damaged, or has other joints.
    """
    everybody = people_of(tree, path)
    kept = [person for person in everybody if any(flag > 0 for flag in person.joints_vis)]
    labelled = np.array([person.joints_vis for person in kept], np.float32).reshape(-1, len(MPII_16)) > 0
    joints = np.array([person.joints for person in kept], np.float32).reshape(-1, len(MPII_16), 2) - 1
    return Columns(
        MPII_16,
        np.array([person.image for person in kept], np.str_),
        np.array([box_of(person) for person in kept], np.float32).reshape(-1, 4),
        np.where(labelled[..., None], joints, np.float32(0)),
        labelled,
        dict(Counter({"without_joints": len(everybody) - len(kept)}) if len(kept) < len(everybody) else {}),
    )


def _with_joints(categories: Sequence[_Category], path: Path) -> _Category:
    """Find the category that has joints; one that is called `person` where none names them."""
    found = [category for category in categories if category.keypoints]
    found = found or [category for category in categories if category.name == "person"]
    if len(found) != 1:
        names = ", ".join(category.name for category in categories[:5]) or "none"
        msg = f"'{path}' must have one category with keypoints, got {len(found)} among its categories: {names}"
        raise ConfigError(msg)
    return found[0]


def _skeleton(category: _Category, annotations: Sequence[_Annotation], path: Path) -> Skeleton:
    """Say which joints there are; where the file does not name them, by their number."""
    if category.keypoints:
        count = len(category.keypoints)
        if any(not 1 <= end <= count for bone in category.skeleton for end in bone):
            msg = f"'{path}': bones of '{category.name}' must join joints 1 to {count}, got {category.skeleton}"
            raise ConfigError(msg)
        return skeleton_of(category.keypoints, [(start - 1, end - 1) for start, end in category.skeleton])
    own = (row.keypoints for row in annotations if row.category_id == category.id and row.keypoints)
    return skeleton_for(max(len(next(own, ())) // _VALUES, 1))


def _check(annotation: _Annotation, place: int, images: Mapping[int, Image], skeleton: Skeleton, path: Path) -> None:
    if annotation.image_id not in images:
        msg = f"'{path}', annotations.{place}: image {annotation.image_id} is not among the images of the file"
        raise ConfigError(msg)
    if annotation.keypoints and len(annotation.keypoints) != len(skeleton) * _VALUES:
        msg = (
            f"'{path}', annotations.{place}: got {len(annotation.keypoints) / _VALUES:g} joints, expected"
            f" {len(skeleton)}, as its category has, of {_VALUES} numbers each"
        )
        raise ConfigError(msg)


def _reason_against(annotation: _Annotation, image: Image) -> str:
    if annotation.iscrowd:
        return "crowds"
    if not any(flag > 0 for flag in annotation.keypoints[2::_VALUES]):
        return "without_joints"
    if annotation.bbox is None:
        return "without_a_box"
    x, y, width, height = annotation.bbox
    if width <= 0 or height <= 0 or (annotation.area is not None and annotation.area <= 0):
        return "without_area"
    is_outside = x >= image.width or y >= image.height or x + width <= 0 or y + height <= 0
    return "outside_their_picture" if is_outside else ""


def _inside(boxes: Sequence[Any], images: Sequence[Image]) -> NDArray[np.float32]:
    """Cut boxes (x, y, width, height) to their pictures, as the official code does: (x1, y1, x2, y2), shape (n, 4).

    A box from x1, w wide, ends at min(width - 1, x1 + w - 1): the last pixel that belongs to it.
    """
    xywh = np.array(boxes, np.float64).reshape(-1, 4)
    last = np.array([(image.width, image.height) for image in images], np.float64).reshape(-1, 2) - 1
    low = np.minimum(np.maximum(xywh[:, :2], 0), last)
    high = np.clip(low + np.maximum(xywh[:, 2:] - 1, 0), low, last)
    return np.concatenate([low, high], axis=1).astype(np.float32)
