"""The file source: every frame once, with its true time; and every fault of a file said in words."""

import gc
import logging
import struct
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError, SourceError
from pipeline.registry import validate_options
from pipeline.types import Frame
from stages.sources.base import FrameSource
from stages.sources.file import FileSource, Options

MakeClip = Callable[..., Path]
ReadAll = Callable[[FrameSource], tuple[list[Frame], SourceError | None]]
FASTSTART = {"movflags": "faststart"}


def file_source(path: Path | str, **options: Any) -> FileSource:
    return FileSource(Options(path=str(path), **options), "clip")


def times(frames: list[Frame]) -> list[float]:
    return [frame.pts_seconds for frame in frames]


def same_pictures(frames: list[Frame], others: list[Frame]) -> bool:
    return all(np.array_equal(one.image, other.image) for one, other in zip(frames, others, strict=True))


def test_every_frame_comes_once_in_order_with_its_own_time(make_clip: MakeClip, read_all: ReadAll) -> None:
    frames, error = read_all(file_source(make_clip("clip.mp4", 24)))
    assert error is None
    assert [frame.index for frame in frames] == list(range(24))
    assert times(frames) == [number / 25 for number in range(24)]
    stream = frames[0].stream
    assert (stream.source_id, stream.live, stream.expected_frames, stream.frames_per_second) == ("clip", False, 24, 25)
    assert all(frame.stream is stream and frame.captured_by == "arrival" for frame in frames)
    assert (frames[0].width, frames[0].height) == (64, 48)


def test_a_variable_rate_keeps_its_times(make_clip: MakeClip, read_all: ReadAll) -> None:
    ticks = [0, 1, 5, 6, 20, 50, 51, 99]
    for name in ("vfr.mkv", "vfr.mp4"):
        frames, error = read_all(file_source(make_clip(name, len(ticks), pts=ticks)))
        assert error is None
        assert times(frames) == pytest.approx([tick / 25 for tick in ticks])


@pytest.mark.parametrize(
    ("name", "ticks", "first_seconds"),
    [
        pytest.param("late.mp4", range(100, 124), 4.0, id="an MP4 that begins late"),
        pytest.param("late.mkv", range(100, 124), 4.0, id="a Matroska that begins late"),
        pytest.param("early.mp4", range(-6, 18), 0.0, id="an edit list hides what is before zero"),
        pytest.param("raw.h264", range(24), 0.0, id="no times at all"),
    ],
)
def test_the_first_time_is_what_the_container_says(
    make_clip: MakeClip, read_all: ReadAll, name: str, ticks: range, first_seconds: float
) -> None:
    frames, error = read_all(file_source(make_clip(name, pts=ticks)))
    assert error is None
    assert times(frames) == pytest.approx([first_seconds + number / 25 for number in range(len(frames))])


def test_frames_may_change_their_size_on_the_way(make_clip: MakeClip, read_all: ReadAll) -> None:
    parts = [make_clip("a.ts", 20), make_clip("b.ts", 20, size=(96, 80))]
    joined = parts[0].with_name("joined.ts")
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames, error = read_all(file_source(joined))
    assert error is None
    assert [(frame.width, frame.height) for frame in frames] == [(64, 48)] * 20 + [(96, 80)] * 20
    assert [frame.image.shape[1] for frame in frames] == [64] * 20 + [96] * 20
    assert np.diff(times(frames)) == pytest.approx(np.full(39, 1 / 25))


def test_rotation_is_applied_once(make_clip: MakeClip, read_all: ReadAll) -> None:
    frames, _ = read_all(file_source(make_clip("turned.mp4", 3, rotation={"degrees": 90})))
    assert [(frame.width, frame.height) for frame in frames] == [(48, 64)] * 3
    assert frames[0].image.shape == (64, 48, 3)


