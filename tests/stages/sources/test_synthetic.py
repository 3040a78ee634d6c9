"""Drawn people: where they are is known exactly, and the same every time."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.skeletons import COCO_17
from pipeline.types import Frame
from stages.drawing.figures import walking_pose
from stages.sources.synthetic import Options, SyntheticSource


def read(count: int, **options: object) -> list[Frame]:
    with SyntheticSource(Options.model_validate({"frames": count, **options}), "drawn") as source:
        return list(iter(source.read, None))


def test_frames_come_once_in_order_and_end() -> None:
    frames = read(5, frames_per_second=10)
    assert [(frame.index, frame.pts_seconds) for frame in frames] == [(i, i / 10) for i in range(5)]
    assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
    assert frames[0].stream.expected_frames == 5
    assert read(0) == []


def test_the_picture_is_drawn_once_and_cannot_be_written_to() -> None:
    frame = read(1)[0]
    assert frame.image.shape == (480, 640, 3)
    assert frame.image is frame.image
    assert not frame.image.flags.writeable


def test_the_seed_decides_everything() -> None:
    first, again, other = (read(30, seed=seed)[-1].image for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@settings(max_examples=60)
@given(
    people=st.integers(0, 9),
    width=st.integers(16, 900),
    height=st.integers(16, 900),
    index=st.integers(0, 10**6),
    seed=st.integers(0, 99),
)
def test_the_truth_is_inside_the_picture(people: int, width: int, height: int, index: int, seed: int) -> None:
    options = Options(people=people, width=width, height=height, seed=seed)
    truth = SyntheticSource(options, "drawn").truth(index)
    assert len(truth) == people
    assert truth.skeleton is COCO_17
    assert truth.track_id is not None
    assert truth.track_id.tolist() == list(range(1, people + 1))
    assert np.all(truth.xyxy >= 0)
    assert np.all(truth.xyxy <= [width, height] * 2)
    assert np.all(truth.xyxy[:, 2:] > truth.xyxy[:, :2])


def test_the_boxes_and_joints_are_where_the_people_are_drawn() -> None:
    options = Options(people=1, frames=200)
    empty = read(1, people=0)[0].image
    with SyntheticSource(options, "drawn") as source:
        for frame in iter(source.read, None):
            if frame.index % 20:
                continue
            truth = source.truth(frame.index)
            assert truth.keypoints is not None
            rows, columns = np.nonzero((frame.image != empty).any(axis=2))
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            np.testing.assert_allclose(truth.xyxy[0], drawn, atol=3)
            x, y = truth.keypoints[0].round().astype(int).T
            # Ears and nose stand beside the head's disc at most; all below are covered by what is drawn.
            assert (frame.image[y[5:], x[5:]] != empty[y[5:], x[5:]]).any(axis=1).all()


def test_people_move_smoothly_and_cross_each_other() -> None:
    source = SyntheticSource(Options(people=6), "drawn")
    centres = np.array([source.truth(index).xyxy.reshape(6, 2, 2).mean(axis=1)[:, 0] for index in range(2000)])
    steps = np.abs(np.diff(centres, axis=0))
    assert steps.max() < 20
    order = np.sign(centres[:, :, None] - centres[:, None, :])
    changes = (np.diff(order, axis=0) != 0).any(axis=0)
    assert changes[np.triu_indices(6, 1)].mean() > 0.5  # most pairs pass each other in 80 seconds


def test_a_stride_moves_left_and_right_in_turn() -> None:
    there, later = walking_pose(np.array([0.5, 1.5]) * np.pi)
    left, right = COCO_17.joints.index("left_ankle"), COCO_17.joints.index("right_ankle")
    assert (there[left, 0] - there[right, 0]) * (later[left, 0] - later[right, 0]) < 0


def test_several_streams_have_names_and_people_of_their_own() -> None:
    sources = SyntheticSource.expand(Options(streams=3), None)
    assert [source.source_id for source in sources] == ["synthetic-1", "synthetic-2", "synthetic-3"]
    assert not np.array_equal(sources[0].truth(0).xyxy, sources[1].truth(0).xyxy)
    assert [source.source_id for source in SyntheticSource.expand(Options(), None)] == ["synthetic"]
    assert [source.source_id for source in SyntheticSource.expand(Options(streams=2), "hall")] == ["hall-1", "hall-2"]


def test_real_time_is_paced_like_a_camera() -> None:
    started = time.monotonic()
    frames = read(6, frames_per_second=100, realtime=True)
    assert time.monotonic() - started >= 0.05
    assert all(frame.arrived_monotonic >= started + frame.pts_seconds for frame in frames)
    assert frames[0].stream.live


def test_as_fast_as_possible_is_not_live() -> None:
    assert not SyntheticSource(Options(), "drawn").live
    assert SyntheticSource(Options(realtime=True), "drawn").live


@pytest.mark.timeout(10)
def test_closing_ends_a_read_that_waits() -> None:
    source = SyntheticSource(Options(frames_per_second=0.001, realtime=True), "slow")
    source.open()
    assert source.read() is not None  # the first frame is due at once, the next in a quarter of an hour
    results: list[Frame | None] = []
    reader = threading.Thread(target=lambda: results.append(source.read()))
    reader.start()
    source.close()
    source.close()
    reader.join()
    assert results == [None]


def test_frames_that_nobody_looks_at_are_cheap() -> None:
    source = SyntheticSource(Options(people=50), "drawn")
    source.open()
    started = time.process_time()
    for _ in range(2000):
        source.read()
    assert 2000 / (time.process_time() - started) > 20_000
