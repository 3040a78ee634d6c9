"""The folder of COCO: where things are in it, in the two layouts that are common, and where they come from."""

from pathlib import Path
from typing import Final, NamedTuple

from pipeline.errors import ConfigError

__all__ = ["SPLITS", "Download", "annotations_of", "coco_files", "downloads", "pictures_of"]

SPLITS: Final = ("train2017", "val2017")
"""To learn from, and to measure on."""

_SITE: Final = "http://images.cocodataset.org"


class Download(NamedTuple):
    """An archive to unpack in a COCO folder."""

    url: str
    size: str
    """For people to read."""
    into: str
    """Folder to unpack it in, relative to the root."""


def annotations_of(root: Path, split: str) -> Path:
    """Say where the annotations of a half of COCO belong."""
    return root / "annotations" / f"person_keypoints_{split}.json"


def pictures_of(root: Path, split: str) -> Path | None:
    """Find the pictures of a half of COCO: in `ROOT/train2017`, or in `ROOT/images/train2017`."""
    places = (root / split, root / "images" / split)
    return next((place for place in places if place.is_dir()), None)


def downloads(root: Path, split: str) -> list[Download]:
    """Say what to download for a half of COCO: what is not there at all."""
    wanted = []
    if not annotations_of(root, split).is_file():
        wanted.append(Download(f"{_SITE}/annotations/annotations_trainval2017.zip", "241 MB", "."))
    if pictures_of(root, split) is None:
        size = "18 GB" if split == SPLITS[0] else "1 GB"
        wanted.append(Download(f"{_SITE}/zips/{split}.zip", size, "images" if (root / "images").is_dir() else "."))
    return wanted


def coco_files(root: Path, split: str) -> tuple[Path, Path]:
    """Find annotations and pictures of a half of COCO.

    Raises:
        ConfigError: Something is not there; the message says what to download.
    """
    pictures = pictures_of(root, split)
    if pictures is None or (wanted := downloads(root, split)):
        wanted = downloads(root, split)
        lines = [f"  {archive.url} ({archive.size}), unpacked in {root / archive.into}" for archive in wanted]
        msg = "\n".join([f"'{root}' lacks parts of COCO's {split}. Download:", *lines])
        raise ConfigError(msg)
    return annotations_of(root, split), pictures
