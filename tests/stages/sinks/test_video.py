import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.error import InvalidDataError
from pydantic import ValidationError

from pipeline.errors import SinkError
from pipeline.skeletons import COCO_17
from pipeline.types import Instances, Packet
from stages.sinks.video import Options, VideoSink

MakePacket = Callable[..., Packet]
MILLISECOND = Fraction(1, 1000)


def times(path: Path, *, torn: bool = False) -> list[Fraction]:
    found: list[Fraction] = []
    with av.open(str(path)) as container, suppress(*[InvalidDataError] * torn):
        for frame in container.decode(video=0):
            assert frame.pts is not None
            assert frame.time_base is not None
            found.append(frame.pts * frame.time_base)
    return found


def pictures(path: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def video(folder: Path, *packets: Packet, **options: Any) -> Path:
    with VideoSink(Options(**options), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.end_source("cam")
    return folder / "cam.mp4"


@pytest.mark.parametrize(
    "time_base",
    [
        Fraction(1, 90_000),
        Fraction(1, 30),
        Fraction(1001, 30_000),
        MILLISECOND,
        Fraction(1, 1_000_000),
        Fraction(1),
    ],
    ids=str,
)
@pytest.mark.parametrize("start", [0, 7404], ids=["from-0", "later"])
def test_every_frame_keeps_its_time_to_the_tick(
    tmp_path: Path, packet: MakePacket, time_base: Fraction, start: int
) -> None:
    steps = np.random.default_rng(0).integers(1, 5 if time_base > MILLISECOND / 10 else 9000, 70)
    ticks = [start, *(start + np.cumsum(steps)).tolist()]
    packets = [packet(i, pts=float(tick * time_base), time_base=time_base) for i, tick in enumerate(ticks)]
    path = video(tmp_path, *packets, from_zero=False)
    assert times(path) == [tick * time_base for tick in ticks]


def test_the_first_frame_is_at_zero_where_players_expect_it(tmp_path: Path, packet: MakePacket) -> None:
    path = video(tmp_path, *(packet(i, pts=3600 + i / 10, time_base=MILLISECOND) for i in range(5)))
    assert times(path) == [Fraction(i, 10) for i in range(5)]


@pytest.mark.parametrize(
    ("pts", "expected"),
    [
        pytest.param([0, 0, 0, 5], [0, 1, 2, 7], id="stands-still"),
        pytest.param([100, 200, 10, 30], [0, 100, 101, 121], id="steps-back"),
        pytest.param([-5, 0, 5], [0, 5, 10], id="before-zero"),
    ],
)
def test_a_clock_that_does_not_go_on_goes_on_in_the_file(
    tmp_path: Path, packet: MakePacket, pts: list[int], expected: list[int]
) -> None:
    packets = [packet(i, pts=ms / 1000, time_base=MILLISECOND) for i, ms in enumerate(pts)]
    assert times(video(tmp_path, *packets)) == [ms * MILLISECOND for ms in expected]


def test_a_clock_finer_than_a_microsecond_is_kept_to_the_microsecond(tmp_path: Path, packet: MakePacket) -> None:
    pts = [0.0, 1.000_000_4, 2000.0]  # half an hour would not fit into 32 bits of nanoseconds
    packets = [packet(i, pts=t, time_base=Fraction(1, 10**9)) for i, t in enumerate(pts)]
    assert times(video(tmp_path, *packets)) == [0, 1, 2000]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 90), (63, 47), (64, 48)], ids=str)
