"""Finds people and their joints with BlazePose, on the CPU."""

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from pipeline.skeletons import COCO_17
from pipeline.types import Frame, Instances
from stages.blazepose.follow import FollowOptions, Scene, next_scene
from stages.blazepose.search import PeopleFinder
from stages.geometry import box_to_region
from stages.poses.base import PoseModel

__all__ = ["BlazePose", "Options"]


class Options(FollowOptions):
    """How people are found and kept."""

    box_padding: float = Field(default=1.4, ge=1, le=3)
    """Where a detector gives boxes: side of the square the network sees, in longer sides of the box. The network was
    made for squares about the hips that hold the whole body with its arms out."""
    looks: int = Field(default=2, ge=1, le=3)
    """Where a detector gives boxes: how often the network looks at a person. The second time it looks at the region
    that it chose itself, which is turned with the body: OKS on COCO rises by 0.05, for twice the time."""


class BlazePose(PoseModel):
    """Estimates the joints of people in given boxes, or finds people by itself and follows them."""

    boxes: ClassVar[str] = "optional"
    description = "BlazePose, litert on cpu"

    def __init__(self, options: Options) -> None:
        """Keep the options."""
        self.options = options
        self._finder = PeopleFinder(options)
        self._scenes: dict[str, Scene] = {}

    def open(self) -> None:
        """Load the networks.

        Raises:
            WeightsError: They cannot be had, are damaged, or are other ones.
        """
        self._finder.open()

    def close(self) -> None:
        """Give back the networks and their threads, and forget everybody."""
        self._finder.close()
        self._scenes.clear()

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        """Find joints, in the boxes where there are some, else of everybody.

        A row's own score is kept; without boxes, it is that of the landmark network. A joint's score is that of the
        person times presence times visibility: a hidden joint has a position, and a low score.
        """
        return [
            self._find(frame) if people is None else self._fill(frame, people)
            for frame, people in zip(frames, instances, strict=True)
        ]

    def end_source(self, source_id: str) -> None:
        """Forget the people of a source."""
        self._scenes.pop(source_id, None)

    def _find(self, frame: Frame) -> Instances:
        before = self._scenes.get(frame.source_id)
        scene = next_scene(self._finder, self.options, before, frame.image, frame.pts_seconds)
        self._scenes[frame.source_id] = scene
        return scene.people.to_instances(frame.width, frame.height)

    def _fill(self, frame: Frame, people: Instances) -> Instances:
        regions = [box_to_region(box, padding=self.options.box_padding) for box in people.xyxy]
        _, poses = self._finder.look(frame.image, [], regions)
        for _ in range(self.options.looks - 1):
            sure = poses.score > self.options.follow_score  # of the others, the network's own region means nothing
            regions = [own if ok else box for own, ok, box in zip(poses.regions(), sure, regions, strict=True)]
            _, poses = self._finder.look(frame.image, [], regions)
        return people.with_columns(keypoints=poses.keypoints(), keypoint_score=poses.keypoint_score(), skeleton=COCO_17)
