"""The forms in which people are annotated: COCO's (cocodataset.org/#format-data), with any joints, and MPII's."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16, Skeleton
from stages.evaluation.categories import VALUES_A_JOINT, Category, category_with_joints, skeleton_in
from stages.evaluation.mpii import box_of, people_of
from stages.evaluation.people import Image, clipped_boxes
from stages.evaluation.reading import Box, checked

__all__ = ["Columns", "coco_columns", "mpii_columns"]


class Columns(NamedTuple):
    """What a file says of n people with k joints; see `People`."""

    skeleton: Skeleton
    pictures: NDArray[np.str_]
    xyxy: NDArray[np.float32]
    joints: NDArray[np.float32]
    labelled: NDArray[np.bool_]
    left_out: Mapping[str, int]


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
    categories: list[Category]


def coco_columns(tree: object, path: Path) -> Columns:
    """Take the people out of a COCO file; joints, bones and mirror pairs are what its category says.

    Args:
        tree: What the file holds.
        path: Where it lies, for messages.

    Raises:
        ConfigError: It is damaged, has no category with joints or several, or people of other joints than it names.
    """
    file = checked(TypeAdapter(_File), tree, path)
    category = category_with_joints(file.categories, path)
    images = {image.id: image for image in file.images}
    left_out: Counter[str] = Counter()
    kept: list[_Annotation] = []
    own = (row.keypoints for row in file.annotations if row.category_id == category.id)
    skeleton = skeleton_in(category, own, path)
    for place, annotation in enumerate(file.annotations):
        if annotation.category_id != category.id:
            continue
        _check(annotation, place, images, skeleton, path)
        if reason := _reason_against(annotation, images[annotation.image_id]):
            left_out[reason] += 1
        else:
            kept.append(annotation)
    joints = np.array([row.keypoints for row in kept], np.float32).reshape(len(kept), len(skeleton), VALUES_A_JOINT)
    labelled = joints[..., 2] > 0
    seen = [images[row.image_id] for row in kept]
    boxes = clipped_boxes([row.bbox or () for row in kept], [(image.width, image.height) for image in seen])
    return Columns(
        skeleton,
        np.array([image.file_name for image in seen], np.str_),
        boxes.astype(np.float32),
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


def _check(annotation: _Annotation, place: int, images: Mapping[int, Image], skeleton: Skeleton, path: Path) -> None:
    if annotation.image_id not in images:
        msg = f"'{path}', annotations.{place}: image {annotation.image_id} is not among the images of the file"
        raise ConfigError(msg)
    if annotation.keypoints and len(annotation.keypoints) != len(skeleton) * VALUES_A_JOINT:
        msg = (
            f"'{path}', annotations.{place}: got {len(annotation.keypoints) / VALUES_A_JOINT:g} joints, expected"
            f" {len(skeleton)}, as its category has, of {VALUES_A_JOINT} numbers each"
        )
        raise ConfigError(msg)


def _reason_against(annotation: _Annotation, image: Image) -> str:
    if annotation.iscrowd:
        return "crowds"
    if not any(flag > 0 for flag in annotation.keypoints[2::VALUES_A_JOINT]):
        return "without_joints"
    if annotation.bbox is None:
        return "without_a_box"
    x, y, width, height = annotation.bbox
    if width <= 0 or height <= 0 or (annotation.area is not None and annotation.area <= 0):
        return "without_area"
    is_outside = x > image.width - 1 or y > image.height - 1 or x + width <= 0 or y + height <= 0
    return "outside_their_picture" if is_outside else ""
