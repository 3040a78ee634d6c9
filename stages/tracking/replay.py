"""Shows a tracker what was detected, frame by frame, as if it came from a video."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Instances
from stages.tracking.mot import Rows
from trackers.base import Tracker
from trackers.camera_motion import between
from trackers.refinement import Refinement, RefinementOptions

__all__ = ["Shown", "Tape", "refined", "replay"]


class Tape(NamedTuple):
    """What is shown."""

    detections: Rows
    frames: int
    frames_per_second: float
    every: int = 1
    """Show only each so many-th frame, from the first one."""
    warps: NDArray[np.float64] | None = None
    """How the camera moved: of each frame from the one before it, shape (frames, 2, 3); None: it stood still."""

    @property
    def shown(self) -> range:
        """Numbers of the frames that are shown, from 1."""
        return range(1, self.frames + 1, self.every)


class Shown(NamedTuple):
    """What came of a frame."""

    frame: int
    """Its number, from 1."""
    tracked: Instances
    seconds: float
    """How long it took; refined, how long all frames took that came out since the one before."""


def replay(tracker: Tracker, tape: Tape) -> Iterator[Shown]:
    """Show a tracker every frame, also those in which nothing was detected."""
    for frame in tape.shown:
        people = tape.detections.of(frame).people()
        warp = None if tape.warps is None else between(tape.warps, frame - 1 - tape.every, frame - 1)
        started = time.perf_counter()
        tracked = tracker.update(people, (frame - 1) / tape.frames_per_second, warp=warp)
        yield Shown(frame, tracked, time.perf_counter() - started)


def refined(shown: Iterable[Shown], tape: Tape, options: RefinementOptions | None) -> Iterator[Shown]:
    """Refine what came of each frame of a tape, in order; as it is where there are no options."""
    if options is None:
        yield from shown
        return
    refinement, waiting, seconds = Refinement(options), deque[int](), 0.0
    for one in chain(shown, [None]):
        started = time.perf_counter()
        if one is None:
            tables = refinement.finish()
        else:
            waiting.append(one.frame)
            seconds += one.seconds
            tables = refinement.push(one.tracked, (one.frame - 1) / tape.frames_per_second)
        seconds += time.perf_counter() - started
        for table in tables:
            yield Shown(waiting.popleft(), table, seconds)
            seconds = 0.0
