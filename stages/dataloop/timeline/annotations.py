"""From people, frame by frame, to annotations: pure, plain dicts, memory bounded however long a video is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import floor
from typing import TYPE_CHECKING, Final

from pydantic import Field

from pipeline import plugin
from pipeline.types import Instances
from stages.dataloop.labels import Template
from stages.dataloop.timeline.segments import Segment, SegmentWriter, Stamp
from stages.dataloop.timeline.sights import Sights, identified
from stages.dataloop.timeline.strips import Strip, Strips

if TYPE_CHECKING:
    from stages.dataloop.items import Item

__all__ = ["AnnotationOptions", "Annotator", "Segment", "Stamp"]

_GOLDEN: Final = (5**0.5 - 1) / 2
"""Its multiples, whole numbers left out, are spread evenly, however many there are."""


class AnnotationOptions(plugin.Options):
    """What is annotated, and how closely."""

    min_score: float = Field(default=0.3, ge=0, le=1)
    """Joints below it are hidden; in a picture they are left out."""
    tolerance_px: float = Field(default=2.0, ge=0.1, allow_inf_nan=False)
    """How far a joint, or a corner of a box, may be from where it was seen when the platform plays it."""
    boxes: bool = True
    """Annotate boxes, too."""
    min_seconds: float = Field(default=0.3, ge=0, allow_inf_nan=False)
    """Who is there for a shorter time, all in all, is left out of a video."""
    absent_seconds: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """Who has been away for longer begins a new segment; before, the joints are hidden meanwhile."""
    segment_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    """The longest segment: how much of a person is kept in memory, and how long an annotation can be. Segments of a
    crowd are up to half of it shorter, so that they do not all end at once."""
    tracked: bool = True
    """In a video, leave out people without an identity. Where nobody tracks, set it to False: then each person of each
    frame is annotated alone."""


class Annotator:
    """Makes the annotations of one item.

    A frame's number is its time by the frame rate of the platform, so that a video of changing frame rate fits, too. Of
    two frames with the same number the first one counts.

    Args:
        item: What is annotated; a video must have its frame rate.
        template: Of the pose; its skeleton is that of the people.
        stamp: Who makes them.
        options: See there.

    Raises:
        ValueError: The video has no frame rate.
    """

    def __init__(self, item: "Item", template: Template, stamp: Stamp, options: AnnotationOptions) -> None:
        """Begin with nobody."""
        if item.is_video and not item.frames_per_second:
            msg = (
                f"the platform knows no frame rate (metadata.fps) of {item.filename}, so nothing can be placed in "
                "time; wait until it has processed the video"
            )
            raise ValueError(msg)
        self._rate = item.frames_per_second if item.is_video else None
        self._item = item
        self._template = template
        self._options = options
        self._writer = SegmentWriter(item, template, stamp)
        self._sights = Sights(item, template.skeleton, options.min_score, boxes=options.boxes)
        self._strips = Strips(len(template.skeleton), options.tolerance_px)
        self._identities: dict[int, _Identity] = {}
        self._alone = 0
        self._frame = -1
        self._frames_read = 0

    def add(self, pts_seconds: float, people: Instances) -> list[Segment]:
        """Take the people of the next frame.

        Args:
            pts_seconds: Time of the frame from the start of the video; of a picture, anything.
            people: Who is in it, in pixels of the item.

        Returns:
            Segments that are complete now.

        Raises:
            ValueError: The people have no joints, others than the template, or no identities.
        """
        self._frames_read += 1
        if self._rate is None:
            return self._each_alone(0, people)
        frame = floor(pts_seconds * self._rate + 0.5)
        if frame <= self._frame:
            return []
        segments = (
            self._follow(frame, pts_seconds, people) if self._options.tracked else self._each_alone(frame, people)
        )
        self._frame = frame
        return segments

    def finish(self) -> list[Segment]:
        """Give the segments that were not complete yet."""
        return self._end([strip.track_id for strip in self._strips])

    def mismatch(self) -> str | None:
        """Say where the frames that came are not those that the platform counts; None where they are."""
        expected = self._item.frame_count
        if self._rate is None or expected is None or (self._frames_read, self._frame + 1) == (expected, expected):
            return None
        return (
            f"{self._item.filename}: the platform counts {expected} frames, {self._frames_read} were read, the last "
            f"one as number {self._frame} (time by {self._rate:g} frames a second): annotations may be off in time"
        )

    def _each_alone(self, frame: int, people: Instances) -> list[Segment]:
        """Annotate each person for this one frame, under an object id of its own."""
        ids = range(self._alone + 1, self._alone + 1 + len(people))
        self._alone += len(people)
        self._strips.see(self._sights.of(people, list(ids)), frame, 0.0)
        return [one for strip in self._strips.cut(ids) for one in self._written(str(strip.track_id), 0, strip)]

    def _follow(self, frame: int, pts_seconds: float, people: Instances) -> list[Segment]:
        sight = self._sights.of(*identified(people))
        self._strips.hold(self._frame, frame)
        segments = self._end(self._over(sight.ids, pts_seconds))
        self._strips.hide(self._frame, frame, set(sight.ids))
        for track_id in sight.ids:
            self._identities.setdefault(track_id, _Identity()).see(frame, self._frame)
        self._strips.see(sight, frame, pts_seconds)
        return segments

    def _over(self, present: list[int], pts_seconds: float) -> list[int]:
        """Name the identities whose strip ends: away for long, or there for as long as theirs may be."""
        away = self._options.absent_seconds
        return [
            strip.track_id
            for strip in self._strips
            if (strip.seen_frame != self._frame and pts_seconds - strip.last_pts > away)
            or (strip.track_id in present and pts_seconds - strip.first_pts >= self._longest_seconds(strip.track_id))
        ]

    def _longest_seconds(self, track_id: int) -> float:
        """Between half of the longest segment and all of it, so that a crowd that came together ends bit by bit."""
        return self._options.segment_seconds * (1 - track_id * _GOLDEN % 1 / 2)

    def _end(self, ids: Iterable[int]) -> list[Segment]:
        """Write the strips of those who have been there for long enough by now; keep those of the others."""
        segments = []
        for strip in self._strips.cut(ids):
            identity = self._identities[strip.track_id]
            identity.waiting.append(strip)
            if self._rate and identity.shown_frames >= self._options.min_seconds * self._rate:
                for one in identity.waiting:
                    written = self._written(str(strip.track_id), identity.segments, one)
                    identity.segments += len(written)
                    segments += written
                identity.waiting.clear()
        return segments

    def _written(self, object_id: str, number: int, strip: Strip) -> list[Segment]:
        """Write a strip; where nothing of the person was seen well enough, there is nothing to write."""
        courses = strip.courses(self._template.labels, self._template.name)
        if not courses:
            return []
        return [self._writer.write(object_id, number, strip.span, strip.mean_score, courses)]


@dataclass(slots=True)
class _Identity:
    """What is known of an identity for as long as the video lasts."""

    shown_frames: int = 0
    """In how many frames of the platform it is shown, gaps left out."""
    last_frame: int = -2
    segments: int = 0
    """How many were written."""
    waiting: list[Strip] = field(default_factory=list)
    """Strips that are written when it turns out that it is there for long enough."""

    def see(self, frame: int, frame_before: int) -> None:
        """Take note that it is in a frame; those that the video left out since the one before repeat that one."""
        self.shown_frames += frame - frame_before if self.last_frame == frame_before else 1
        self.last_frame = frame
