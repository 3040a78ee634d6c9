"""Fall: somebody who stood is on the ground, and stays there.

Two things must come together, for each alone is daily life: the torso leaves upright (so does bending over), and the
hips come down fast (so does sitting down). Then the person must stay down.

    standing      to going down   torso beyond torso_degrees, hips down by `drop` within within_seconds, near the ground
    going down    to standing     upright, or hips up again
                  to fallen       down for min_seconds: `fall`
    fallen        to fallen       down for long_seconds, once: `down`
                  to standing     upright for recover_seconds: `recover`

The body's height is never taken from the box, which shrinks behind a table or at the edge of the frame and grows with
an arm: it is the torso's length, remembered from when the torso was upright, over its share of the height.

What it does not see: somebody who falls straight away from the camera, whose torso then looks short but not tilted
(towards it is seen where the camera looks down, for the head comes to lie below the hips); somebody who slides down
slower than `drop` in within_seconds; somebody who gets another identity before lying still. A person who sits up
counts as recovered. Without ankles in sight nothing tells sitting down fast and leaning far forward from a fall.
"""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from pipeline import plugin
from pipeline.types import Event, Frame, Instances
from stages.judging.attendance import Attendance, Visitor
from stages.judging.body import TORSO, Bodies
from stages.rules.base import Rule

__all__ = ["FallRule", "Options"]

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
LongSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Degrees = Annotated[float, Field(ge=0, lt=180)]


class Options(plugin.Options):
    """Options of `FallRule`. Times are of the stream; heights are shares of the person's standing height.

    No threshold is measured on recordings of falls. They are chosen from the proportions of a body (Drillis and
    Contini 1966: hips at 0.53 of the height, at 0.29 on a chair, ankles at 0.04).
    """

    torso_degrees: Degrees = 55.0
    """A torso further from upright than this may lie. Chosen: walking and sitting stay below 30, lying is near 90."""
    recover_degrees: Degrees = 35.0
    """A torso up to this is upright; between the two, what was said last holds. Not above torso_degrees."""
    drop: Share = 0.25
    """How far the hips come down. Chosen: about half the way to the ground (0.45); bending over moves them by 0.05 or
    so. Sitting down moves them by 0.25 too: there the torso stays upright, and `ground` holds."""
    within_seconds: LongSeconds = 1.5
    """How fast: from the last upright moment to the drop. A free fall takes 0.5 s, a stumble about a second; chosen
    with room for a held one."""
    ground: Share = 0.2
    """The hips lie at most this far above the ankles, where those are seen. Chosen between lying (0.05) and sitting on
    a chair (0.25), nearer to the chair because perspective lifts whoever lies with the feet towards the camera."""
    min_seconds: Seconds = 1.0
    """A fall is told after the person has been down this long. Chosen: who is up again sooner has stumbled."""
    long_seconds: LongSeconds | None = 15.0
    """`down` is told, once, when the person is still down this long after going down. Chosen: most people who can get
    up by themselves have by then. None: never."""
    recover_seconds: Seconds = 1.0
    """Upright again for this long is recovered. Chosen as min_seconds."""
    stand_seconds: Seconds = 0.5
    """Upright for this long is standing (or sitting), from where one can fall. Chosen: longer than a wrong pose."""
    memory_seconds: LongSeconds = 2.0
    """Time constant with which the remembered height follows the person, who may come nearer. Chosen: slower than a
    lean, faster than a walk through the picture."""
    gap_seconds: LongSeconds = 2.0
    """Joints may be out of sight this long before a beginning fall or recovery is dropped. Must be more than the time
    between two frames. Who has fallen stays fallen: people on the ground are those who are seen worst."""
    forget_seconds: LongSeconds = 60.0
    """Who is not in the picture for longer is forgotten, without a word."""
    min_joint_score: Annotated[float, Field(ge=0, le=1)] = 0.3
    """A joint with less is not seen. Chosen: HRNet and YOLO draw joints from about this score on."""
    edge: Annotated[float, Field(ge=0, lt=0.5)] = 0.01
    """Share of the frame: joints this close to its edge are not seen. Chosen: a cut body has its joints there."""

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.recover_degrees > self.torso_degrees:
            msg = f"recover_degrees must be at most torso_degrees, {self.torso_degrees:g}, got {self.recover_degrees:g}"
            raise ValueError(msg)
        return self


class _Sight(NamedTuple):
    """What is seen of a person in one frame: pixels, y points down."""

    torso_degrees: float
    torso_px: float
    hips_y: float
    ankles_y: float
    """NaN where no ankle is seen."""


class _Happening(NamedTuple):
    """What an event is made of."""

    kind: str
    reason: str
    values: Mapping[str, float]


@dataclass(slots=True)
class _Person(Visitor):
    """What is remembered of one person."""

    judged_seconds: float = -math.inf
    """When the torso was seen last."""
    upright_seconds: float | None = None
    """Since when the torso is upright."""
    height_px: float = math.nan
    """Standing height, and when it was remembered."""
    height_seconds: float = 0.0
    hips: deque[tuple[float, float]] = field(default_factory=deque)
    """(time, y) of the hips while standing, of the last within_seconds; only those that no later one is above."""
    stood_y: float = math.nan
    """The hips before they went down, pixels."""
    down_seconds: float | None = None
    """Since when the person goes down, or has fallen."""
    fallen: bool = False
    told_long: bool = False

    def lose_sight(self) -> None:
        """Drop whatever has begun and is not told yet."""
        self.upright_seconds = None
        self.hips.clear()
        if not self.fallen:
            self.down_seconds = None


