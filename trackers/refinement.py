"""Tracks with hindsight: what a tracker could not know when it had to decide, because it came later.

    frame in --> take in --> link --> [ held for hold_seconds ] --> judge --> steady --> frame out

    take in   rows join their tracks; who was away gets boxes in between; who is new, those from before he had an id
    link      who appears where somebody was lost goes on as him, if motion agrees both ways
    judge     who was there for a moment only, or never surely, gets no id
    steady    boxes are moved to where their neighbours in time say they are

Frames come out in order, a fixed time later, so memory does not depend on how long a video is. How the camera moved is
the tracker's business: over so short a time it moves evenly, and telling it made nothing better.
"""

import math
from itertools import groupby
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from pipeline import plugin
from pipeline.types import NO_TRACK, Instances
from trackers.gaps import fill_gap, find_beginning
from trackers.linking import LOOK_SECONDS, link
from trackers.reel import HeldFrame, Reel, Sighting, Track
from trackers.roster import Share
from trackers.steadying import REACH_SECONDS, steady_boxes

__all__ = ["Refinement", "RefinementOptions"]

Wait = Annotated[float, Field(ge=0, le=60)]
"""Seconds for which frames are held."""

_BRIEF_SECONDS: Final = 1.5
"""Who was there for longer need not have a good score."""
_FORGET_SECONDS: Final = 600.0
"""A tracker's id that has not come for so long does not come again: patience is a few seconds."""


class RefinementOptions(plugin.Options):
    """Options of `Refinement`."""

    gap_seconds: Wait = 1.5
    """Gaps up to this long are linked over, and filled where the way is known. Longer ones are guesswork: people stop
    and turn. Frames are held half a second longer than this, two seconds at least."""
    min_seconds: Wait = 0.2
    """Who was there for less gets no id, unless the video began or ended meanwhile."""
    min_score: Share = 0.5
    """Who was there for less than 1.5 seconds and has a lower mean score gets no id."""
    steady_boxes: bool = True
    """Boxes are freed from the detector's trembling."""

    @property
    def hold_seconds(self) -> float:
        """How much later frames come out: when it is known who comes back after a gap, and who was there briefly."""
        return max(self.gap_seconds, self.min_seconds, _BRIEF_SECONDS) + LOOK_SECONDS


