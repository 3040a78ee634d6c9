"""Pose: somebody holds up the hands, sits, or lies.

For each posture there is a margin: by how much it holds, above 0 it does. It begins when the margin has been above 0,
and ends when it has been below minus the hysteresis, for min_seconds. Where the joints that it takes are not seen, what
was said last holds for gap_seconds; then the posture ends, with the words that nobody was seen.

Kinds are `hands_up`, `sitting`, `lying` and, for the end, `hands_up_end`, `sitting_end`, `lying_end`: so that somebody
who waits for raised hands needs to look at nothing but the kind. The value `seconds` is how long it has lasted.

A squat counts as sitting. Sitting is judged where an ankle is seen, so nobody sits behind a desk. Somebody who lies in
line with the camera is not seen to lie: the torso looks short, not tilted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from pipeline import plugin
from pipeline.types import Event, Frame, Instances
from stages.judging.attendance import Attendance, Visitor
from stages.judging.body import Bodies, tilt
from stages.rules.base import Rule

__all__ = ["Options", "PoseRule"]

Posture = Literal["hands_up", "sitting", "lying"]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=0, le=90)]
Floats = NDArray[np.float64]


def _each_once(postures: tuple[Posture, ...]) -> tuple[Posture, ...]:
    if len(set(postures)) != len(postures):
        msg = f"postures must name each posture once, got {', '.join(postures)}"
        raise ValueError(msg)
    return postures


class Options(plugin.Options):
    """Options of `PoseRule`. Angles are in degrees, of the picture; the hysteresis eases every threshold of its kind.

    No threshold is measured on recordings: they are chosen from the proportions of a body and the angles below.
    """

    postures: Annotated[tuple[Posture, ...], Field(min_length=1), AfterValidator(_each_once)] = (
        "hands_up",
        "sitting",
        "lying",
    )
    """Which to watch."""
    one_hand: bool = False
    """One raised hand is enough."""
    hands_margin: Annotated[float, Field(ge=-2, le=3)] = 0.4
    """How far the wrists must be above the shoulders, in lengths of the torso. 0.4 is the height of the nose (0.936 -
    0.818 of the body's height over 0.288, Drillis and Contini 1966), 0.6 the top of the head. Chosen: the nose, for
    hands that are held up next to the head."""
    hands_hysteresis: Annotated[float, Field(ge=0, le=3)] = 0.2
    """The hands are down again when they are this much lower than hands_margin. Chosen: half the way to the
    shoulders."""
    sitting_thigh_degrees: Degrees = 50.0
    """Thighs, both that are seen with their ankles, at least this far from hanging down, as told by their reach against
    that of the shins. Chosen: 90 on a chair seen from the side, 55 where the camera looks down at 30 degrees on
    somebody who faces it; in a walk 30 at most, and one leg less."""
    sitting_torso_degrees: Degrees = 35.0
    """A torso up to this far from upright. Chosen: who leans further forward on a chair is about to get up."""
    lying_degrees: Degrees = 60.0
    """Torso and long axis of the body at least this far from vertical. Hands are not up while the torso is. Chosen: of
    somebody who bends over, the torso reaches 90, but the line from shoulders to ankles stays below 45."""
    hysteresis_degrees: Degrees = 15.0
    """By how much angles may fall back. Chosen: joints flicker by 5 to 10 degrees."""
    min_seconds: Seconds = 0.5
    """A posture that is held, or left, for less is none. Chosen: longer than a wrong pose lasts."""
    gap_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    """Joints may be out of sight this long before a posture ends. Must be more than the time between two frames. The
    default is the patience of the tracker."""
    min_joint_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """A joint with less is not seen. Chosen: HRNet and YOLO draw joints from about this score on."""
    edge: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    """Share of the frame: joints this close to its edge are not seen. Chosen: a cut body has its joints there."""


@dataclass(slots=True)
class _Watch:
    """One posture of one person. Times are those of `Attendance`."""

    judged_seconds: float
    """When the joints that it takes were seen last."""
    holds: bool = False
    """Its margin says so; `told` follows when it has said so for long enough."""
    changed_seconds: float = 0.0
    """When `holds` changed."""
    told: bool = False
    began_seconds: float = 0.0

    def take(self, margin: float, hysteresis: float, now_seconds: float) -> None:
        """Take the margin of this frame."""
        self.judged_seconds = now_seconds
        holds = margin >= (-hysteresis if self.holds else 0.0)
        if holds != self.holds:
            self.holds, self.changed_seconds = holds, now_seconds


@dataclass(slots=True)
class _Person(Visitor):
    """What is remembered of one person."""

    watches: dict[Posture, _Watch] = field(default_factory=dict)


class PoseRule(Rule):
    """Tells when a posture begins and ends: kinds `hands_up`, `hands_up_end` and so on, value `seconds`."""

    needs: ClassVar[frozenset[str]] = frozenset({"track_id", "keypoints"})

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        super().__init__(options, name)
        self._attendance = Attendance(_Person, options.gap_seconds)

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        here, gone = self._attendance.take(frame.pts_seconds, people)
        events = [event for person in gone for event in self._end(frame, people, person, list(person.watches))]
        for person in here:
            events += self._end(frame, people, person, self._unseen(person))
        bodies = Bodies(people, frame, self.options.min_joint_score, self.options.edge)
        for posture in self.options.postures:
            margins = _MARGINS[posture](bodies, self.options)
            for person in here:
                assert person.row is not None
                if self._changes(person, posture, float(margins[person.row])):
                    words = _WORDS[posture](bodies, self.options, person.row)
                    events.append(self._tell(frame, people, person, posture, words))
        return events

    def _changes(self, person: _Person, posture: Posture, margin: float) -> bool:
        """Take the margin of a posture, and tell whether the posture begins or ends now."""
        if math.isnan(margin):
            return False
        now = self._attendance.now_seconds
        watch = person.watches.setdefault(posture, _Watch(now))
        watch.take(margin, _hysteresis(posture, self.options), now)
        if (
            watch.holds == watch.told
            or self._attendance.seconds_since(watch.changed_seconds) < self.options.min_seconds
        ):
            return False
        watch.told = watch.holds
        watch.began_seconds = watch.changed_seconds if watch.told else watch.began_seconds
        return True

    def _tell(self, frame: Frame, people: Instances, person: _Person, posture: Posture, words: str) -> Event:
        watch = person.watches[posture]
        lasted = self._attendance.seconds_since(watch.began_seconds)
        seconds = lasted if watch.told else round(watch.changed_seconds - watch.began_seconds, 6)
        kind, reason = (posture, "for") if watch.told else (f"{posture}_end", "after")
        reason = f"{words}, {reason} {seconds:.1f} s"
        return self.event(kind, frame, reason, people, person.row, track_id=person.track_id, seconds=seconds)

    def _unseen(self, person: _Person) -> list[Posture]:
        """Give the postures that could not be judged for gap_seconds."""
        since = self._attendance.seconds_since
        gap_seconds = self.options.gap_seconds
        return [name for name, watch in person.watches.items() if since(watch.judged_seconds) >= gap_seconds]

    def _end(self, frame: Frame, people: Instances, person: _Person, postures: list[Posture]) -> list[Event]:
        """End and forget postures that are not seen any more."""
        events = []
        for posture in postures:
            watch = person.watches[posture]
            if watch.told:
                watch.told, watch.changed_seconds = False, watch.judged_seconds
                words = f"joints not seen for {self._attendance.seconds_since(watch.judged_seconds):.1f} s"
                events.append(self._tell(frame, people, person, posture, words))
            del person.watches[posture]
        return events


def _hysteresis(posture: Posture, options: Options) -> float:
    return options.hands_hysteresis if posture == "hands_up" else options.hysteresis_degrees


def _both(a: Floats, b: Floats, hysteresis: float) -> Floats:
    """Join two margins of which both must hold, shape (n,): NaN unless the one that is seen settles it."""
    smaller = np.fmin(a, b)
    return np.where((np.isnan(a) | np.isnan(b)) & (smaller >= -hysteresis), np.nan, smaller)


def _hands_up(bodies: Bodies, options: Options) -> Floats:
    margins = bodies.hand_rises - options.hands_margin
    margins[bodies.torso_degrees > options.lying_degrees] = -np.inf  # arms along a body that lies head down
    left, right = margins.T
    return np.fmax(left, right) if options.one_hand else _both(left, right, options.hands_hysteresis)


def _sitting(bodies: Bodies, options: Options) -> Floats:
    thighs = bodies.thigh_degrees - options.sitting_thigh_degrees
    return _both(thighs, options.sitting_torso_degrees - bodies.torso_degrees, options.hysteresis_degrees)


def _lying(bodies: Bodies, options: Options) -> Floats:
    torso, axis = (angle - options.lying_degrees for angle in (tilt(bodies.torso_degrees), bodies.axis_degrees))
    return _both(torso, axis, options.hysteresis_degrees)


def _hands_words(bodies: Bodies, options: Options, row: int) -> str:
    lower, upper = sorted(bodies.hand_rises[row].tolist(), key=lambda rise: (math.isnan(rise), rise))
    hand, rise = ("higher", upper) if options.one_hand and not math.isnan(upper) else ("lower", lower)
    return f"the {hand} wrist {rise:.2f} of the torso above the shoulders (up at {options.hands_margin:g})"


def _sitting_words(bodies: Bodies, options: Options, row: int) -> str:
    return (
        f"thighs {_degrees(bodies.thigh_degrees[row])} from hanging (sitting at {options.sitting_thigh_degrees:g}), "
        f"torso {_degrees(bodies.torso_degrees[row])} from upright (at most {options.sitting_torso_degrees:g})"
    )


def _lying_words(bodies: Bodies, options: Options, row: int) -> str:
    return (
        f"torso {_degrees(bodies.torso_degrees[row])} from upright, body tilted by "
        f"{_degrees(bodies.axis_degrees[row])} (lying at {options.lying_degrees:g})"
    )


def _degrees(angle: float) -> str:
    return "unseen" if math.isnan(angle) else f"{angle:.0f} degrees"


_MARGINS: Final[dict[Posture, Callable[[Bodies, Options], Floats]]] = {
    "hands_up": _hands_up,
    "sitting": _sitting,
    "lying": _lying,
}
"""By how much each posture holds, shape (n,): 0 and more begins it, NaN is not to be judged."""
_WORDS: Final[dict[Posture, Callable[[Bodies, Options, int], str]]] = {
    "hands_up": _hands_words,
    "sitting": _sitting_words,
    "lying": _lying_words,
}
"""What the person of a row does, in words with numbers."""
