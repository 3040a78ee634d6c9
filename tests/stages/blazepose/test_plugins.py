from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Frame, Instances
from stages.blazepose.search import PeopleFinder
from stages.detectors import blazepose as detector
from stages.geometry import Region
from stages.poses import blazepose as pose

MakeFrame = Callable[..., Frame]


@pytest.fixture(scope="module")
def loaded() -> Iterator[pose.BlazePose]:
    with pose.BlazePose(pose.Options()) as model:
        yield model


@pytest.fixture
def model(loaded: pose.BlazePose) -> pose.BlazePose:
    """A model that knows nobody."""
    for source_id in ("cam", "other"):
        loaded.end_source(source_id)
    return loaded


@pytest.fixture
def tiles_seen(monkeypatch: pytest.MonkeyPatch) -> list[Region]:
    """The tiles that the detector is asked about, in order."""
    seen: list[Region] = []
    look = PeopleFinder.look

    def watched(
        self: PeopleFinder, image: NDArray[np.uint8], tiles: Sequence[Region], bodies: Sequence[Region]
    ) -> object:
        seen.extend(tiles)
        return look(self, image, tiles, bodies)

    monkeypatch.setattr(PeopleFinder, "look", watched)
    return seen


def pan(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """What a camera sees that turns left by three pixels a frame."""
    return np.ascontiguousarray(np.roll(image, 3 * step, axis=1))


def positions(people: Instances) -> NDArray[np.float32]:
    """Where people are, shape (n, 2): their middle joint."""
    assert people.keypoints is not None
    return np.median(people.keypoints, axis=1)


def find(model: pose.BlazePose, frame: Frame) -> Instances:
    return model.estimate([frame], [None])[0]


def test_the_detector_gives_the_boxes_of_people_best_first(street: NDArray[np.uint8], frame_of: MakeFrame) -> None:
    with detector.BlazePoseDetector(detector.Options()) as model:
        once, again = model.detect([frame_of(street), frame_of(street)])
    assert len(once) >= 2
    assert once.keypoints is None
    assert_array_equal(once.score, np.sort(once.score)[::-1])
    assert (once.xyxy >= 0).all()
    assert (once.xyxy <= np.tile((street.shape[1], street.shape[0]), 2)).all()
    assert_array_equal(once.xyxy, again.xyxy)


@pytest.mark.parametrize("plugin", [detector.BlazePoseDetector(detector.Options()), pose.BlazePose(pose.Options())])
def test_closing_what_was_never_opened_is_fine(plugin: detector.BlazePoseDetector | pose.BlazePose) -> None:
    plugin.close()
    plugin.close()


def test_joints_are_found_in_given_boxes_row_by_row(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame
) -> None:
    boxes = Instances.of([[220, 400, 350, 865], [45, 395, 235, 905]], [0.8, 0.9], class_id=[3, 4])
    people = model.estimate([frame_of(street)], [boxes])[0]
    assert people.skeleton is COCO_17
    assert people.keypoints is not None
    assert people.keypoint_score is not None
    assert_array_equal(people.xyxy, boxes.xyxy)
    assert_array_equal(people.score, boxes.score)
    assert_array_equal(people.class_id, boxes.class_id)
    for joints, box in zip(people.keypoints, boxes.xyxy, strict=True):
        assert (joints > box[:2] - 10).all()
        assert (joints < box[2:] + 10).all()
    assert people.keypoint_score.mean() > 0.7


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([], id="no box"),
        pytest.param([[10, 10, 10, 10]], id="empty box"),
        pytest.param([[-900, -900, -800, -800]], id="outside the picture"),
    ],
)
def test_boxes_without_a_person_get_joints_that_nobody_believes(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame, boxes: list[list[float]]
) -> None:
    people = model.estimate([frame_of(street)], [Instances.of(boxes, np.ones(len(boxes)))])[0]
    assert people.keypoint_score is not None
    assert people.keypoint_score.shape == (len(boxes), 17)
    assert (people.keypoint_score < 0.5).all()


def test_people_are_followed_in_the_same_rows(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame
) -> None:
    first = find(model, frame_of(street))
    for step in range(1, 10):
        last = find(model, frame_of(pan(street, step), index=step, pts_seconds=step / 30))
    assert len(last) >= 2
    assert_allclose(positions(last)[:2], positions(first)[:2] + np.array([27, 0]), atol=8)


def test_each_tile_is_looked_at_once_in_search_seconds(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame, tiles_seen: list[Region]
) -> None:
    find(model, frame_of(street))
    everything = list(tiles_seen)
    tiles_seen.clear()
    a_frame = []
    for step in range(1, 16):
        before = len(tiles_seen)
        find(model, frame_of(street, index=step, pts_seconds=step / 30))
        a_frame.append(len(tiles_seen) - before)
    assert tiles_seen[: len(everything) - 1] == everything[:-1]
    assert max(a_frame) <= len(everything) / 15 + 1


@pytest.mark.parametrize(
    ("pts_seconds", "searches"),
    [
        pytest.param(0.0, False, id="the same frame again"),
        pytest.param(0.04, False, id="the next frame"),
        pytest.param(5.0, True, id="after a gap"),
        pytest.param(-5.0, True, id="time went back"),
    ],
)
def test_everything_is_searched_when_nothing_is_known(
    model: pose.BlazePose,
    street: NDArray[np.uint8],
    frame_of: MakeFrame,
    tiles_seen: list[Region],
    pts_seconds: float,
    searches: bool,  # noqa: FBT001 - a column of the table
) -> None:
    find(model, frame_of(street))
    everything = len(tiles_seen)
    find(model, frame_of(street, index=1, pts_seconds=pts_seconds))
    assert (len(tiles_seen) == 2 * everything) is searches


def test_a_frame_may_come_twice(model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame) -> None:
    find(model, frame_of(street))
    frame = frame_of(pan(street, 1), index=1, pts_seconds=0.04)
    once, again = find(model, frame), find(model, frame)
    assert len(once) == len(again)
    assert_allclose(positions(again), positions(once), atol=8)


def test_who_is_gone_is_not_reported(model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame) -> None:
    find(model, frame_of(street))
    assert len(find(model, frame_of(np.zeros_like(street), index=1, pts_seconds=0.04))) == 0


def test_sources_know_nothing_of_each_other(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame
) -> None:
    black = np.zeros_like(street)
    frames = [frame_of(street), frame_of(black, "other")]
    people, nobody = model.estimate(frames, [None, None])
    assert len(people) >= 2
    assert len(nobody) == 0
    frames = [frame_of(street, index=1, pts_seconds=0.04), frame_of(black, "other", 1, 0.04)]
    assert [len(table) for table in model.estimate(frames, [None, None])] == [len(people), 0]


def test_an_ended_source_is_forgotten(
    model: pose.BlazePose, street: NDArray[np.uint8], frame_of: MakeFrame, tiles_seen: list[Region]
) -> None:
    find(model, frame_of(street))
    everything = len(tiles_seen)
    model.end_source("cam")
    model.end_source("never seen")
    find(model, frame_of(street, index=1, pts_seconds=0.04))
    assert len(tiles_seen) == 2 * everything