def test_a_frame_that_is_let_go_is_freed_at_once(make_clip: MakeClip) -> None:
    """Without waiting for the garbage collector: a minute of 4K would fill the memory before it comes."""
    gc.collect()
    gc.disable()
    try:
        with file_source(make_clip("clip.mp4", 50, rotation={"degrees": 90})) as source:
            while source.read() is not None:
                pass
            assert sum(type(kept) is av.VideoFrame for kept in gc.get_objects()) <= 2
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("size", "codec", "pix_fmt", "name"),
    [
        pytest.param((1, 1), "ffv1", "yuv420p", "dot.mkv", id="one pixel"),
        pytest.param((3, 5000), "rawvideo", "bgr24", "narrow.avi", id="narrow"),
        pytest.param((7680, 4320), "mjpeg", "yuvj420p", "8k.avi", id="8K"),
    ],
)
def test_odd_sizes(
    make_clip: MakeClip, read_all: ReadAll, size: tuple[int, int], codec: str, pix_fmt: str, name: str
) -> None:
    frames, error = read_all(file_source(make_clip(name, 2, size=size, codec=codec, pix_fmt=pix_fmt)))
    assert error is None
    assert [(frame.width, frame.height) for frame in frames] == [size] * 2
    assert frames[-1].image.shape == (*size[::-1], 3)


CONTAINERS: dict[str, tuple[str, dict[str, Any]]] = {
    "B-frames in MP4": ("sel.mp4", {}),
    "B-frames in a transport stream": ("sel.ts", {}),
    "Matroska": ("sel.mkv", {}),
    "AVI without PTS": ("sel.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
    "a raw stream": ("sel.h264", {}),
    "an MP4 that begins late": ("late.mp4", {"pts": range(50, 110)}),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_selection_is_that_part_of_the_whole(make_clip: MakeClip, read_all: ReadAll, container: str) -> None:
    name, kinds = CONTAINERS[container]
    clip = make_clip(name, 60, **kinds)
    whole, error = read_all(file_source(clip))
    assert error is None
    assert len(whole) == 60

    @settings(max_examples=12)
    @given(first=st.integers(0, 59), length=st.integers(1, 60), every=st.integers(1, 7))
    def check(first: int, length: int, every: int) -> None:
        last = min(59, first + length)
        start, end = whole[first].pts_seconds, whole[last].pts_seconds + 0.01 * (last == 59)
        part, error = read_all(file_source(clip, start_seconds=start, end_seconds=max(end, start + 0.01), every=every))
        expected = [frame for frame in whole if start <= frame.pts_seconds < max(end, start + 0.01)][::every]
        assert error is None
        assert times(part) == times(expected)
        assert [frame.index for frame in part] == [every * place for place in range(len(part))]
        assert same_pictures(part, expected)

    check()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, 60, id="all"),
        pytest.param({"every": 7}, 9, id="every seventh"),
        pytest.param({"start_seconds": 1.2}, 30, id="the second half"),
        pytest.param({"start_seconds": 0.4, "end_seconds": 0.8, "every": 3}, 4, id="a part of a part"),
        pytest.param({"end_seconds": 100.0}, 60, id="an end behind the end"),
        pytest.param({"start_seconds": -5.0}, 60, id="a start before the start"),
    ],
)
def test_the_expected_number_is_the_true_one(
    make_clip: MakeClip, read_all: ReadAll, options: dict[str, Any], expected: int
) -> None:
    frames, error = read_all(file_source(make_clip("clip.mp4", 60), **options))
    assert error is None
    assert len(frames) == frames[0].stream.expected_frames == expected


def test_a_selection_of_nothing_is_an_error_that_gives_the_files_own_time(
    make_clip: MakeClip, read_all: ReadAll
) -> None:
    frames, error = read_all(file_source(make_clip("clip.mp4", 50), start_seconds=7.0))
    assert not frames
    assert "no frame with 7.0 <= PTS" in str(error)
    assert "0.000 s to 2.000 s" in str(error)


def without_video(folder: Path) -> Path:
    path = folder / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    return path


def without_frames(folder: Path) -> Path:
    path = folder / "none.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    return path


def written(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda folder: folder / "gone.mp4", "no such file", id="missing"),
        pytest.param(lambda folder: folder, "is a folder", id="a folder"),
        pytest.param(lambda folder: written(folder, "empty.mp4", b""), "empty (0 bytes)", id="zero bytes"),
        pytest.param(lambda folder: written(folder, "text.mp4", b"hello " * 99), "expected a video file", id="text"),
        pytest.param(without_video, "no video stream, only: audio", id="sound only"),
        pytest.param(without_frames, "no frame of it can be decoded", id="no frames"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, read_all: ReadAll, make: Callable[[Path], Path], words: str
) -> None:
    path = make(tmp_path)
    frames, error = read_all(file_source(path))
    assert not frames
    assert words in str(error)
    assert path.name in str(error)


