"""What a tracker is."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances

__all__ = ["Tracker"]


class Tracker(ABC):
    """Gives people identities that last. One tracker a source: identities are never shared between sources.

    Trackers get time, not a frame rate: a frame that was skipped is just a larger step.
    """

    wants: frozenset[str] = frozenset()
    """What `update` shall be given beside the people: `warp`, `image`, or `embedding`, the column, which is made from
    the picture. Each costs time, so nobody gets what he does not want."""

    @abstractmethod
    def update(
        self,
        instances: Instances,
        pts_seconds: float,
        image: NDArray[np.uint8] | None = None,
        warp: NDArray[np.float64] | None = None,
    ) -> Instances:
        """Take the people of the next frame and say who is who.

        Args:
            instances: The frame's table; zero rows are fine.
            pts_seconds: Presentation time of the frame. Later than in the call before; where it is not, the motion
                model holds still.
            image: The picture, shape (H, W, 3), uint8, BGR, for trackers that look at it.
            warp: How the camera moved: an affine map, shape (2, 3), from pixels of the frame in the call before to
                pixels of this one. None: it stood still, or nobody knows.

        Returns:
            The same rows in the same order with `track_id` set: 1, 2, 3 ... without gaps, given on confirmation;
            NO_TRACK (-1) before. Boxes and joints are the detector's, not the filter's.
        """

    @abstractmethod
    def reset(self) -> None:
        """Forget everybody; ids start at 1 again."""
