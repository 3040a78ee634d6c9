"""A pose model for tests of whole runs: it sees one thing, the square that wanders over the clips of `clips`.

    monkeypatch.setitem(PLUGINS["pose"], "square", "dataloop_square:SquarePose")
    kinestream dataloop annotate ... --pose square

As a program it is the command line with that model. `SQUARE_SIGNAL=2@10` makes it send signal 2 to its own process
when it looks at frame 10: a run that is interrupted always at the same point.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from pipeline import plugin
from pipeline.registry import PLUGINS
from pipeline.skeletons import skeleton_for
from pipeline.types import Frame, Instances
from stages.poses.base import PoseModel

__all__ = ["Options", "SquarePose", "square_in"]

_YELLOW = np.array((40, 200, 240))


class Options(plugin.Options):
    """Options of `square`."""

    joints: int = 17
    """How many it pretends to see: in a row on the diagonal of the square."""
    fails: bool = False
    """Fail on every frame."""


def square_in(image: NDArray[np.uint8]) -> NDArray[np.float64] | None:
    """Give the corners of the square, (x1, y1, x2, y2) in pixels; None where there is none."""
    ys, xs = np.nonzero((np.abs(image.astype(int) - _YELLOW) < 50).all(axis=2))
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], float) if len(xs) > 50 else None


class SquarePose(PoseModel):
    """Takes the square for a person."""

    boxes = "unused"
    max_batch = 4
    looked_at: ClassVar[list[tuple[str, int]]] = []
    """Source and number of every frame that any of them was asked about."""

    def __init__(self, options: Options) -> None:
        """Keep the options."""
        self.options = options
        number, _, frame = os.environ.get("SQUARE_SIGNAL", "0@-1").partition("@")
        self._signal, self._signal_frame = int(number), int(frame)

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Find the square in each frame."""
        assert len(instances) == len(frames)
        if self.options.fails:
            msg = "this model is broken"
            raise RuntimeError(msg)
        return [self._find(frame) for frame in frames]

    def _find(self, frame: Frame) -> Instances:
        self.looked_at.append((frame.source_id, frame.index))
        if frame.index == self._signal_frame:
            os.kill(os.getpid(), self._signal)
        skeleton = skeleton_for(self.options.joints)
        corners = square_in(frame.image)
        if corners is None:
            return Instances.empty(skeleton)
        share = np.linspace(0.1, 0.9, len(skeleton))[:, None]
        joints = corners[:2] + share * (corners[2:] - corners[:2])
        scores = np.full((1, len(skeleton)), 0.9)
        return Instances.of(
            corners[None], np.array([0.95]), keypoints=joints[None], keypoint_score=scores, skeleton=skeleton
        )


if __name__ == "__main__":
    from pipeline.cli import main

    PLUGINS["pose"]["square"] = "dataloop_square:SquarePose"
    main()
