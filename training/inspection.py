"""Looks through a folder of COCO: what is there, what is missing, what is broken."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, TypeAdapter

from pipeline.errors import ConfigError, SourceError
from stages.evaluation.people import Image
from stages.evaluation.reading import checked, read_json
from training.annotations import coco_columns
from training.folders import Download, annotations_of, downloads, pictures_of
from training.pixels import read_picture

__all__ = ["Fault", "Half", "look_through"]

Watch = Callable[[str, int], None]

_SLICE: Final = 256
"""So many pictures are under way at once."""


class Fault(BaseModel):
    """A picture that cannot be used."""

    file: str
    reason: str


class Half(BaseModel):
    """What is known of a half of COCO."""

    name: str
    annotations: Path | None = None
    """None: the file is not there."""
    annotations_fault: str | None = None
    """Why the file cannot be used."""
    folder: Path | None = None
    """Of the pictures; None: it is not there."""
    pictures: int = 0
    """How many the annotations list."""
    people: int = 0
    """How many there are to learn from."""
    left_out: dict[str, int] = Field(default_factory=dict)
    """Why annotations are left out -> how many."""
    missing: list[str] = Field(default_factory=list)
    """Pictures that are listed, and not there."""
    broken: list[Fault] = Field(default_factory=list)
    """Pictures that cannot be read, or are not of the size that the annotations say."""
    not_listed: int = 0
    """Files beside the pictures that no annotation knows."""
    download: list[Download] = Field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether it can be used as it is."""
        return not (self.download or self.annotations_fault or self.missing or self.broken)


def look_through(root: Path, split: str, watch: Watch, *, read_pictures: bool = True) -> Half:
    """Look through a half of COCO.

    Args:
        root: The folder of COCO.
        split: `train2017` or `val2017`.
        watch: Told of every picture that was read.
        read_pictures: Read each one to its end; otherwise only see that the file is there.
    """
    half = Half(name=split, folder=pictures_of(root, split), download=downloads(root, split))
    if not (path := annotations_of(root, split)).is_file():
        return half
    try:
        tree = read_json(path, "annotations")
        columns = coco_columns(tree, path)
        images = checked(TypeAdapter(list[Image]), tree["images"], path)
    except ConfigError as error:
        return half.model_copy(update={"annotations": path, "annotations_fault": str(error)})
    found = {"annotations": path, "pictures": len(images), "people": len(columns.pictures)}
    half = half.model_copy(update=found | {"left_out": dict(columns.left_out)})
    return half if half.folder is None else _with_pictures(half, half.folder, images, watch, read_pictures)


def _with_pictures(half: Half, folder: Path, images: Sequence[Image], watch: Watch, read_pictures: bool) -> Half:  # noqa: FBT001
    files = {entry.name for entry in os.scandir(folder) if entry.is_file()}
    missing = [image.file_name for image in images if image.file_name not in files]
    there = [image for image in images if image.file_name in files]
    broken = list(_broken(folder, there, watch)) if read_pictures else []
    return half.model_copy(
        update={"missing": missing, "broken": broken, "not_listed": len(files) - len({i.file_name for i in there})}
    )


def _broken(folder: Path, images: Sequence[Image], watch: Watch) -> Iterator[Fault]:
    """Read pictures on threads; OpenCV works outside of Python's lock."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0)), "pictures") as readers:
        for start in range(0, len(images), _SLICE):
            part = images[start : start + _SLICE]
            for image, reason in zip(part, readers.map(lambda image: _fault(folder, image), part), strict=True):
                watch("pictures", 1)
                if reason:
                    yield Fault(file=image.file_name, reason=reason)


def _fault(folder: Path, image: Image) -> str:
    try:
        height, width = read_picture(folder / image.file_name).shape[:2]
    except SourceError as error:
        return str(error)
    if (width, height) != (image.width, image.height):
        return f"is {width} x {height}, and annotated as {image.width} x {image.height}"
    return ""
