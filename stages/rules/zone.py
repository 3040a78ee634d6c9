"""Who is in a zone of the picture, and for how long."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pipeline import plugin
from pipeline.types import Event, Frame, Instances, Place
from stages.judging.anchors import Anchor, Tremble, anchor_points, tremble_px
from stages.judging.attendance import Attendance, Visitor
from stages.judging.distances import BORDER_PX, depths_inside
from stages.judging.places import Polygon, in_pixels, pixel_points
from stages.rules.base import Rule

__all__ = ["Options", "ZoneRule"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Options(plugin.Options):
    """Options of `zone`. Times are of the stream."""

    polygon: Polygon
    """Corners [x, y] in the order in which one walks around the zone. In fractions of the picture where all values are
    at most 1, otherwise in pixels. The border is part of the zone."""
    anchor: Anchor = "feet"
    """Which point of a person must be in the zone: `feet` (middle of the ankles, or of the box's lower edge), `hip`
    (middle of the hips, or of the box) or `box` (its middle)."""
    min_joint_score: float = Field(default=0.3, ge=0, le=1)
    """Ankles or hips with a lower score are not seen, and the box counts."""
    min_seconds: Seconds = 0.3
    """Somebody is in, or out again, when it has been there for so long."""
    hysteresis: Tremble = 0.05
    """Who is in is out only so far beyond the border: up to 1 a share of the height of the box, above that pixels."""
    patience_seconds: Seconds = 2.0
    """Who is in and has not been seen for so long is out."""
    dwell_seconds: Seconds | None = None
    """Say it once when somebody stays in for longer than this; by default never."""


@dataclass(slots=True)
class _Guest(Visitor):
    looks_in: bool = False
    """Which side of the border it was on when it was seen last."""
    since_seconds: float = 0.0
    """When it came to that side."""
    is_in: bool = False
    """What was said of it last."""
    entered_seconds: float = 0.0
    has_dwelt: bool = False


class ZoneRule(Rule):
    """Says who comes into a zone, who goes out of it, and who stays for long.

        enter      in for `min_seconds`                                values: seconds so far, count
        exit       out for `min_seconds`, or not seen for `patience_seconds`    values: seconds it was in, count
        dwell      in for longer than `dwell_seconds`, once a stay     values: seconds so far, count
        occupancy  state: how many are in, at the first frame and whenever it changes    values: count

    A stay begins when somebody steps over the border and ends when it steps back, or was seen last; how long it took to
    be sure of that is not part of it. `count` is how many are in after the event.
    """

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        super().__init__(options, name)
        self._attendance = Attendance(_Guest, options.patience_seconds)
        self._count = 0
        self._said: int | None = None

    def places(self, frame: Frame) -> tuple[Place, ...]:
        """Give the zone."""
        return (Place(self.name, pixel_points(self.options.polygon, frame)),)

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        here, gone = self._attendance.take(frame.pts_seconds, people)
        events = [self._vanish(frame, guest) for guest in gone if guest.is_in]
        points = anchor_points(people, self.options.anchor, self.options.min_joint_score)
        depths = depths_inside(points, in_pixels(self.options.polygon, frame)) + BORDER_PX
        margins = tremble_px(people, self.options.hysteresis)
        for guest in here:
            self._look(guest, float(depths[guest.row]), float(margins[guest.row]))
            events += self._judge(frame, people, guest)
        return events + self._occupancy(frame)

    def _look(self, guest: _Guest, depth_px: float, margin_px: float) -> None:
        """See on which side of the border somebody is; for who is in, the border is `margin_px` farther out."""
        looks_in = depth_px >= (-margin_px if guest.is_in else 0.0)
        if looks_in != guest.looks_in:
            guest.looks_in, guest.since_seconds = looks_in, self._attendance.now_seconds

    def _judge(self, frame: Frame, people: Instances, guest: _Guest) -> list[Event]:
        if guest.looks_in == guest.is_in:
            return self._dwell(frame, people, guest) if guest.is_in else []
        beyond = self._attendance.seconds_since(guest.since_seconds)
        if beyond < self.options.min_seconds:
            return []
        side = "in" if guest.looks_in else "out of"
        reason = f"{side} the zone for {beyond:.2f} s, at least {self.options.min_seconds:g} s"
        if not guest.looks_in:
            return [self._exit(frame, reason, guest, people)]
        guest.is_in, guest.entered_seconds, guest.has_dwelt = True, guest.since_seconds, False
        self._count += 1
        entered = self.event("enter", frame, reason, people, guest.row, seconds=beyond, count=self._count)
        return [entered, *self._dwell(frame, people, guest)]

    def _dwell(self, frame: Frame, people: Instances, guest: _Guest) -> list[Event]:
        seconds, limit = self._attendance.seconds_since(guest.entered_seconds), self.options.dwell_seconds
        if limit is None or guest.has_dwelt or seconds <= limit:
            return []
        guest.has_dwelt = True
        reason = f"in the zone for {seconds:.2f} s, more than {limit:g} s"
        return [self.event("dwell", frame, reason, people, guest.row, seconds=seconds, count=self._count)]

    def _vanish(self, frame: Frame, guest: _Guest) -> Event:
        away = self._attendance.seconds_since(guest.seen_seconds)
        return self._exit(frame, f"not seen for {away:.2f} s, at least {self.options.patience_seconds:g} s", guest)

    def _exit(self, frame: Frame, reason: str, guest: _Guest, people: Instances | None = None) -> Event:
        guest.is_in = False
        self._count -= 1
        left_seconds = guest.seen_seconds if guest.looks_in else guest.since_seconds
        seconds = round(left_seconds - guest.entered_seconds, 6)
        reason = f"{reason}; was in it for {seconds:.2f} s"
        return self.event(
            "exit",
            frame,
            reason,
            people,
            guest.row,
            track_id=guest.track_id,
            seconds=seconds,
            count=self._count,
        )

    def _occupancy(self, frame: Frame) -> list[Event]:
        if self._count == self._said:
            return []
        self._said = self._count
        reason = f"people in the zone: {self._count}"
        return [self.event("occupancy", frame, reason, is_state=True, count=self._count)]