def test_an_mp4_without_its_index_says_that_it_was_cut_off(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mp4")
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    _, error = read_all(file_source(clip))
    assert "'moov'" in str(error)
    assert "cut off" in str(error)


def test_a_codec_nobody_knows_is_said_to_be_one(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mp4")
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zzzz"))
    _, error = read_all(file_source(clip))
    assert "no decoder for" in str(error)


def test_a_stream_that_is_not_there_says_how_many_there_are(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mp4")
    assert len(read_all(file_source(clip, stream_index=0))[0]) == 24
    assert "has 1 video stream(s)" in str(read_all(file_source(clip, stream_index=1))[1])


@pytest.mark.parametrize("threads", [0, 1, 4])
@pytest.mark.parametrize("part", [0.9, 0.5])
def test_a_truncated_file_keeps_what_was_decoded(
    make_clip: MakeClip, read_all: ReadAll, threads: int, part: float
) -> None:
    clip = make_clip("clip.mp4", 60, container_options=FASTSTART)
    whole, _ = read_all(file_source(clip))
    with av.open(str(clip)) as container:
        ends = sorted((packet.pos or 0) + packet.size for packet in container.demux(video=0) if packet.size)
    cut = int(clip.stat().st_size * part)
    clip.write_bytes(clip.read_bytes()[:cut])
    frames, error = read_all(file_source(clip, decoder_threads=threads))
    complete = sum(end <= cut for end in ends)
    assert complete - 3 <= len(frames) <= complete  # a missing packet may be one that up to three B-frames wait for
    assert same_pictures(frames, whole[: len(frames)])
    assert f"after {len(frames)} frames" in str(error)
    assert "announces 2.400 s" in str(error)


def test_a_clean_cut_is_noticed_and_can_be_accepted(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mp4", 60, container_options=FASTSTART, options={"bf": "0"})
    with av.open(str(clip)) as container:
        starts = [packet.pos or 0 for packet in container.demux(video=0) if packet.size]
    clip.write_bytes(clip.read_bytes()[: starts[30]])
    frames, error = read_all(file_source(clip))
    assert len(frames) == 30
    assert "set end_seconds=1.200 to accept" in str(error)
    accepted, error = read_all(file_source(clip, end_seconds=1.2))
    assert len(accepted) == 30
    assert error is None


def test_a_truncated_matroska_is_noticed(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mkv", 100)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames, error = read_all(file_source(clip))
    assert 0 < len(frames) < 100
    assert "announces 4.000 s" in str(error)


def test_a_transport_stream_may_end_anywhere(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.ts", 60)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames, error = read_all(file_source(clip))
    assert 0 < len(frames) < 60
    assert error is None


def damage(clip: Path, packets: range) -> None:
    """Overwrite the payload of some packets, in decoding order, behind their first bytes."""
    with av.open(str(clip)) as container:
        places = [(packet.pos or 0, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(clip.read_bytes())
    for start, size in places[packets.start : packets.stop]:
        content[start : start + size] = b"\xff" * size
    clip.write_bytes(content)


@pytest.mark.parametrize("threads", [0, 1, 4])
@pytest.mark.parametrize(
    "packets",
    [pytest.param(range(30, 33), id="the middle"), pytest.param(range(57, 58), id="near the end")],
)
def test_damage_is_left_out_counted_and_logged_and_decoding_goes_on(
    make_clip: MakeClip, read_all: ReadAll, caplog: pytest.LogCaptureFixture, packets: range, threads: int
) -> None:
    clip = make_clip("clip.mp4", 60, options={"bf": "0"})
    damage(clip, packets)
    source = file_source(clip, decoder_threads=threads)
    with caplog.at_level(logging.WARNING):
        frames, error = read_all(source)
    assert error is None
    assert len(frames) + source.corrupt_frames == 60
    assert source.corrupt_frames >= len(packets)
    assert times(frames)[-1] == 59 / 25
    assert f"{source.corrupt_frames} damaged frames" in caplog.text


def test_frames_that_the_decoder_flags_are_counted_in_the_index(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.avi", 60, codec="mpeg4", size=(160, 120))
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    clip.write_bytes(content)
    source = file_source(clip, decoder_threads=1)
    frames, error = read_all(source)
    assert error is None
    assert source.corrupt_frames > 0
    assert len(frames) + source.corrupt_frames == 60
    assert frames[-1].index == 59


def test_a_file_that_is_all_damage_is_an_error(make_clip: MakeClip, read_all: ReadAll) -> None:
    clip = make_clip("clip.mp4", 24)
    damage(clip, range(24))
    frames, error = read_all(file_source(clip))
    assert not frames
    assert "no frame of it can be decoded" in str(error)


@pytest.mark.timeout(20)
def test_the_password_in_a_url_is_never_shown() -> None:
    source = file_source("http://me:sesame@127.0.0.1:9/street.mp4")
    with pytest.raises(SourceError, match="check the address") as caught:
        source.open()
    shown = "".join(traceback.format_exception(caught.value))
    assert "sesame" not in shown
    assert "street.mp4" in shown


def test_closing_twice_and_after_a_failed_open_is_fine(make_clip: MakeClip, tmp_path: Path) -> None:
    broken = file_source(tmp_path / "gone.mp4")
    with pytest.raises(SourceError):
        broken.open()
    broken.close()
    broken.close()
    source = file_source(make_clip("clip.mp4"))
    with source:
        frame = source.read()
    source.close()
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)  # frames outlive their source
    assert source.read() is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"path": "a.mp4", "start_seconds": 2, "end_seconds": 2}, "less than end_seconds", id="no time"),
        pytest.param({"path": "a.mp4", "every": 0}, "greater than or equal to 1", id="every none"),
        pytest.param({"path": ""}, "at least 1 character", id="no path"),
        pytest.param({"path": "a.mp4", "end_seconds": float("nan")}, "finite", id="not a number"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        validate_options(FileSource, options, "sources.0")


def test_a_pattern_is_one_source_a_file_named_after_it(make_clip: MakeClip) -> None:
    clips = [make_clip(name, 1) for name in ("door10.mp4", "door9.mp4", "door9.mkv")]
    options = Options(path=str(clips[0].with_name("door*")))
    sources = FileSource.expand(options, None)
    assert [source.source_id for source in sources] == ["door9", "door9-2", "door10"]
    assert [Path(source.options.path).suffix for source in sources] == [".mkv", ".mp4", ".mp4"]
    assert [source.source_id for source in FileSource.expand(options, "shop")] == [
        "shop-door9",
        "shop-door9-2",
        "shop-door10",
    ]


def test_a_single_file_keeps_the_name_it_is_given(make_clip: MakeClip) -> None:
    options = Options(path=str(make_clip("door.mp4", 1)))
    assert [source.source_id for source in FileSource.expand(options, None)] == ["door"]
    assert [source.source_id for source in FileSource.expand(options, "shop")] == ["shop"]
    url = Options(path="http://host/clips/street.mp4?token=1")
    assert [source.source_id for source in FileSource.expand(url, None)] == ["street"]


def test_a_pattern_without_match_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no file matches"):
        FileSource.expand(Options(path=str(tmp_path / "*.mp4")), None)


def test_the_cover_of_a_song_is_no_video(tmp_path: Path, read_all: ReadAll) -> None:
    """An MP3 with a PNG in its ID3 tag (an APIC frame of type 3, the front cover)."""
    song = tmp_path / "song.mp3"
    with av.open(str(song), "w") as container:
        stream = container.add_stream("mp3", rate=44100, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    cover = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    picture = b"\0image/png\0\x03\0" + cover
    tag = b"APIC" + struct.pack(">I", len(picture)) + b"\0\0" + picture
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    song.write_bytes(b"ID3\x03\0\0" + size + tag + song.read_bytes())
    frames, error = read_all(file_source(song))
    assert not frames
    assert "no video stream" in str(error)


@pytest.mark.shared
def test_a_real_clip_is_bit_by_bit_what_opencv_reads(shared: Path) -> None:
    path = shared / "video" / "people.mp4"
    capture = cv2.VideoCapture(str(path))
    with file_source(path) as source:
        for _ in range(20):
            frame = source.read()
            assert frame is not None
            np.testing.assert_array_equal(frame.image, capture.read()[1])
    capture.release()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "frames"),
    [("people.mp4", 302), ("one-by-one.mp4", 1394), ("street-handheld.avi", 205), ("football-5-frames.mp4", 5)],
)
def test_real_clips_come_whole(shared: Path, read_all: ReadAll, name: str, frames: int) -> None:
    read, error = read_all(file_source(shared / "video" / name))
    assert error is None
    assert len(read) == frames == read[0].stream.expected_frames
    assert np.all(np.diff(times(read)) > 0)
