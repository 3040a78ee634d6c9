"""Warps: what they do to points and boxes, and the files they come from."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.errors import ConfigError
from trackers.camera_motion import STILL, between, compose, read_warps, scale_of, warp_boxes, warp_points

Warp = np.ndarray
warps = arrays(np.float64, (2, 3), elements=st.floats(-3, 3))


def test_a_still_camera_moves_nothing() -> None:
    boxes = np.array([[1.0, 2, 30, 40], [0, 0, 0, 0]])
    np.testing.assert_array_equal(warp_boxes(boxes, STILL), boxes)
    np.testing.assert_array_equal(warp_points(boxes[:, :2], STILL), boxes[:, :2])


def test_nobody_can_be_warped() -> None:
    assert warp_boxes(np.empty((0, 4)), STILL).shape == (0, 4)
    assert warp_points(np.empty((0, 17, 2)), STILL).shape == (0, 17, 2)


@given(first=warps, second=warps, points=arrays(np.float64, (3, 2), elements=st.floats(-100, 100)))
def test_a_composed_warp_does_one_after_the_other(first: Warp, second: Warp, points: Warp) -> None:
    together = warp_points(points, compose(first, second))
    np.testing.assert_allclose(together, warp_points(warp_points(points, first), second), atol=1e-9)


def test_a_turn_moves_centres_and_keeps_sizes_and_a_zoom_scales_both() -> None:
    quarter = np.array([[0.0, -1, 0], [1, 0, 0]])
    np.testing.assert_allclose(scale_of(quarter), [1, 1])
    np.testing.assert_allclose(warp_boxes(np.array([90.0, 40, 110, 60]), quarter), [-60, 90, -40, 110])
    np.testing.assert_allclose(warp_boxes(np.array([10.0, 20, 30, 60]), 2 * STILL), [20, 40, 60, 120])


def shifts(n: int) -> Warp:
    """Frame i has moved by i pixels since the one before."""
    return np.array([[[1, 0, i], [0, 1, 0]] for i in range(n)], np.float64)


@pytest.mark.parametrize(
    ("before", "now", "shift"),
    [
        pytest.param(0, 1, 1, id="next"),
        pytest.param(1, 4, 2 + 3 + 4, id="over two that were left out"),
        pytest.param(-1, 0, None, id="the first frame"),
        pytest.param(3, 3, None, id="no step"),
        pytest.param(4, 1, None, id="begun anew"),
        pytest.param(3, 5, None, id="behind the end"),
    ],
)
def test_frames_that_were_left_out_are_composed(before: int, now: int, shift: float | None) -> None:
    warp = between(shifts(5), before, now)
    assert (warp is None) == (shift is None)
    if warp is not None:
        np.testing.assert_array_equal(warp, [[1, 0, shift], [0, 1, 0]])


@pytest.mark.parametrize(
    "text",
    [
        "0\t1.0\t0.0\t0.0\t0.0\t1.0\t0.0\t\n1\t1.0\t0.5\t-9.7\t-0.5\t1.0\t2.0\t\n",
        "1,1,0,0,0,1,0\r\n\r\n2,1,0.5,-9.7,-0.5,1,2\r\n",
        "0 1 0 0 0 1 0\n1 1 .5 -9.7 -.5 1 2",
    ],
    ids=["as published", "commas, from 1", "blanks, no last line end"],
)
def test_a_file_of_warps_is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gmc.txt"
    path.write_text(text)
    np.testing.assert_array_equal(read_warps(path), [STILL, [[1, 0.5, -9.7], [-0.5, 1, 2]]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "has no lines", id="empty"),
        pytest.param(
            "0 1 0 0 0 1 0\n1 1 0 0 0 1\n", r"gmc.txt:2: must be 7 numbers.*got '1 1 0 0 0 1'", id="too short"
        ),
        pytest.param("0 1 0 0 0 1 x\n", r"gmc.txt:1: must be 7 numbers", id="no number"),
        pytest.param("0 1 0 nan 0 1 0\n", r"gmc.txt:1: must be 7 numbers", id="nan"),
        pytest.param("7 1 0 0 0 1 0\n", r"gmc.txt:1: .*expected 0 or 1, got 7", id="begins late"),
        pytest.param("0 1 0 0 0 1 0\n\n2 1 0 0 0 1 0\n", r"gmc.txt:3: .*expected 1, got 2", id="a gap"),
    ],
)
def test_a_wrong_file_of_warps_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gmc.txt"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_warps(path)


def test_a_file_of_warps_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the camera motion.*No such file"):
        read_warps(tmp_path / "gone.txt")
    (tmp_path / "picture").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ConfigError, match="it is no text"):
        read_warps(tmp_path / "picture")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["MOT17-half-val/MOT17-05", "DanceTrack-simdet/dancetrack0019"])
def test_a_published_warp_is_that_of_its_own_frame(shared: Path, name: str) -> None:
    """Were a line of the file that of another frame, it would bring them less close."""
    folder = shared / "mot" / name
    published = read_warps(folder / "gmc/gmc.txt")
    truth = np.loadtxt(folder / "gt/gt.txt", delimiter=",")[:, :6]
    people = {(int(frame), int(person)): np.array([x, y, x + w, y + h]) for frame, person, x, y, w, h in truth}
    pairs = [(frame, box, people[frame + 1, who]) for (frame, who), box in people.items() if (frame + 1, who) in people]
    boxes, then = (np.array(column) for column in list(zip(*pairs, strict=True))[1:])
    frames = np.array([frame for frame, _, _ in pairs])
    off = {}
    for lag in (-2, -1, 0, 1, 2):
        warped = boxes.copy()
        for frame in np.unique(frames):
            warp = published[min(frame + lag, len(published) - 1)]  # a frame's number is the index of the next one
            warped[frames == frame] = warp_boxes(boxes[frames == frame], warp)
        off[lag] = np.median(np.abs(warped - then).mean(axis=1))
    assert min(off, key=lambda lag: off[lag]) == 0
