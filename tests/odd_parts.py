"""Plug-ins for runs of real cameras: a rule that always has something to say, and detectors that are slow or break.

`PLUGINS` is what `pipeline.registry.PLUGINS` would say of them.
"""

import time
from collections.abc import Sequence
from typing import ClassVar

from pipeline import plugin
from pipeline.types import Event, Frame, Instances
from stages.detectors.base import Detector
from stages.rules.base import Rule

PLUGINS = {
    "rule": {"tick": "odd_parts:Tick"},
    "detector": {"brittle": "odd_parts:Brittle", "sluggish": "odd_parts:Sluggish"},
}


class Options(plugin.Options):
    """Options of all of them."""

    breaks_on: int = 10
    """The frame that `brittle` cannot take."""
    seconds: float = 0.3
    """How long `sluggish` takes for a batch."""


class Tick(Rule):
    """Says that a frame was there."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        return [self.event("tick", frame, "a frame came", people, number=frame.index)]


class Brittle(Detector):
    """Breaks on one frame of the source `bad`, however often it is asked."""

    max_batch = 4

    def __init__(self, options: Options) -> None:
        self.options = options

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        if any((frame.source_id, frame.index) == ("bad", self.options.breaks_on) for frame in frames):
            msg = "nobody thought of such a picture"
            raise ZeroDivisionError(msg)
        return [Instances.empty() for _ in frames]


class Sluggish(Detector):
    """Takes its time for each batch."""

    max_batch = 4

    def __init__(self, options: Options) -> None:
        self.options = options

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        time.sleep(self.options.seconds)
        return [Instances.empty() for _ in frames]