def test_any_size_becomes_a_video_of_even_sides(tmp_path: Path, packet: MakePacket, size: tuple[int, int]) -> None:
    shown = pictures(video(tmp_path, packet(0, size=size), packet(1, size=size)))
    assert [picture.shape for picture in shown] == [((size[1] + 1) // 2 * 2, (size[0] + 1) // 2 * 2, 3)] * 2


def test_a_change_of_size_on_the_way_is_fitted_into_the_first(tmp_path: Path, packet: MakePacket) -> None:
    plain = {"boxes": False, "skeletons": False, "labels": False, "info": False, "trail_seconds": 0}
    sizes = [(64, 48), (48, 64), (640, 480), (64, 48)]
    shown = pictures(video(tmp_path, *(packet(20, size=s, pts=i / 25) for i, s in enumerate(sizes)), **plain))
    assert [picture.shape for picture in shown] == [(48, 64, 3)] * 4
    assert [round(float(picture[24, 2].mean()), -1) for picture in shown] == [100, 0, 100, 100]


def test_the_width_can_be_limited(tmp_path: Path, packet: MakePacket) -> None:
    (shown,) = pictures(video(tmp_path, packet(size=(640, 360)), width=320))
    assert shown.shape == (180, 320, 3)


@pytest.mark.parametrize("people", [None, 0, 3], ids=["not-looked", "nobody", "people"])
@pytest.mark.parametrize("live", [True, False], ids=["live", "file"])
def test_frames_of_every_kind_are_written(
    tmp_path: Path, packet: MakePacket, people: int | None, *, live: bool
) -> None:
    assert len(times(video(tmp_path, *(packet(i, people=people, live=live) for i in range(3))))) == 3


def test_what_is_switched_off_is_not_drawn(tmp_path: Path, packet: MakePacket) -> None:
    plain = {"boxes": False, "skeletons": False, "labels": False, "info": False, "trail_seconds": 0, "crf": 0}
    walk = [packet(i, people=walker(2 * i), size=(128, 96)) for i in range(20)]
    assert all(np.ptp(shown) <= 2 for shown in pictures(video(tmp_path, *walk, **plain)))
    for part, on in [("boxes", True), ("skeletons", True), ("labels", True), ("info", True), ("trail_seconds", 2.0)]:
        *_, last = pictures(video(tmp_path, *walk, **{**plain, part: on}))
        assert np.ptp(last) > 20, part


def walker(x: float) -> Instances:
    joints = np.random.default_rng(0).uniform((x, 20), (x + 20, 70), (1, 17, 2))
    person = Instances.of(
        [[x, 20, x + 20, 70]], [0.9], keypoints=joints, keypoint_score=np.ones((1, 17)), skeleton=COCO_17
    )
    return person.with_columns(track_id=[1])


def test_frames_above_a_rate_are_left_out(tmp_path: Path, packet: MakePacket) -> None:
    path = video(tmp_path, *(packet(i, time_base=MILLISECOND) for i in range(50)), frames_per_second=5)
    assert times(path) == [Fraction(i, 5) for i in range(10)]


def test_a_name_that_is_no_utf_8_can_be_shown(tmp_path: Path, packet: MakePacket) -> None:
    with VideoSink(Options(), tmp_path) as sink:
        sink.write(packet(source="x\udc80 街"))
        sink.finish()
    assert len(list(tmp_path.glob("*.mp4"))) == 1


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_memory_and_file_grow_by_fragments(tmp_path: Path, packet: MakePacket, codec: str) -> None:
    sizes = []
    with VideoSink(Options(codec=codec), tmp_path) as sink:
        for second in range(6):
            for index in range(25):
                sink.write(packet(second * 25 + index))
            sizes.append((tmp_path / "cam.mp4.part").stat().st_size)
        assert len(times(tmp_path / "cam.mp4.part")) >= 100
    assert sizes == sorted(set(sizes))
    assert len(times(tmp_path / "cam.mp4.part")) == 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"codec": "nonsense"}, "no video encoder of that name; try libx264", id="unknown"),
        pytest.param({"codec": "aac"}, "no video encoder of that name", id="sound"),
        pytest.param({"path": "all.mp4"}, r"must hold \{source\}", id="one-for-all"),
        pytest.param({"path": "{source}.mkv"}, r"end in \.mp4", id="container"),
        pytest.param({"preset": "warp"}, "ultrafast", id="preset"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Options(**options)


def test_an_encoder_that_cannot_start_is_told(tmp_path: Path, packet: MakePacket) -> None:
    with (
        VideoSink(Options(codec="rawvideo"), tmp_path) as sink,
        pytest.raises(SinkError, match=r"does not support .rawvideo. codec; check"),
    ):
        sink.write(packet())


def test_a_full_disk_keeps_what_can_be_played(
    tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    with VideoSink(Options(), tmp_path) as sink, full_disk(40_000):
        written = until_it_fails(sink, (packet(index) for index in range(5000)))
    kept = times(tmp_path / "cam.mp4.part")
    assert kept[-1] >= written / 25 - 2.0


def until_it_fails(sink: VideoSink, packets: Iterator[Packet]) -> int:
    for written, packet in enumerate(packets):
        try:
            sink.write(packet)
        except SinkError as error:
            assert "cam.mp4.part: File too large" in str(error)  # noqa: PT017 - the number is what is asked for
            return written
    pytest.fail("the disk was not full")


KILLED = """
import pathlib, sys
from conftest import make_packet
from stages.sinks.video import Options, VideoSink
sink = VideoSink(Options(), pathlib.Path(sys.argv[1]))
sink.open()
for index in range(100_000):
    sink.write(make_packet(index, size=(320, 240)))
    print(index, flush=True)
"""


def test_a_killed_process_loses_at_most_the_last_second(tmp_path: Path) -> None:
    here = Path(__file__).parents[1]
    root = here.parents[1]
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (here, here.parent, root)))},
    )
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if int(line) == 110:  # 4.4 s, in the middle of a second
                process.send_signal(signal.SIGKILL)
        written = int(line)
    assert process.returncode == -signal.SIGKILL
    kept = times(tmp_path / "cam.mp4.part", torn=True)
    assert kept == [Fraction(i, 25) for i in range(len(kept))]
    assert written / 25 - kept[-1] <= 1.0 + 2 / 25
