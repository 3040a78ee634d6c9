"""Items, and people in them, for tests of what is annotated."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from pipeline.skeletons import COCO_17, Skeleton
from pipeline.types import NO_TRACK, Instances
from stages.dataloop.items import Item
from stages.dataloop.labels import Template
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator, Segment, Stamp

__all__ = ["FPS", "STAMP", "Moment", "annotate", "annotations_of", "make_item", "person", "table", "videos"]

FPS = 25.0
STAMP = Stamp(run_id="run-1", model_name="hrnet", model_id="m-1")


class Moment(NamedTuple):
    """A frame of a video: its number on the platform, and its people."""

    frame: int
    people: Instances


def make_item(name: str = "v.mp4", **facts: Any) -> Item:
    values: dict[str, Any] = {
        "id": "i-1", "dataset_id": "d-1", "name": name, "filename": f"/{name}", "size": 1,
        "mimetype": "video/mp4" if name.endswith("mp4") else "image/png", "width": 320, "height": 240,
        "frames_per_second": FPS if name.endswith("mp4") else None, "frame_count": None,
    }  # fmt: skip
    return Item(**{**values, **facts})


def person(
    track_id: int = 1,
    at: tuple[float, float] = (100, 50),
    score: ArrayLike = 0.9,
    skeleton: Skeleton = COCO_17,
) -> Instances:
    """Place a person whose joints stand below each other, 5 px apart, in the middle of a box of 40 x 90."""
    x, y = at
    joints = np.stack([np.full(len(skeleton), x), y + 5.0 * np.arange(len(skeleton))], axis=-1)
    one = Instances.of(
        [[x - 20, y, x + 20, y + 90]],
        [0.8],
        keypoints=joints[None],
        keypoint_score=np.broadcast_to(score, (1, len(skeleton))),
        skeleton=skeleton,
    )
    return one.with_columns(track_id=np.array([track_id]))


def table(people: Iterable[Instances]) -> Instances:
    """Put people into one table."""
    rows = list(people)
    if not rows:
        return Instances.empty()
    columns = ("xyxy", "score", "class_id", "keypoints", "keypoint_score", "track_id")
    return Instances(
        **{name: np.concatenate([getattr(one, name) for one in rows]) for name in columns}, skeleton=rows[0].skeleton
    )


def annotate(
    moments: Iterable[Moment | tuple[int, Instances]], item: Item | None = None, **options: Any
) -> list[Segment]:
    """Annotate a video; nobody is there for too short a time, if not said otherwise."""
    item = item or make_item()
    skeleton = COCO_17
    moments = list(moments)
    for _, people in moments:
        skeleton = people.skeleton or skeleton
    annotator = Annotator(item, Template("t-1", skeleton), STAMP, AnnotationOptions(**{"min_seconds": 0, **options}))
    segments = [one for frame, people in moments for one in annotator.add(frame / FPS, people)]
    return segments + annotator.finish()


def annotations_of(segments: Iterable[Segment]) -> list[dict[str, Any]]:
    """Give all annotations: poses, points and boxes."""
    return [one for segment in segments for one in (segment.pose, *segment.children)]


@st.composite
def videos(draw: st.DrawFn) -> list[Moment]:
    """People who come and go, stand, wander and jump; joints that are lost; frames that the video leaves out."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    people, length = draw(st.integers(1, 3)), draw(st.integers(1, 40))
    pace = draw(st.sampled_from([0.0, 0.3, 2.0, 50.0]))
    stays, sees = draw(st.sampled_from([0.7, 0.95, 1.0])), draw(st.sampled_from([0.5, 0.97, 1.0]))
    frames = np.cumsum(random.integers(1, draw(st.integers(2, 4)), length)) - 1
    places = random.uniform(-50, 370, (people, 19, 2))
    away = np.zeros(people, np.bool_)
    moments = []
    for frame in frames.tolist():
        places += random.normal(0, pace, places.shape)
        away ^= random.uniform(size=people) > stays
        scores = np.where(random.uniform(size=(people, 17)) < sees, 0.8, 0.1)
        corners = np.sort(places[:, 17:], axis=1).reshape(-1, 4)
        everybody = Instances.of(
            corners, np.full(people, 0.9), keypoints=places[:, :17], keypoint_score=scores, skeleton=COCO_17
        )
        ids = np.where(np.arange(people) == 2, NO_TRACK, np.arange(people) + 1)
        moments.append(Moment(frame, everybody.with_columns(track_id=ids)[~away]))
    return moments
