"""What a rule is."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from pipeline.plugin import Options, Plugin
from pipeline.types import NO_TRACK, Event, Frame, Instances, Place

__all__ = ["Rule"]


class Rule(Plugin):
    """Looks at the people of one source, frame after frame, and says when something happens. One rule a source.

    A rule sees tracks, not pixels, and counts in the time of the stream (PTS): frames that were skipped are a larger
    step, and a file gives the same events however fast it is read.

    Args:
        options: Of the plug-in.
        name: Of this rule in a configuration: `door`, or its kind where it has no name.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"track_id"})
    """Columns of `Instances` that it looks at; `keypoints` too where it judges poses."""

    def __init__(self, options: Options, name: str) -> None:
        """Know nobody."""
        self.options = options
        self.name = name

    @abstractmethod
    def update(self, frame: Frame, people: Instances) -> list[Event]:
        """Take the people of the next frame.

        Args:
            frame: For its time and size; its picture is not looked at.
            people: Rows without an identity (NO_TRACK) are left alone.

        Returns:
            What happened, in the order in which it happened.
        """

    def places(self, frame: Frame) -> tuple[Place, ...]:  # noqa: ARG002 - most rules look everywhere
        """Say where in a frame it looks, in pixels; nowhere in particular by default."""
        return ()

    def event(
        self,
        kind: str,
        frame: Frame,
        reason: str,
        people: Instances | None = None,
        row: int | None = None,
        *,
        is_state: bool = False,
        track_id: int | None = None,
        **values: float | str | bool,
    ) -> Event:
        """Make an event of this rule.

        Args:
            kind: What happened: `enter`, `leave`, `cross`, `fall` ...
            frame: When.
            reason: Why, in words, with numbers: `in zone 'door' for 12.4 s, more than 10 s`.
            people: The table of the frame, with `row`: whom it concerns. Box and joints are taken from there.
            row: Of `people`.
            is_state: It says how things are now (`occupancy`), so that only the last one of its kind counts.
            track_id: Whom it concerns, where that person is not in this frame any more.
            **values: What else to say: `zone="door"`, `seconds=12.4`, `count=3`.
        """
        box = joints = None
        if people is not None and row is not None:
            box = tuple(people.xyxy[row].tolist())
            if people.track_id is not None and people.track_id[row] != NO_TRACK:
                track_id = int(people.track_id[row])
            if people.keypoints is not None and people.keypoint_score is not None:
                joints = np.column_stack([people.keypoints[row], people.keypoint_score[row]])
        return Event(
            source_id=frame.source_id,
            rule=self.name,
            kind=kind,
            frame_index=frame.index,
            pts_seconds=frame.pts_seconds,
            captured_at=frame.captured_at,
            reason=reason,
            track_id=track_id,
            xyxy=box,
            keypoints=joints,
            values=values,
            is_state=is_state,
        )
