"""People with annotated joints, as one table that nothing changes."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from pipeline import plugin
from pipeline.errors import ConfigError
from pipeline.skeletons import Skeleton
from stages.evaluation.reading import read_json
from training.annotations import Columns, coco_columns, mpii_columns
from training.folders import SPLITS, coco_files

__all__ = ["DataOptions", "People", "PeopleFiles", "ValidationFiles", "read_people"]


class PeopleFiles(plugin.Options):
    """Where annotated people are."""

    annotations: Path
    """A file in COCO's format, with any joints; or MPII's `train.json`, `valid.json` of the official repository."""
    images: Path
    """Folder of the pictures."""


class ValidationFiles(PeopleFiles):
    """Where the people are that the network is measured on."""

    detections: Path | None = None
    """COCO results of a detector, whose boxes are looked into; None: the annotated boxes."""
    head_boxes: Path | None = None
    """For MPII: the official `gt_valid.mat`."""


class DataOptions(plugin.Options):
    """What is learned from, and what it is measured on."""

    coco: Path | None = None
    """Folder of COCO: `train2017` and `val2017`, in either layout; see `kinestream data coco`."""
    train: PeopleFiles | None = None
    """Instead of `coco`, or of its training half."""
    validation: ValidationFiles | None = None
    """Instead of the validation half of `coco`. Without both, nothing is measured."""

    @model_validator(mode="after")
    def _names_a_training_set(self) -> Self:
        if self.coco is None and self.train is None:
            msg = "name what to learn from: coco (a folder), or train (annotations and images)"
            raise ValueError(msg)
        return self

    def train_files(self) -> PeopleFiles:
        """Say where the people to learn from are.

        Raises:
            ConfigError: The COCO folder lacks something.
        """
        if self.train is not None:
            return self.train
        assert self.coco is not None  # see above
        annotations, images = coco_files(self.coco, SPLITS[0])
        return PeopleFiles(annotations=annotations, images=images)

    def validation_files(self) -> ValidationFiles | None:
        """Say where the people to measure on are, if there are any.

        Raises:
            ConfigError: The COCO folder lacks something.
        """
        if self.validation is not None or self.coco is None:
            return self.validation
        annotations, images = coco_files(self.coco, SPLITS[1])
        return ValidationFiles(annotations=annotations, images=images)


@dataclass(frozen=True, eq=False)
class People:
    """Everybody to learn from: n rows, k joints. Arrays are read-only."""

    skeleton: Skeleton
    folder: Path
    """Of the pictures."""
    pictures: NDArray[np.str_]
    """File of each person, relative to the folder, shape (n,)."""
    xyxy: NDArray[np.float32]
    """Boxes that are looked into, pixels, shape (n, 4); before the padding."""
    joints: NDArray[np.float32]
    """(x, y), pixels from the centre of the first one, shape (n, k, 2); (0, 0) where not labelled."""
    labelled: NDArray[np.bool_]
    """Which joints are annotated, hidden ones too, shape (n, k)."""
    left_out: Mapping[str, int]
    """Why annotations were left out -> how many."""

    def __post_init__(self) -> None:
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    def __len__(self) -> int:
        """Count the people."""
        return len(self.pictures)

    @property
    def images(self) -> int:
        """How many different pictures they are in."""
        return len(np.unique(self.pictures))

    def path(self, row: int) -> Path:
        """Say where the picture of a person is."""
        return self.folder / str(self.pictures[row])

    def check_joints(self, joints: int, whose: str) -> None:
        """See that something is for the same number of joints.

        Args:
            joints: Its number.
            whose: What it is, for the message: `checkpoint 'last.pth'`.

        Raises:
            ConfigError: With both numbers.
        """
        if joints != len(self.skeleton):
            msg = (
                f"{whose} is for {joints} joints, the annotations have {len(self.skeleton)} ({self.skeleton.name}):"
                " give annotations of the same joints, or set network.new_head=true to begin its last layer anew"
            )
            raise ConfigError(msg)


def read_people(files: PeopleFiles) -> People:
    """Read annotations; what they are tells their form.

    Left out, and counted, are crowds, people without a labelled joint, and boxes without area or outside their picture.

    Raises:
        ConfigError: A file is missing, damaged or of an unknown form; nobody in it has joints; or none of the pictures
            is in the folder.
    """
    tree = read_json(files.annotations, "annotations")
    match tree:
        case {"images": _, "annotations": _, "categories": _}:
            columns = coco_columns(tree, files.annotations)
        case [{"joints": _, "center": _}, *_]:
            columns = mpii_columns(tree, files.annotations)
        case _:
            msg = (
                f"'{files.annotations}' holds no annotated people: expected a COCO file (images, annotations,"
                " categories) or a list in MPII's form (joints, joints_vis, image, scale, center)"
            )
            raise ConfigError(msg)
    if not len(columns.pictures):
        reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in columns.left_out.items())
        msg = f"'{files.annotations}' has nobody to learn from ({reasons or 'no annotations'}): give one with joints"
        raise ConfigError(msg)
    _see_that_pictures_are_there(columns, files.images)
    return People(folder=files.images, **columns._asdict())


def _see_that_pictures_are_there(columns: Columns, folder: Path) -> None:
    """Complain about a wrong folder now; single pictures that are missing are found out when they are read."""
    if not any((folder / name).is_file() for name in dict.fromkeys(columns.pictures.tolist())):
        what = "has none of the pictures" if folder.is_dir() else "does not exist"
        msg = f"the folder of pictures '{folder}' {what}; expected files such as '{columns.pictures[0]}' in it"
        raise ConfigError(msg)