class FallRule(Rule):
    """Tells `fall` (values `seconds` since going down, `torso_degrees`, `drop`), `down` and `recover` (`seconds`)."""

    needs: ClassVar[frozenset[str]] = frozenset({"track_id", "keypoints"})

    options: Options

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        super().__init__(options, name)
        self._attendance = Attendance(_Person, options.forget_seconds)

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame: see `Rule.update`."""
        bodies = Bodies(people, frame, self.options.min_joint_score, self.options.edge)
        columns = (bodies.torso_degrees, bodies.torso_px, bodies.hips[:, 1], bodies.ankles[:, 1])
        sights = np.column_stack(columns).tolist()
        events = []
        for person in self._attendance.take(frame.pts_seconds, people)[0]:
            assert person.row is not None
            sight = _Sight(*sights[person.row])
            if not math.isnan(sight.torso_degrees) and (happening := self._judge(person, sight)):
                events.append(self._tell(frame, people, person, happening))
        return events

    def _tell(self, frame: Frame, people: Instances, person: _Person, what: _Happening) -> Event:
        number = person.track_id
        return self.event(
            what.kind, frame, what.reason, people, person.row, is_state=False, track_id=number, **what.values
        )

    def _judge(self, person: _Person, sight: _Sight) -> _Happening | None:
        """Take what is seen of a person, and say what happened."""
        now = self._attendance.now_seconds
        if self._lasted(person.judged_seconds, self.options.gap_seconds):
            person.lose_sight()
        person.judged_seconds = now
        if sight.torso_degrees > self.options.torso_degrees:
            person.upright_seconds = None
        elif self._is_upright(sight) and person.upright_seconds is None:
            person.upright_seconds = now
        return self._recovers(person) or self._stays(person) if person.fallen else self._falls(person, sight)

    def _falls(self, person: _Person, sight: _Sight) -> _Happening | None:
        if self._is_upright(sight) and self._lasted(person.upright_seconds, self.options.stand_seconds):
            self._remember(person, sight)
        while person.hips and self._attendance.seconds_since(person.hips[0][0]) > self.options.within_seconds:
            person.hips.popleft()
        if person.down_seconds is None:
            self._go_down(person, sight)
        elif self._is_upright(sight) or _drop(person, sight) < self.options.drop / 2:
            person.down_seconds = None
        if self._lasted(person.down_seconds, self.options.min_seconds) and self._is_near_ground(person, sight):
            return self._fall(person, sight)
        return None

    def _remember(self, person: _Person, sight: _Sight) -> None:
        """Let the height follow, and keep where the hips are."""
        now, height_px = self._attendance.now_seconds, sight.torso_px / TORSO
        if math.isnan(person.height_px):
            person.height_px = height_px
        kept = math.exp((person.height_seconds - now) / self.options.memory_seconds)
        person.height_px = kept * person.height_px + (1 - kept) * height_px
        person.height_seconds = now
        while person.hips and person.hips[-1][1] >= sight.hips_y:
            person.hips.pop()
        if not person.hips or person.hips[-1][0] < now:
            person.hips.append((now, sight.hips_y))

    def _go_down(self, person: _Person, sight: _Sight) -> None:
        if not person.hips or sight.torso_degrees <= self.options.torso_degrees:
            return
        person.stood_y = person.hips[0][1]
        if _drop(person, sight) >= self.options.drop and self._is_near_ground(person, sight):
            person.down_seconds = self._attendance.now_seconds

    def _fall(self, person: _Person, sight: _Sight) -> _Happening:
        person.fallen, person.told_long = True, False
        person.hips.clear()
        seconds, drop = self._since(person.down_seconds), _drop(person, sight)
        reason = (
            f"hips down by {drop:.2f} of the body's height within {self.options.within_seconds:g} s (at least "
            f"{self.options.drop:g}), torso {sight.torso_degrees:.0f} degrees from upright (more than "
            f"{self.options.torso_degrees:g}), for {seconds:.1f} s"
        )
        return _Happening("fall", reason, {"seconds": seconds, "torso_degrees": sight.torso_degrees, "drop": drop})

    def _recovers(self, person: _Person) -> _Happening | None:
        if not self._lasted(person.upright_seconds, self.options.recover_seconds):
            return None
        upright = self._since(person.upright_seconds)
        seconds = self._since(person.down_seconds) - upright
        person.fallen, person.down_seconds = False, None
        reason = f"upright for {upright:.1f} s, after {seconds:.1f} s on the ground"
        return _Happening("recover", reason, {"seconds": seconds})

    def _stays(self, person: _Person) -> _Happening | None:
        long_seconds = self.options.long_seconds
        if person.told_long or person.upright_seconds is not None or long_seconds is None:
            return None
        if not self._lasted(person.down_seconds, long_seconds):
            return None
        person.told_long = True
        seconds = self._since(person.down_seconds)
        reason = f"on the ground for {seconds:.1f} s (at least {long_seconds:g}) since the fall"
        return _Happening("down", reason, {"seconds": seconds})

    def _is_upright(self, sight: _Sight) -> bool:
        return sight.torso_degrees <= self.options.recover_degrees

    def _is_near_ground(self, person: _Person, sight: _Sight) -> bool:
        """Tell whether the hips are hardly above the ankles; yes where no ankle is seen (a comparison with NaN)."""
        return not (sight.ankles_y - sight.hips_y) / person.height_px > self.options.ground

    def _since(self, moment_seconds: float | None) -> float:
        assert moment_seconds is not None
        return self._attendance.seconds_since(moment_seconds)

    def _lasted(self, since_seconds: float | None, seconds: float) -> bool:
        return since_seconds is not None and self._since(since_seconds) >= seconds


def _drop(person: _Person, sight: _Sight) -> float:
    """Measure how far the hips are down from where they stood, as a share of the standing height."""
    return (sight.hips_y - person.stood_y) / person.height_px
