"""What the platform knows about a file: its items."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from stages.dataloop.errors import PlatformError

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform

__all__ = ["Item", "get_item"]


@dataclass(frozen=True, slots=True)
class Item:
    """A video, an image or any other file of a dataset."""

    id: str
    dataset_id: str
    name: str
    filename: str
    """Path within the dataset: `/street/clip.mp4`. Anybody may have chosen it: no path of this machine."""
    mimetype: str
    """`video/mp4`; empty if the platform does not know."""
    size: int
    """Bytes."""
    width: int | None
    height: int | None
    frames_per_second: float | None
    """By which the platform converts seconds into frames. None: not a video, or not processed yet."""
    frame_count: int | None
    """As the platform counted them."""

    @property
    def is_video(self) -> bool:
        """Whether its annotations have frames."""
        return self.mimetype.startswith("video/")

    @property
    def is_image(self) -> bool:
        """Whether it is one picture."""
        return self.mimetype.startswith("image/")

    @property
    def refusal(self) -> str:
        """Why nobody can be seen in it; empty for a video or a picture."""
        if self.is_video or self.is_image:
            return ""
        return f"{self.mimetype or 'a file of unknown type'} is neither a video nor a picture"

    def __str__(self) -> str:
        """Name it to people."""
        return f"{self.filename} ({self.id})"

    @classmethod
    def from_json(cls, json: Any) -> Self:  # noqa: ANN401 - whatever came
        """Read an item as the platform gives it.

        Raises:
            PlatformError: Something is missing without which the item cannot be used.
        """
        json = json if isinstance(json, Mapping) else {}
        metadata = _mapping(json, "metadata")
        system = _mapping(metadata, "system")
        size = _number(system, "size")
        missing = [key for key in ("id", "datasetId", "filename") if not isinstance(json.get(key), str)]
        if size is None or size < 0:
            missing.append("metadata.system.size")
        if missing or size is None:
            who = json.get("filename") or json.get("id") or "an item"
            msg = f"the platform describes {who} without {', '.join(missing)}; it may still be processing the item"
            raise PlatformError(msg)
        return cls(
            id=json["id"],
            dataset_id=json["datasetId"],
            name=str(json.get("name") or json["filename"].rpartition("/")[2]),
            filename=json["filename"],
            mimetype=str(system.get("mimetype") or ""),
            size=int(size),
            width=_count(system, "width"),
            height=_count(system, "height"),
            frames_per_second=_positive(metadata, "fps"),
            frame_count=_count(_mapping(system, "ffmpeg"), "nb_read_frames"),
        )


def get_item(platform: "Platform", item_id: str) -> Item:
    """Ask for one item.

    Raises:
        PlatformError: There is none, or it cannot be had.
    """
    return Item.from_json(platform.get(f"/items/{quote(item_id, safe='')}"))


def _mapping(tree: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = tree.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(tree: Mapping[str, Any], key: str) -> float | None:
    """Read a number that may come as text, as ffprobe writes it; nothing where it is neither, or not finite."""
    try:
        number = float(tree[key])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _positive(tree: Mapping[str, Any], key: str) -> float | None:
    number = _number(tree, key)
    return number if number is not None and number > 0 else None


def _count(tree: Mapping[str, Any], key: str) -> int | None:
    number = _positive(tree, key)
    return None if number is None else int(number)
