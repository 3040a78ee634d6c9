"""What a COCO file says of those whose joints are annotated: a name, joints, bones (cocodataset.org/#format-data)."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pydantic import BaseModel, FiniteFloat

from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton, skeleton_for, skeleton_of

__all__ = ["VALUES_A_JOINT", "Category", "category_with_joints", "skeleton_in"]

VALUES_A_JOINT: Final = 3
"""x, y, and whether the joint is not labelled (0), hidden (1) or visible (2)."""
_PERSON: Final = "person"


class Category(BaseModel):
    """A kind of object."""

    id: int
    name: str
    keypoints: list[str] = []
    """Names of its joints."""
    skeleton: list[tuple[int, int]] = []
    """Bones; joints count from 1."""
    sigmas: list[FiniteFloat] | None = None
    """Spread of each joint. COCO itself does not state it; None: see `skeleton_of`."""


def category_with_joints(categories: Sequence[Category], path: Path) -> Category:
    """Find the category that names joints; `person`, where none does or several do.

    Raises:
        ConfigError: There is none.
    """
    found = [category for category in categories if category.keypoints]
    if len(found) != 1:
        found = [category for category in found or categories if category.name == _PERSON]
    if len(found) != 1:
        names = ", ".join(category.name for category in categories[:5]) or "none"
        msg = (
            f"'{path}' must have one category with keypoints, got {len(found)} among its categories: {names}; where"
            f" none has them or several have, one must be called '{_PERSON}'"
        )
        raise ConfigError(msg)
    return found[0]


def skeleton_in(category: Category, keypoints: Iterable[Sequence[float]], path: Path) -> Skeleton:
    """Say which joints a category has.

    Args:
        category: See `category_with_joints`.
        keypoints: Of its annotations, flat. Where the category does not name joints, the first that are there tell how
            many there are.
        path: The file, for messages.

    Raises:
        ConfigError: Names, bones and sigmas do not fit together.
    """
    if not category.keypoints:
        return skeleton_for(max(len(next(filter(None, keypoints), ())) // VALUES_A_JOINT, 1))
    count = len(category.keypoints)
    if any(not 1 <= end <= count for bone in category.skeleton for end in bone):
        msg = f"'{path}': bones of '{category.name}' must join joints 1 to {count}, got {category.skeleton}"
        raise ConfigError(msg)
    try:
        bones = [(start - 1, end - 1) for start, end in category.skeleton]
        return skeleton_of(category.keypoints, bones, category.sigmas)
    except ValueError as error:
        msg = f"'{path}', category '{category.name}': {error}"
        raise ConfigError(msg) from error