class Refinement:
    """Refines the tracks of one source.

    Args:
        options: What is done, and how far it looks ahead.
    """

    def __init__(self, options: RefinementOptions | None = None) -> None:
        """Know nobody yet."""
        self.options = options or RefinementOptions()
        self._reset()

    def __len__(self) -> int:
        """Count the frames that are still to come out."""
        return len(self._reel)

    def push(self, instances: Instances, pts_seconds: float) -> list[Instances]:
        """Take the next frame; give those that are ready, oldest first.

        Args:
            instances: What a tracker gave: with `track_id`, unless it has zero rows.
            pts_seconds: Presentation time of the frame.

        Returns:
            Of each frame its rows in their order, then those that were added, which are `predicted` and score 0.2.
            `track_id` is 1, 2, 3 ... in order of appearance.

        Raises:
            ValueError: There is no `track_id`, or the time is not finite. Nothing has changed.
        """
        self._take_in(self._reel.append(_checked(instances, pts_seconds), pts_seconds))
        self._link(self._reel.seconds - LOOK_SECONDS)
        return self._ready(self._reel.seconds - self.options.hold_seconds)

    def finish(self) -> list[Instances]:
        """Give all frames that are left, oldest first, and forget everybody."""
        self._link(math.inf)
        rest = self._ready(math.inf)
        self._reset()
        return rest

    def _reset(self) -> None:
        self._reel = Reel(max(LOOK_SECONDS, REACH_SECONDS))
        self._tracks: dict[int, Track] = {}  # by the tracker's id; who was seen last is last
        self._newcomers: list[Track] = []  # not yet compared with those who were lost
        self._last_id = 0

    def _take_in(self, frame: HeldFrame) -> None:
        """Let each row join its track."""
        assert frame.people.track_id is not None
        for row, tracker_id in enumerate(frame.people.track_id[: frame.seen].tolist()):
            if tracker_id == NO_TRACK:
                continue
            track, sighting = self._tracks.pop(tracker_id, None), Sighting(frame, row)
            if track is None or track.given_id == NO_TRACK:  # what was not worth an id may yet become so
                track = Track(tracker_id)
                track.see(sighting)
                find_beginning(self._reel, track)
                self._newcomers.append(track)
            else:
                if frame.seconds - track.seen <= self.options.gap_seconds:
                    fill_gap(self._reel, track, sighting)
                track.see(sighting)
            self._tracks[tracker_id] = track

    def _link(self, until_seconds: float) -> None:
        """Compare newcomers who appeared by then with those who were lost before."""
        due = [track for track in self._newcomers if track.born <= until_seconds]
        self._newcomers = [track for track in self._newcomers if track.born > until_seconds]
        for born, together in groupby(due, key=lambda track: track.born):
            for lost, found in link(self._lost_before(born), list(together)):
                self._join(lost, found)

    def _lost_before(self, seconds: float) -> list[Track]:
        """Give those who were there shortly before, and not since."""
        return [
            track
            for track in self._tracks.values()
            if 0 < seconds - track.seen <= self.options.gap_seconds and track.given_id != NO_TRACK
        ]

    def _join(self, lost: Track, found: Track) -> None:
        """Let somebody who was lost go on as the one who was found."""
        fill_gap(self._reel, lost, found.sightings[0], went_straight=True)
        for frame in self._reel.frames:
            if found in frame.row_of:
                frame.row_of[lost] = frame.row_of.pop(found)
        del self._tracks[lost.tracker_id]  # should the tracker come back to that id, it is somebody else by now
        lost.absorb(found)
        self._tracks[lost.tracker_id] = lost

    def _ready(self, until_seconds: float) -> list[Instances]:
        ready = [self._refined(frame) for frame in self._reel.ready(until_seconds)]
        longest_ago = self._reel.seconds - _FORGET_SECONDS
        while self._tracks and (oldest := next(iter(self._tracks.values()))).seen < longest_ago:
            del self._tracks[oldest.tracker_id]
        return ready

    def _refined(self, frame: HeldFrame) -> Instances:
        """Give the table of a frame as it comes out."""
        people, track_id = frame.people, np.full(len(frame.people), NO_TRACK)
        for track, row in frame.row_of.items():
            if track.given_id is None:
                track.given_id = self._id_of(track)
            track_id[row] = track.given_id
        if self.options.steady_boxes:
            people = people.with_columns(xyxy=steady_boxes(self._reel, frame))
        shown = (track_id != NO_TRACK) | (np.arange(len(people)) < frame.seen)
        return people.with_columns(track_id=track_id)[shown]

    def _id_of(self, track: Track) -> int:
        """Give the next id to a track that is worth one."""
        seconds = track.seen - track.born
        is_cut_off = track.born == 0 or track.seen == self._reel.seconds
        is_sure = seconds >= _BRIEF_SECONDS or track.score_sum >= self.options.min_score * track.rows
        if not is_sure or not (is_cut_off or seconds >= self.options.min_seconds):
            return NO_TRACK
        self._last_id += 1
        return self._last_id


def _checked(instances: Instances, pts_seconds: float) -> Instances:
    """Give a table that can be refined: with `track_id` and `predicted`."""
    if not math.isfinite(pts_seconds):
        msg = f"pts_seconds must be finite, got {pts_seconds}: the source gave a frame without a time"
        raise ValueError(msg)
    if instances.track_id is None and len(instances):
        msg = "refinement needs track_id, but the table has none: let a tracker see it before"
        raise ValueError(msg)
    track_id, predicted = instances.track_id, instances.predicted
    return instances.with_columns(
        track_id=np.empty(0) if track_id is None else track_id,
        predicted=np.zeros(len(instances), bool) if predicted is None else predicted,
    )
