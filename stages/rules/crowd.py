"""When there are many people at one place."""

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from pipeline import plugin
from pipeline.types import Event, Frame, Instances, Place
from stages.judging.anchors import Anchor, anchor_points
from stages.judging.attendance import Attendance, Visitor
from stages.judging.distances import BORDER_PX, depths_inside
from stages.judging.places import Polygon, in_pixels, pixel_points
from stages.rules.base import Rule

__all__ = ["CrowdRule", "Options"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Options(plugin.Options):
    """Options of `crowd`. Times are of the stream."""

    people: int = Field(default=5, ge=1)
    """So many are a crowd."""
    slack: int = Field(default=1, ge=0)
    """The crowd is over when there are fewer than `people - slack`; less than `people`."""
    min_seconds: Seconds = 2.0
    """They must be there together for so long."""
    patience_seconds: Seconds = 1.0
    """Who has not been seen for so long is gone; until then it counts where it was seen last."""
    polygon: Polygon | None = None
    """Where: corners [x, y] in the order in which one walks around the place, in fractions of the picture where all
    values are at most 1, otherwise in pixels. By default the whole picture."""
    anchor: Anchor = "feet"
    """Which point of a person must be in the polygon: `feet` (middle of the ankles, or of the box's lower edge), `hip`
    (middle of the hips, or of the box) or `box` (its middle)."""
    min_joint_score: float = Field(default=0.3, ge=0, le=1)
    """Ankles or hips with a lower score are not seen, and the box counts."""

    @model_validator(mode="after")
    def _ends_with_somebody_there(self) -> Self:
        if self.slack >= self.people:
            msg = f"slack must be less than people, or the crowd never ends; got {self.slack} and {self.people}"
            raise ValueError(msg)
        return self


@dataclass(slots=True)
class _Guest(Visitor):
    is_in: bool = False
    """Where it was seen last."""


class CrowdRule(Rule):
    """Says when a crowd is there and when it is over.

        crowd   phase "begin": `people` are there for `min_seconds`    values: phase, count, seconds so far
                phase "end": fewer than `people - slack` are there     values: phase, count, seconds, most

    `seconds` is the time since there were enough, `most` how many there were at best.
    """

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        super().__init__(options, name)
        self._attendance = Attendance(_Guest, options.patience_seconds)
        self._since_seconds: float | None = None  # when there were enough; None: there are not
        self._is_crowd = False
        self._most = 0

    def places(self, frame: Frame) -> tuple[Place, ...]:
        """Give the place where people are counted, if it is not the whole picture."""
        return () if self.options.polygon is None else (Place(self.name, pixel_points(self.options.polygon, frame)),)

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        here, _ = self._attendance.take(frame.pts_seconds, people)
        self._place(frame, people, here)
        count = sum(guest.is_in for guest in [*here, *self._attendance.away()])
        enough = self.options.people - (self.options.slack if self._is_crowd else 0)
        if count < enough:
            return self._disperse(frame, count)
        return self._gather(frame, count)

    def _place(self, frame: Frame, people: Instances, here: list[_Guest]) -> None:
        """See who is in the polygon; those who are away stay where they were."""
        polygon = self.options.polygon
        if polygon is not None:
            points = anchor_points(people, self.options.anchor, self.options.min_joint_score)
            is_in = depths_inside(points, in_pixels(polygon, frame)) >= -BORDER_PX
        for guest in here:
            guest.is_in = polygon is None or bool(is_in[guest.row])

    def _gather(self, frame: Frame, count: int) -> list[Event]:
        if self._since_seconds is None:
            self._since_seconds, self._most = self._attendance.now_seconds, 0
        self._most = max(self._most, count)
        seconds = self._attendance.seconds_since(self._since_seconds)
        if self._is_crowd or seconds < self.options.min_seconds:
            return []
        self._is_crowd = True
        limits = f"at least {self.options.people} for {self.options.min_seconds:g} s"
        reason = f"people here: {count} for {seconds:.2f} s, {limits}"
        return [self.event("crowd", frame, reason, phase="begin", count=count, seconds=seconds)]

    def _disperse(self, frame: Frame, count: int) -> list[Event]:
        since, was_crowd = self._since_seconds, self._is_crowd
        self._since_seconds, self._is_crowd = None, False
        if since is None or not was_crowd:
            return []
        seconds = self._attendance.seconds_since(since)
        least = self.options.people - self.options.slack
        reason = f"people here: {count}, fewer than {least}; was a crowd for {seconds:.2f} s with at most {self._most}"
        return [self.event("crowd", frame, reason, phase="end", count=count, seconds=seconds, most=self._most)]
