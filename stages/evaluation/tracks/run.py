"""Runs a tracker over sequences, and says what came of it."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from pipeline.errors import MissingPackage
from pipeline.registry import EXTRAS
from pipeline.types import NO_TRACK, Instances
from stages.tracking.asked import AskedTracker
from stages.tracking.mot import PEDESTRIAN, Rows
from stages.tracking.replay import Tape, refined, replay
from stages.tracking.sequences import Sequence as Video
from trackers.refinement import RefinementOptions

__all__ = ["Protocol", "Watch", "need_the_counter", "run"]

Watch = Callable[[str, int], None]
"""Told of a sequence and how many frames of it have been tracked just now."""

_PACKAGE: Final = "trackeval"
_WIDEST: Final = 1.6
"""Width over height of a box of a person who stands, at most."""
_SMALLEST_PX2: Final = 100.0


class Protocol(NamedTuple):
    """How it is measured."""

    every: int = 1
    """Show only each so many-th frame; only these are counted."""
    camera_motion: bool = False
    """Tell the tracker how the camera moved."""
    min_score: float = 0.1
    """Detections that score less are not shown."""


def need_the_counter() -> None:
    """See that the package is there, before anything is tracked.

    Raises:
        MissingPackage: It is not.
    """
    try:
        import trackeval  # noqa: F401, PLC0415 - an optional package
    except ModuleNotFoundError as error:
        extra = EXTRAS.get(_PACKAGE, "evaluate")
        msg = f"measuring a tracker needs the package '{_PACKAGE}': pip install 'kinestream[{extra}]'"
        raise MissingPackage(msg) from error


def run(
    asked: AskedTracker,
    videos: Sequence[Video],
    protocol: Protocol,
    watch: Watch,
    refinement: RefinementOptions | None = None,
) -> dict[str, Any]:
    """Track each sequence with a tracker of its own, and measure.

    Args:
        asked: The tracker.
        videos: At least one.
        protocol: How.
        watch: Told of every frame.
        refinement: Refine the tracks with hindsight; None: measure them as they came.

    Returns:
        Figures by sequence and combined, and settings: plain values, for JSON.

    Raises:
        ConfigError: A file of a sequence is missing or wrong.
        MissingPackage: What counts is not installed.
    """
    need_the_counter()
    from stages.evaluation.tracks.counting import combine, count, figures  # noqa: PLC0415 - needs the package

    tapes = [_tape(video, protocol) for video in videos]  # a file that is wrong shows before anything is tracked
    counts, spent = {}, {}
    for video, tape in zip(videos, tapes, strict=True):
        tracks, seconds = _track(asked, video, tape, watch, refinement)
        counts[video.name] = count(video.name, [video.truth.of(frame) for frame in tape.shown], tracks)
        spent[video.name] = (len(tracks), seconds)
    every = {name: figures(counted) | {"updates_per_second": _rate(*spent[name])} for name, counted in counts.items()}
    frames, seconds = (sum(values) for values in zip(*spent.values(), strict=True))
    return {
        "combined": figures(combine(counts)) | {"updates_per_second": _rate(frames, seconds)},
        "sequences": every,
        "tracker": {"kind": asked.kind, "options": asked.options.model_dump(mode="json")},
        "refinement": None if refinement is None else refinement.model_dump(mode="json"),
        "protocol": protocol._asdict() | {"frames": frames},
    }


def _tape(video: Video, protocol: Protocol) -> Tape:
    """Read all files of a sequence; what is not asked for now is not asked for until hours later."""
    _ = video.truth
    shown = video.detections[video.detections.score >= protocol.min_score]
    warps = video.warps if protocol.camera_motion else None
    return Tape(shown, video.frames, video.frames_per_second, protocol.every, warps)


def _track(
    asked: AskedTracker, video: Video, tape: Tape, watch: Watch, refinement: RefinementOptions | None
) -> tuple[list[Rows], float]:
    """Give the rows of each frame that was shown, and the seconds that it took for all of them."""
    tracks, seconds, drop_odd = [], 0.0, bool((video.truth.class_id != PEDESTRIAN).any())
    for shown in refined(replay(asked.make(), tape), tape, refinement):
        tracks.append(_rows(shown.frame, shown.tracked, drop_odd=drop_odd))
        seconds += shown.seconds
        watch(video.name, 1)
    return tracks, seconds


def _rows(frame: int, tracked: Instances, *, drop_odd: bool) -> Rows:
    """Give the rows of those who have an id.

    Args:
        frame: Number of the frame.
        tracked: With `track_id`.
        drop_odd: Leave out boxes that are wide or tiny, as all trackers published for MOT16 and MOT17 do.
    """
    assert tracked.track_id is not None
    low, high = np.split(tracked.xyxy.astype(np.float64), 2, axis=1)
    size = high - low
    kept = tracked.track_id != NO_TRACK
    if drop_odd:
        kept &= (size[:, 0] <= _WIDEST * size[:, 1]) & (size.prod(axis=1) > _SMALLEST_PX2)
    n = int(kept.sum())
    return Rows(
        frame=np.full(n, frame),
        track_id=tracked.track_id[kept],
        xywh=np.hstack([low, size])[kept],
        score=tracked.score[kept].astype(np.float64),
        class_id=np.full(n, PEDESTRIAN),
    )


def _rate(frames: int, seconds: float) -> float:
    return frames / max(seconds, 1e-9)
