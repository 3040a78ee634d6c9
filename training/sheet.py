"""A batch as a picture: what the network sees, and the joints that it is to find there."""

from pathlib import Path
from typing import Final

import cv2
import numpy as np

from pipeline.errors import SinkError, SourceError
from pipeline.types import Instances
from stages.drawing.contact_sheet import Thumbnail, compose
from stages.drawing.overlay import Style, draw
from stages.drawing.paint import Image
from stages.rows import writable_text
from training.order import Order
from training.samples import NOBODY, Sample, Samples

__all__ = ["draw_sheet", "write_sheet"]

_COLUMNS: Final = 6
_LARGER: Final = 2
"""Lines are thin, and crops are small."""


def draw_sheet(samples: Samples, count: int) -> Image:
    """Draw the first samples of the first epoch: limbs on the left side of the body blue, on the right orange.

    Args:
        samples: As they are trained on.
        count: How many, at least one.

    Returns:
        Shape (H, W, 3), uint8, BGR.

    Raises:
        SourceError: Pictures cannot be read.
    """
    order = Order(len(samples), count, samples.seed)
    shown = [_thumbnail(samples, samples[draw]) for draw in next(iter(order))]
    people = samples.people
    title = f"{len(people)} people   {people.skeleton.name}   {samples.target.height}x{samples.target.width}"
    return compose(shown, _COLUMNS, writable_text(f"{title}   {samples.target.encoding}"), [])


def write_sheet(samples: Samples, count: int, path: Path) -> None:
    """Draw a sheet into a PNG file.

    Raises:
        SourceError: Pictures cannot be read.
        SinkError: The file cannot be written.
    """
    coded = cv2.imencode(".png", draw_sheet(samples, count))[1].tobytes()
    try:
        path.write_bytes(coded)
    except OSError as error:
        msg = f"cannot write the sheet '{path}': {error.strerror}; give an existing folder"
        raise SinkError(msg) from error


def _thumbnail(samples: Samples, sample: Sample) -> Thumbnail:
    if sample.row == NOBODY:
        path, reason = sample.broken[-1]
        msg = f"no picture can be read, the last one tried is '{path}': it {reason}"
        raise SourceError(msg)
    large = cv2.resize(sample.picture, None, fx=_LARGER, fy=_LARGER, interpolation=cv2.INTER_NEAREST)
    # The centre of the first pixel is at 0 before and after.
    places = (sample.cells * samples.target.cell_px + 0.5) * _LARGER - 0.5
    pose = Instances.of(
        [[0, 0, *large.shape[1::-1]]],
        [1],
        keypoints=places[None],
        keypoint_score=(sample.weights > 0)[None],
        skeleton=samples.people.skeleton,
    )
    style = Style(boxes=False, labels=False, min_joint_score=0.5)
    return Thumbnail(draw(np.asarray(large, np.uint8), pose, style), writable_text(_caption(samples, sample)))


def _caption(samples: Samples, sample: Sample) -> str:
    words = [Path(str(samples.people.pictures[sample.row])).stem]
    if sample.view.is_mirrored:
        words.append("mirrored")
    if sample.view.degrees:
        words.append(f"{sample.view.degrees:+.0f} degrees")
    return "  ".join(words)
