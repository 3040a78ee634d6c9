"""Who crosses a line in the picture, and which way."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pipeline import plugin
from pipeline.types import Event, Frame, Instances, Place
from stages.judging.anchors import Anchor, Tremble, anchor_points, tremble_px
from stages.judging.attendance import Attendance, Visitor
from stages.judging.distances import rightward
from stages.judging.places import Point, in_pixels, pixel_points
from stages.rules.base import Rule

__all__ = ["LineRule", "Options"]

Floats = NDArray[np.float64]


class Options(plugin.Options):
    """Options of `line`. Times are of the stream."""

    a: Point
    """Where the line begins, [x, y]. `a` and `b` are in fractions of the picture where all four values are at most 1,
    otherwise in pixels."""
    b: Point
    """Where it ends. Swap `a` and `b` to swap `in` and `out`."""
    anchor: Anchor = "feet"
    """Which point of a person must cross: `feet` (middle of the ankles, or of the box's lower edge), `hip` (middle of
    the hips, or of the box) or `box` (its middle)."""
    min_joint_score: float = Field(default=0.3, ge=0, le=1)
    """Ankles or hips with a lower score are not seen, and the box counts."""
    hysteresis: Tremble = 0.05
    """Who crosses must get farther than this from the line: up to 1 a share of the height of the box, above that
    pixels."""
    forget_seconds: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """Who has not been seen for so long has no side any more. Who is hidden for less and comes back on the other side
    has crossed where the straight way lies."""

    @model_validator(mode="after")
    def _is_a_line(self) -> Self:
        if self.a == self.b:
            msg = f"a line must have two different ends, got a = b = {list(self.a)}"
            raise ValueError(msg)
        return self


@dataclass(slots=True)
class _Walker(Visitor):
    place: Floats | None = None
    """Where it was seen last, (x, y) in fractions of the frame, so that frames may change their size."""
    side: int = 0
    """Where it was seen last: 1 to the right of the line, -1 to the left, 0 on it."""
    counted_side: int = 0
    """The side on which it was seen first, then the one where it was last beyond the hysteresis; 0: never beside it."""
    through: bool = False
    """It came to `side` between a and b, not around them."""


class LineRule(Rule):
    """Says who crosses a line, and counts.

        cross   values: direction ("in" or "out"), total_in, total_out (both with this one)

    Walk from a to b in the picture as you see it. `in` is from your left to your right:

              left                          b
               |                            ^
        a -----|-----> b            left ---|--> right
               v  in                        |  in
             right                          a

    So for a line drawn from left to right `in` is downwards, and for one drawn upwards `in` is to the right. Only the
    line between a and b counts: who walks around an end has not crossed. It is said when somebody is farther than
    `hysteresis` from the line on its new side; there and back within that band is nothing.
    """

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody; totals begin at 0."""
        super().__init__(options, name)
        self._attendance = Attendance(_Walker, options.forget_seconds)
        self._totals = {"in": 0, "out": 0}

    def places(self, frame: Frame) -> tuple[Place, ...]:
        """Give the line."""
        return (Place(self.name, pixel_points((self.options.a, self.options.b), frame), is_closed=False),)

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        here, _ = self._attendance.take(frame.pts_seconds, people)
        points = anchor_points(people, self.options.anchor, self.options.min_joint_score)
        bands = tremble_px(people, self.options.hysteresis)
        line, size = in_pixels((self.options.a, self.options.b), frame), np.array([frame.width, frame.height])
        distances = rightward(points, *line)
        events = []
        for walker in here:
            row = walker.row
            assert row is not None
            _step(walker, points[row], size, line)
            if abs(distances[row]) > bands[row] and self._settle(walker):
                events.append(self._cross(frame, people, walker, abs(distances[row])))
        return events

    def _settle(self, walker: _Walker) -> bool:
        """Take the side where somebody is as sure; tell whether it crossed the line to get there."""
        crossed = walker.through and walker.side != walker.counted_side
        walker.counted_side, walker.through = walker.side, False
        return crossed

    def _cross(self, frame: Frame, people: Instances, walker: _Walker, distance_px: float) -> Event:
        direction = "in" if walker.side > 0 else "out"
        self._totals[direction] += 1
        side = "right" if walker.side > 0 else "left"
        reason = f"crossed to the {side} of the line from a to b, now {distance_px:.1f} px beyond it"
        return self.event(
            "cross",
            frame,
            reason,
            people,
            walker.row,
            direction=direction,
            total_in=self._totals["in"],
            total_out=self._totals["out"],
        )


def _step(walker: _Walker, point: Floats, size: NDArray[np.int_], line: Floats) -> None:
    """Follow somebody to a point, (x, y) in pixels of a frame, and see whether it changes sides on the way."""
    before = point if walker.place is None else walker.place * size
    walker.place = point / size
    was, now = rightward(np.array([before, point]), *line)
    side_before, side = int(np.sign(was)), int(np.sign(now))
    if walker.counted_side == 0:
        walker.counted_side = side
    elif side != side_before:
        crossing = before + (point - before) * abs(was) / (abs(was) + abs(now))
        walker.through = _is_between(crossing, line)
    walker.side = side


def _is_between(point: Floats, line: Floats) -> bool:
    """Tell whether a point on the line's extension is on the line; both ends are."""
    a, along = line[0], line[1] - line[0]
    share = float((point - a) @ along / (along @ along))
    return -1e-9 <= share <= 1 + 1e-9
