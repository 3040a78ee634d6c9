"""A plug-in of every role, as a file of plug-ins would hold it: for tests that put chains together.

`PLUGINS` is what `pipeline.registry.PLUGINS` would say of them. All share one `Options`, which has a device; the sink
`null`, which has none, is the real one.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from pipeline.types import Event, Frame, Instances, Packet
from stages.detectors.base import Detector
from stages.poses.base import PoseModel
from stages.rules.base import Rule
from stages.sinks.base import FrameSink
from stages.sources.base import FrameSource
from trackers.base import Tracker

PLUGINS = {
    "source": {"lamp": "plugins_for_tests:LampSource", "street": "plugins_for_tests:StreetSource"},
    "detector": {"finder": "plugins_for_tests:Finder"},
    "pose": {
        "one-stage": "plugins_for_tests:OneStage",
        "top-down": "plugins_for_tests:TopDown",
        "either": "plugins_for_tests:Either",
    },
    "tracker": {"follower": "plugins_for_tests:Follower"},
    "rule": {"head-count": "plugins_for_tests:HeadCount", "posture": "plugins_for_tests:Posture"},
    "sink": {
        "table": "plugins_for_tests:TableSink",
        "joints": "plugins_for_tests:JointSink",
        "ids": "plugins_for_tests:IdSink",
        "happenings": "plugins_for_tests:HappeningsSink",
        "null": "stages.sinks.null:NullSink",
    },
}


class Options(plugin.Options):
    """Options of all of them."""

    path: str = "out.txt"
    """What a sink writes, and what the source `street` takes its name from."""
    confidence: float = Field(default=0.5, ge=0, le=1)
    """Only there to be got wrong."""
    device: str = "nowhere"
    """Where it runs."""
    password: str | None = None
    """Only there to be kept."""


class LampSource(FrameSource):
    """Has a name made from its class."""

    def read(self) -> Frame | None:
        return None


class StreetSource(FrameSource):
    """Makes two sources of one entry, with different names."""

    @classmethod
    def expand(cls, options: plugin.Options, source_id: str | None) -> "Sequence[StreetSource]":
        assert isinstance(options, Options)
        return [cls(options, f"{source_id or options.path}-{side}") for side in ("left", "right")]

    def read(self) -> Frame | None:
        return None


class Finder(Detector):
    def __init__(self, options: Options) -> None:
        self.options = options

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        return [Instances.empty() for _ in frames]


class OneStage(PoseModel):
    boxes: ClassVar[str] = "unused"

    def __init__(self, options: Options) -> None:
        self.options = options

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        return [people or Instances.empty() for _, people in zip(frames, instances, strict=True)]


class TopDown(OneStage):
    boxes: ClassVar[str] = "needed"


class Either(OneStage):
    boxes: ClassVar[str] = "optional"


class Follower(Tracker):
    def __init__(self, options: Options) -> None:
        self.options = options

    def update(
        self,
        instances: Instances,
        pts_seconds: float,  # noqa: ARG002 - follows nobody
        image: NDArray[np.uint8] | None = None,  # noqa: ARG002 - follows nobody
        warp: NDArray[np.float64] | None = None,  # noqa: ARG002 - follows nobody
    ) -> Instances:
        return instances.with_columns(track_id=np.arange(len(instances)) + 1)

    def reset(self) -> None:
        """Keep nothing."""


class HeadCount(Rule):
    """Says in every frame how many people there are."""

    def update(self, frame: Frame, people: Instances) -> list[Event]:
        return [self.event("count", frame, f"{len(people)} people", count=len(people))]


class Posture(HeadCount):
    needs: ClassVar[frozenset[str]] = frozenset({"track_id", "keypoints"})


class TableSink(FrameSink):
    def targets(self) -> tuple[str, ...]:
        return (str(Path(self.out) / self.options.path),)

    def write(self, packet: Packet) -> None:
        """Write nothing."""


class JointSink(TableSink):
    needs: ClassVar[frozenset[str]] = frozenset({"keypoints"})


class IdSink(TableSink):
    needs: ClassVar[frozenset[str]] = frozenset({"xyxy", "track_id"})


class HappeningsSink(TableSink):
    needs: ClassVar[frozenset[str]] = frozenset({"events"})
