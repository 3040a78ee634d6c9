"""What a score means: a large detector gives 0.9 to somebody in plain sight, a small one, or one in int8, perhaps 0.7.

Thresholds that suit the one would leave the people of the other without identities. So scores that are lower than
usual are brought to one scale, by what the surest boxes of a source have scored of late:

    score on the scale = score * 0.9 / (the 90th percentile of the source's scores)

That is believed only so far: where nothing but very doubtful boxes are ever seen, there is nobody.
"""

import math
from typing import Final

import numpy as np

from pipeline.types import Instances

__all__ = ["PLAIN_SIGHT", "ScoreScale"]

PLAIN_SIGHT: Final = 0.9
"""What somebody in plain sight scores on the scale. YOLOX-x, whose boxes are those of the papers, gives a little more:
its scores stay as they are."""
_LEAST: Final = 0.6
"""No detector is taken for one that gives less than this to somebody in plain sight."""
_PERCENTILE: Final = 90
"""Which of a source's scores is that of somebody in plain sight: in crowds, few are."""
_MEMORY_SECONDS: Final = 60.0
"""Over what time scores are counted, of that in which there are any."""
_PRIOR: Final = 3.0
"""By so many boxes in plain sight a detector is taken for a large one before it is known."""
_BINS: Final = 100


class ScoreScale:
    """The scale of one source."""

    def __init__(self) -> None:
        """Take the detector for a large one."""
        self._counts = np.zeros(_BINS + 1)  # of scores 0, 0.01 ... 1

    @property
    def plain_sight(self) -> float:
        """What somebody in plain sight scores, as far as is known."""
        rising = np.cumsum(self._counts)
        rising[round(PLAIN_SIGHT * _BINS) :] += _PRIOR
        return max(float(np.searchsorted(rising, _PERCENTILE / 100 * rising[-1])) / _BINS, _LEAST)

    def scaled(self, seen: Instances, step_seconds: float) -> Instances:
        """Count the scores of the next frame, and give its people with their scores on the scale, 0..1."""
        if not len(seen):
            return seen
        self._counts *= math.exp(-step_seconds / _MEMORY_SECONDS)
        self._counts += np.bincount(np.rint(seen.score * _BINS).astype(np.intp), minlength=_BINS + 1)
        raised = PLAIN_SIGHT / self.plain_sight
        return seen if raised <= 1 else seen.with_columns(score=np.minimum(seen.score * raised, 1.0))
