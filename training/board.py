"""What TensorBoard shows of a training: scalars, and crops with the joints that were found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from torch import Tensor

from pipeline.errors import MissingPackage
from pipeline.skeletons import Skeleton
from pipeline.types import Instances
from stages.drawing import overlay
from stages.drawing.contact_sheet import Thumbnail, compose
from stages.drawing.paint import Image
from training.learner import Step
from training.loading import Batch
from training.place import Place
from training.targets import TargetOptions
from training.witness import History, Witness

__all__ = ["Board", "draw_found"]

_SHOWN: Final = 6
_LARGER: Final = 2
_STYLE: Final = overlay.Style(boxes=False, labels=False, min_joint_score=0.2)


class Board(Witness):
    """Writes what TensorBoard reads; close it.

    Args:
        folder: Where.
        steps: How many were taken: what was shown of later ones is hidden.

    Raises:
        MissingPackage: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, steps: int = 0) -> None:
        """Open the files."""
        try:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional
        except ModuleNotFoundError as error:
            msg = "tensorboard=true needs the package 'tensorboard': pip install 'kinestream[train]'"
            raise MissingPackage(msg) from error
        self._writer: Any = SummaryWriter(str(folder), purge_step=steps + 1)
        self._last = steps

    def step(self, place: Place, step: Step, rate: float) -> None:
        """Show a step."""
        self._last = place.step + 1
        for name, value in (("loss", step.loss), ("found_joints", step.accuracy), ("lr", rate)):
            self._writer.add_scalar(f"step/{name}", value, self._last)

    def epoch(self, history: History) -> None:
        """Show the last epoch."""
        for name, value in history[-1].items():
            if isinstance(value, int | float):
                self._writer.add_scalar(f"epoch/{name}", value, self._last)

    def kept(self, history: History, draw: Callable[[], Image | None]) -> None:  # noqa: ARG002
        """Show some crops."""
        if (sheet := draw()) is not None:
            self._writer.add_image("found", sheet[..., ::-1].copy(), self._last, dataformats="HWC")

    def close(self) -> None:
        """Close the files."""
        self._writer.close()


def draw_found(batch: Batch, heatmaps: Tensor, skeleton: Skeleton, target: TargetOptions) -> Image:
    """Draw a few crops: above as annotated, below as the network finds the joints.

    Args:
        batch: What it saw.
        heatmaps: What it gave, shape (n, k, h, w).
        skeleton: The joints.
        target: How maps lie in crops.
    """
    shown = min(_SHOWN, len(batch.rows))
    peaks = heatmaps[:shown].flatten(2).max(dim=2)
    width = heatmaps.shape[3]
    found = np.stack([(peaks.indices % width).cpu().numpy(), (peaks.indices // width).cpu().numpy()], axis=2)
    rows = (
        ("annotated", batch.cells[:shown].numpy(), batch.weights[:shown].numpy() > 0),
        ("found", found, peaks.values.float().cpu().numpy()),
    )
    pictures = batch.pictures[:shown].numpy()
    thumbnails = [
        Thumbnail(_drawn(picture, cells * target.cell_px, scores, skeleton), name)
        for name, places, heights in rows
        for picture, cells, scores in zip(pictures, places, heights, strict=True)
    ]
    return compose(thumbnails, shown, f"{skeleton.name}   {target.encoding}", [])


def _drawn(picture: Any, places: Any, scores: Any, skeleton: Skeleton) -> Image:  # noqa: ANN401 - arrays
    large = cv2.resize(picture, None, fx=_LARGER, fy=_LARGER, interpolation=cv2.INTER_NEAREST)
    pose = Instances.of(
        [[0, 0, *large.shape[1::-1]]],
        [1],
        keypoints=((places + 0.5) * _LARGER - 0.5)[None],
        keypoint_score=scores[None],
        skeleton=skeleton,
    )
    return overlay.draw(np.asarray(large, np.uint8), pose, _STYLE)
