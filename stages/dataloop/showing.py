"""Draws what is on the platform over frames of an item."""

import tempfile
from collections.abc import Iterator
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import PipelineError, SourceError
from pipeline.registry import resolve, validate_options
from pipeline.skeletons import COCO_17, MPII_16, Skeleton
from stages.dataloop.download import download
from stages.dataloop.items import Item, get_item
from stages.dataloop.pictures import draw_sheet, save_jpeg

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform

__all__ = ["show"]


def show(platform: "Platform", item_id: str, out: Path, pictures: int) -> int:
    """Write a contact sheet of an item as the platform shows it.

    Args:
        platform: Where it is.
        item_id: Which one.
        out: A JPEG file.
        pictures: How many frames of a video, spread over its length.

    Returns:
        How many annotations the item has.

    Raises:
        PipelineError: It cannot be had, read or written.
    """
    item = get_item(platform, item_id)
    if item.refusal:
        msg = f"{item}: {item.refusal}, so there is nothing to draw on"
        raise PipelineError(msg)
    annotations = list(platform.query(item.dataset_id, "annotations", [{"itemId": item.id}]))
    with tempfile.TemporaryDirectory(prefix="kinestream-") as folder:
        path = download(platform, item, Path(folder))
        try:
            sheet = draw_sheet(annotations, _frames(item, path, pictures), _skeleton(annotations), item.filename)
        except SourceError as error:  # nobody knows the path of a download
            raise SourceError(str(error).replace(str(path), item.filename)) from error
        except ValueError as error:
            msg = f"{item} has no frame to draw on"
            raise PipelineError(msg) from error
    save_jpeg(sheet, out)
    return len(annotations)


def _frames(item: Item, path: Path, pictures: int) -> Iterator[tuple[int, Any]]:
    """Read some frames, with their numbers on the platform: time by its frame rate."""
    rate = item.frames_per_second or 0.0 if item.is_video else 0.0
    plugin = resolve("source", "file" if item.is_video else "images")
    options = validate_options(plugin, {"path": str(path)}, "item")
    wanted: set[int] | None = None
    with plugin.expand(options, item.id)[0] as source:
        while (frame := source.read()) is not None:
            if wanted is None:
                wanted = _spread(item.frame_count or frame.stream.expected_frames or 1, pictures)
            number = floor(frame.pts_seconds * rate + 0.5)
            if number in wanted:
                wanted.discard(number)
                yield number, frame.image
            if not wanted:
                return


def _spread(count: int, pictures: int) -> set[int]:
    """Choose frames over the whole length, each in the middle of its share."""
    return {floor((place + 0.5) * count / pictures) for place in range(min(pictures, count))}


def _skeleton(annotations: list[dict[str, Any]]) -> Skeleton:
    labels = {annotation["label"] for annotation in annotations if annotation.get("type") == "point"}
    return MPII_16 if len(labels & set(MPII_16.joints)) > len(labels & set(COCO_17.joints)) else COCO_17
