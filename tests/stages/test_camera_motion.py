"""How the camera moved, found in pictures that were moved by a known warp."""

import time
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.types import Frame, HostPixels, Stream
from stages import camera_motion
from stages.camera_motion import FileWarps, FlowWarps, warps_for
from stages.drawing.figures import Walkers
from trackers.bytetrack import ByteTrack, Options
from trackers.camera_motion import STILL, warp_points

Picture = NDArray[np.uint8]
Warp = NDArray[np.float64]

NOBODY = np.empty((0, 4), np.float32)
STEP = 1 / 30


def town(width: int = 1280, height: int = 720, seed: int = 0) -> Picture:
    """A picture full of corners at all scales, no two alike."""
    random = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 90, np.uint8)
    for _ in range(400):
        x, y = int(random.integers(0, width)), int(random.integers(0, height))
        w, h = (int(side) for side in random.integers(width // 100, width // 8, 2))
        cv2.rectangle(picture, (x, y), (x + w, y + h), random.integers(0, 256, 3).tolist(), -1)
    return np.asarray(cv2.GaussianBlur(picture, (5, 5), 1.0), np.uint8)


def warp_of(width: int, height: int, *, turn: float = 0.0, zoom: float = 1.0, x: float = 0.0, y: float = 0.0) -> Warp:
    """Turn and zoom around the middle of the picture, then shift; pixels, half-open as boxes are."""
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array([width / 2, height / 2])
    return np.column_stack([linear, centre + np.array([x, y]) - linear @ centre])


def moved(picture: Picture, warp: Warp) -> Picture:
    """Warp a picture; OpenCV counts from the middle of the first pixel."""
    half = np.full(2, 0.5)
    of_middles = np.column_stack([warp[:, :2], warp[:, 2] - half + warp[:, :2] @ half])
    size = (picture.shape[1], picture.shape[0])
    return np.asarray(cv2.warpAffine(picture, of_middles, size, borderMode=cv2.BORDER_REFLECT), np.uint8)


def off_px(got: Warp | None, true: Warp, picture: Picture) -> float:
    """How far the corner of the picture is off that is off most."""
    height, width = picture.shape[:2]
    ends = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    found = STILL if got is None else got
    return float(np.abs(warp_points(ends, found) - warp_points(ends, true)).max())


MOTIONS = pytest.mark.parametrize(
    "motion",
    [
        pytest.param({}, id="still"),
        pytest.param({"x": 0.02, "y": -0.01}, id="a pan"),
        pytest.param({"x": 0.1, "y": 0.03}, id="a fast pan"),
        pytest.param({"turn": 0.03}, id="a turn"),
        pytest.param({"zoom": 1.05}, id="closer"),
        pytest.param({"zoom": 0.95, "turn": -0.02, "x": -0.03}, id="all at once"),
    ],
)


def look_twice(picture: Picture, motion: dict[str, float]) -> tuple[Warp | None, float, Warp]:
    height, width = picture.shape[:2]
    pixels = {name: value * width if name in "xy" else value for name, value in motion.items()}
    true, watch = warp_of(width, height, **pixels), FlowWarps()
    watch.look(picture, NOBODY, 0.0)
    got = watch.look(moved(picture, true), NOBODY, STEP)
    return got.warp, got.confidence, true


@MOTIONS
@pytest.mark.parametrize(
    "size", [(320, 180), (641, 479), (1280, 720), (1920, 1080), (3840, 2160)], ids=lambda size: f"{size[0]}x{size[1]}"
)
def test_a_known_motion_is_found_within_a_thousandth_of_the_picture(
    size: tuple[int, int], motion: dict[str, float]
) -> None:
    picture = town(*size)
    warp, confidence, true = look_twice(picture, motion)
    assert confidence > 0.8
    assert off_px(warp, true, picture) < max(0.3, size[0] / 1000)
    assert (warp is None) == (not motion)


def frames_of(path: Path, n: int = 1) -> list[Picture]:
    video = cv2.VideoCapture(str(path))
    frames = [np.asarray(video.read()[1], np.uint8) for _ in range(n)]
    video.release()
    return frames


@pytest.mark.shared
@MOTIONS
@pytest.mark.parametrize("name", ["people.mp4", "retail.mp4", "one-by-one.mp4", "street-handheld.avi"])
def test_a_known_motion_of_a_real_picture_is_found(shared: Path, name: str, motion: dict[str, float]) -> None:
    picture = frames_of(shared / "video" / name)[0]
    warp, confidence, true = look_twice(picture, motion)
    assert confidence > 0.6
    assert off_px(warp, true, picture) < picture.shape[1] / 1000


@pytest.mark.shared
def test_a_real_camera_that_is_fixed_does_not_move_though_people_do(shared: Path) -> None:
    watch = FlowWarps()
    looks = [
        watch.look(picture, NOBODY, i / 30) for i, picture in enumerate(frames_of(shared / "video/retail.mp4", 60))
    ]
    assert all(look.warp is None for look in looks)
    assert all(look.confidence > 0.5 for look in looks[1:])


@pytest.mark.shared
def test_a_real_camera_in_a_hand_moves(shared: Path) -> None:
    """What its warps undo: pictures differ less once the one before is warped."""
    watch, frames = FlowWarps(), frames_of(shared / "video/street-handheld.avi", 30)
    looks = [watch.look(picture, NOBODY, i / 30) for i, picture in enumerate(frames)]
    assert sum(look.warp is not None for look in looks) > 20
    before, after = [], []
    for last, now, look in zip(frames, frames[1:], looks[1:], strict=False):
        if look.warp is not None:
            inner = np.s_[60:-60, 60:-60]
            before.append(cv2.absdiff(last, now)[inner].mean())
            after.append(cv2.absdiff(moved(last, look.warp), now)[inner].mean())
    assert np.mean(after) < 0.6 * np.mean(before)


def test_people_who_move_say_nothing_of_the_camera() -> None:
    walkers, background = Walkers(people=3, width=1280, height=720, seed=1), town()

    def scene(t: float) -> tuple[Picture, NDArray[np.float32]]:
        drawn, picture, boxes = walkers.draw(t), background.copy(), walkers.truth(t).xyxy
        for x1, y1, x2, y2 in boxes.astype(int):
            picture[y1:y2, x1:x2] = drawn[y1:y2, x1:x2]
        return picture, boxes

    watch = FlowWarps()
    for i in range(10):
        look = watch.look(*scene(i * 0.1), i * 0.1)
        assert look.warp is None
    pan = warp_of(1280, 720, x=30)
    picture, boxes = scene(1.0)
    look = watch.look(moved(picture, pan), boxes + np.array([30, 0, 30, 0], np.float32), 1.0)
    assert off_px(look.warp, pan, picture) < 2


def test_what_fills_most_of_the_picture_is_not_the_background_if_it_is_people() -> None:
    street, coat = town(), town(seed=3)
    watch = FlowWarps()
    for i in range(3):
        picture, x = street.copy(), 200 + 40 * i
        picture[40:700, x : x + 900] = coat[40:700, 100:1000]
        assert watch.look(picture, np.array([[x, 40, x + 900, 700]]), i * STEP).warp is None


def test_people_in_bright_clothes_leave_the_corners_of_a_faint_street() -> None:
    street, coat = 110 + town() // 8, town(seed=3)
    street[40:700, 200:1100] = coat[40:700, 200:1100]
    watch, pan, box = FlowWarps(), warp_of(1280, 720, x=24), np.array([[200.0, 40, 1100, 700]])
    watch.look(street, box, 0.0)
    look = watch.look(moved(street, pan), box + np.array([24, 0, 24, 0]), STEP)
    assert off_px(look.warp, pan, street) < 2


def test_when_no_motion_is_that_of_many_corners_none_is_believed() -> None:
    """Twelve parts of the picture go twelve ways, but for three that agree."""
    street, watch = town(), FlowWarps()
    watch.look(street, NOBODY, 0.0)
    picture = street.copy()
    for part in range(12):
        x, y = 320 * (part % 4), 240 * (part // 4)
        shift = (24, 0) if part in {0, 5, 10} else (8 * part - 40, 40 - 10 * part)
        picture[y : y + 240, x : x + 320] = np.roll(street, shift[::-1], axis=(0, 1))[y : y + 240, x : x + 320]
    look = watch.look(picture, NOBODY, STEP)
    assert look.warp is None
    assert 0 < look.confidence < 0.35


def test_what_is_put_down_belongs_to_the_background_after_a_while() -> None:
    before, after, watch = town(seed=1), town(seed=1), FlowWarps()
    after[:, 640:] = town(seed=2)[:, 640:]
    times = [i * 0.5 for i in range(12)]
    looks = [watch.look(before if t < 2 else after, NOBODY, t) for t in times]
    assert min(look.confidence for look in looks[4:]) < 0.8
    assert looks[-1].confidence > 0.95
    assert all(look.warp is None for look in looks)


def test_who_comes_in_front_of_the_camera_says_nothing_of_it() -> None:
    """Somebody shows what he hides, 30 px to the right: a coat of mirrors, or a picture that he carries by."""
    street, watch = town(), FlowWarps()
    watch.look(street, NOBODY, 0.0)
    picture = street.copy()
    picture[20:700, 130:1250] = street[20:700, 100:1220]
    assert watch.look(picture, np.array([[130, 20, 1250, 700]]), STEP).warp is None


@pytest.mark.parametrize(
    ("motion", "likely"),
    [({"zoom": 1.4}, True), ({"zoom": 1.6}, False), ({"zoom": 0.6}, False), ({"turn": 0.6}, False)],
)
def test_what_no_camera_does_between_two_pictures_is_no_motion(motion: dict[str, float], *, likely: bool) -> None:
    assert camera_motion._is_likely(warp_of(320, 180, **motion)) == likely


def test_a_warp_of_the_small_picture_means_the_same_in_the_large_one() -> None:
    small, scale = np.array([[1.02, -0.03, 4.0], [0.03, 1.02, -2.0]]), 6.0
    points = np.array([[0.0, 0], [319, 0], [100, 150]])  # OpenCV's: (0, 0) is the middle of the first pixel
    there = scale * (warp_points(points, small) + 0.5)
    np.testing.assert_allclose(warp_points(scale * (points + 0.5), camera_motion._enlarged(small, scale)), there)


BLACK = np.zeros((720, 1280, 3), np.uint8)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(BLACK, BLACK, id="black"),
        pytest.param(town(), BLACK, id="goes black"),
        pytest.param(BLACK, town(), id="comes back from black"),
        pytest.param(town(), np.full_like(BLACK, 255), id="dazzled"),
        pytest.param(town(seed=1), town(seed=2), id="a cut"),
        pytest.param(town(), town(640, 360), id="another resolution"),
        pytest.param(np.random.default_rng(0).integers(88, 92, BLACK.shape, np.uint8), BLACK + 90, id="noise in fog"),
        pytest.param(np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1, 3), np.uint8), id="one pixel"),
    ],
)
def test_what_cannot_be_known_is_no_motion_and_no_confidence_and_passes(first: Picture, second: Picture) -> None:
    watch = FlowWarps()
    assert watch.look(first, NOBODY, 0.0) == (None, 0.0)
    look = watch.look(second, NOBODY, STEP)
    assert look.warp is None
    assert look.confidence < 0.35
    after = town(second.shape[1] * 640 // second.shape[1], 360, seed=5)
    watch.look(after, NOBODY, 2 * STEP)
    pan = warp_of(640, 360, x=10)
    assert off_px(watch.look(moved(after, pan), NOBODY, 3 * STEP).warp, pan, after) < 1


def test_people_all_over_the_picture_leave_nothing_to_measure_by() -> None:
    watch, everywhere = FlowWarps(), np.array([[-1e9, -1e9, 1e9, 1e9]], np.float32)
    for i in range(3):
        assert watch.look(town(), everywhere, i * STEP) == (None, 0.0)


def test_a_slow_drift_adds_up_until_it_shows() -> None:
    picture, watch, total = town(), FlowWarps(), 0.0
    for i in range(40):
        warp = watch.look(moved(picture, warp_of(1280, 720, x=0.2 * i)), NOBODY, i * STEP).warp
        total += 0.0 if warp is None else warp[0, 2]
    assert total == pytest.approx(0.2 * 39, abs=1.0)


def test_time_that_goes_back_is_borne() -> None:
    picture, watch = town(), FlowWarps()
    pan = warp_of(1280, 720, x=20)
    for t in (100.0, 100.1, 0.0):
        watch.look(picture, NOBODY, t)
    assert off_px(watch.look(moved(picture, pan), NOBODY, 0.1).warp, pan, picture) < 1


def frame(index: int, pts_seconds: float, image: Picture | None = None) -> Frame:
    pixels = HostPixels(town(64, 48) if image is None else image)
    return Frame(Stream("cam"), index, pts_seconds, datetime(2026, 1, 2, tzinfo=UTC), 0.0, pixels)


class Shy:
    """Pixels that count how often somebody looked."""

    def __init__(self, image: Picture) -> None:
        self._image, self.looks = image, 0
        self.height, self.width = image.shape[:2]

    def bgr(self) -> Picture:
        self.looks += 1
        return self._image


def test_a_camera_at_rest_is_looked_at_now_and_then_until_it_moves() -> None:
    picture, watch = town(640, 360), FlowWarps()
    pixels, pan = Shy(picture), warp_of(640, 360, x=12)
    for i in range(150):
        shown = Frame(Stream("cam"), i, i * STEP, datetime(2026, 1, 2, tzinfo=UTC), 0.0, pixels)
        assert watch.of(shown, NOBODY) is None
    assert 30 < pixels.looks < 60  # of 150: a second and a bit, then four times a second
    times = [5 + i * STEP for i in range(10)]
    found = [watch.of(frame(150 + i, t, moved(picture, pan)), NOBODY) for i, t in enumerate(times)]
    seen = [warp for warp in found if warp is not None]
    assert len(seen) == 1
    assert off_px(seen[0], pan, picture) < 1


def test_a_file_gives_the_warps_of_the_frames_that_are_shown() -> None:
    warps = np.array([[[1, 0, i], [0, 1, 0]] for i in range(6)], np.float64)
    source = FileWarps(warps)
    shifts = [None if (warp := source.of(frame(i, 0.0), NOBODY)) is None else warp[0, 2] for i in (0, 1, 4, 5, 6, 7, 0)]
    assert shifts == [None, 1, 2 + 3 + 4, 5, None, None, None]


def test_a_tracker_gets_its_warps_from_where_its_option_says(tmp_path: Path) -> None:
    path = tmp_path / "gmc.txt"
    path.write_text("0 1 0 0 0 1 0\n1 1 0 5 0 1 0\n")
    assert warps_for(ByteTrack()) is None
    assert isinstance(warps_for(ByteTrack(Options(camera_motion="flow"))), FlowWarps)
    assert isinstance(warps_for(ByteTrack(Options(camera_motion=path))), FileWarps)
    undecided = ByteTrack()
    undecided.wants = frozenset({"warp"})
    assert isinstance(warps_for(undecided), FlowWarps)


@pytest.mark.slow
def test_a_large_picture_takes_little_time() -> None:
    """1.5 ms of one core where this was written; the bound is for machines that are busy or slow."""
    pictures, watch = [moved(town(1920, 1080), warp_of(1920, 1080, x=8 * i)) for i in range(8)], FlowWarps()
    spent = []
    for i in range(60):
        started = time.process_time()
        watch.look(pictures[i % 8], NOBODY, i * STEP)
        spent.append(time.process_time() - started)
    assert np.median(spent) < 0.010
