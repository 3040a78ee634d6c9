"""Pictures of what the platform shows: a contact sheet for people who want to see it without opening a browser."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from zlib import crc32

import cv2
import numpy as np

from pipeline.errors import PipelineError
from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.dataloop.timeline.playback import Annotation, Person, play
from stages.drawing.canvas import Canvas
from stages.drawing.contact_sheet import Thumbnail, compose
from stages.drawing.overlay import Style, draw
from stages.drawing.paint import Image

__all__ = ["draw_sheet", "people_of", "save_jpeg"]

_QUALITY: Final = 90


def draw_sheet(
    annotations: Sequence[Annotation],
    pictures: Iterable[tuple[int, Image]],
    skeleton: Skeleton,
    title: str,
    *,
    columns: int = 3,
    width: int = 640,
) -> Image:
    """Draw what is shown of annotations over frames of their item.

    Args:
        annotations: Of one item, in any order.
        pictures: Number of a frame on the platform, and the frame: shape (H, W, 3), uint8, BGR. At least one; they are
            drawn as they come, so they need not fit into memory together.
        skeleton: How points are joined; a point whose label is no joint of it is not drawn.
        title: The line above the pictures.
        columns: How many stand side by side, at most.
        width: Of a picture, in pixels, at most.

    Returns:
        The sheet, shape (H, W, 3), uint8, BGR.

    Raises:
        ValueError: There is no picture.
    """
    canvas: Canvas | None = None
    thumbnails: list[Thumbnail] = []
    identities: set[int] = set()
    for frame, image in pictures:
        canvas = canvas or Canvas(image.shape[1], image.shape[0], width)
        shown = play(annotations, frame)
        identities.update(map(_number, shown))
        thumbnails.append(Thumbnail(_drawn(image, shown, skeleton, canvas), f"frame {frame}   {len(shown)} people"))
    if not thumbnails:
        msg = "a sheet needs at least one picture, got none"
        raise ValueError(msg)
    return compose(thumbnails, columns, title, sorted(identities))


def people_of(shown: Mapping[str, Person], skeleton: Skeleton) -> Instances:
    """Make a table of what is shown: joints that are hidden have the score 0.

    Where somebody has no box, it is that of the joints.
    """
    joints = np.zeros((len(shown), len(skeleton), 3))
    boxes = np.zeros((len(shown), 4))
    for row, person in enumerate(shown.values()):
        for index, joint in enumerate(skeleton.joints):
            joints[row, index] = (*person["joints"][joint], 1.0) if joint in person["joints"] else 0.0
        seen = joints[row, joints[row, :, 2] > 0, :2]
        if person["box"] is not None:
            boxes[row] = person["box"]
        elif len(seen):
            boxes[row] = *seen.min(axis=0), *seen.max(axis=0)
    table = Instances.of(
        boxes, np.ones(len(shown)), keypoints=joints[..., :2], keypoint_score=joints[..., 2], skeleton=skeleton
    )
    return table.with_columns(track_id=np.array([_number(object_id) for object_id in shown], np.int64))


def save_jpeg(sheet: Image, path: Path) -> None:
    """Write a picture.

    Raises:
        PipelineError: The file cannot be written.
    """
    coded = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    try:
        path.write_bytes(coded)
    except OSError as error:
        msg = f"cannot write the picture '{path}': {error}"
        raise PipelineError(msg) from error


def _drawn(image: Image, shown: Mapping[str, Person], skeleton: Skeleton, canvas: Canvas) -> Image:
    small, people = canvas.fit(image, people_of(shown, skeleton))
    assert people is not None
    boxed = np.array([person["box"] is not None for person in shown.values()], np.bool_)
    for with_boxes in (False, True):
        style = Style(boxes=with_boxes, scores=False)
        small = draw(small, people[boxed == with_boxes], style)
    return small


def _number(object_id: str) -> int:
    """Give the number that is written and chooses the colour; other clients may have used any text."""
    return int(object_id) if object_id.isdecimal() and len(object_id) < 19 else crc32(object_id.encode())
