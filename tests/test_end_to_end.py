"""The command line as people use it: real files, real processes, real signals."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

KINESTREAM = str(Path(sys.executable).with_name("kinestream"))
NO_MODELS = ("--pose", "none", "--tracker", "none")
PATIENCE_SECONDS = 60


def kinestream(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [KINESTREAM, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


def write_clip(path: Path, frames: int = 12) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            image = np.full((48, 64, 3), number % 25 * 10, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


def read_report(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    for counts in report["sources"].values():
        assert counts["received"] == counts["delivered"] + counts["in_flight"] + sum(counts["dropped"].values())
    for counts in report["sinks"].values():
        assert counts["received"] == counts["written"] + counts["waiting"] + sum(counts["dropped"].values())
    return report


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def count_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.fixture
def endless(tmp_path: Path) -> "Iterator[tuple[subprocess.Popen[str], Path]]":
    """A run without end, which has written video and lines already when the test begins."""
    out = tmp_path / "out"
    command = [KINESTREAM, "run", "synthetic", *NO_MODELS, "--sink", "jsonl", "--sink", "video", "--out", str(out)]
    with subprocess.Popen([*command, "-o", "sources.0.realtime=true"], stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: size_of(out / "synthetic.mp4.part") > 50_000, process)
        yield process, out
        process.kill()


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[Any]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        with contextlib.suppress(subprocess.TimeoutExpired):
            pytest.fail(f"ended by itself with {process.wait(0.02)}")


def test_no_arguments_say_what_can_be_done() -> None:
    done = kinestream()
    assert "demo" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "missing.mp4"), 1, "missing.mp4"),
        (("run", "gopher://admin:hunter2@127.0.0.1/live"), 2, "no source reads"),
        (("run", "rtsp://admin:hunter2@/live"), 2, "sources.0.url"),
        (("run", "missing.yaml"), 2, "cannot read the configuration"),
        (("run", "a.yaml", "b.mp4"), 2, "one configuration file or some sources"),
        (("run", "synthetic", "--pose", "blazepoze"), 2, "Did you mean 'blazepose'?"),
        (("run", "synthetic", "--tracker", "bytetrak"), 2, "Did you mean 'bytetrack'?"),
        (("run", "synthetic", "--sink", "jsn"), 2, "Did you mean"),
        (("run", "synthetic", "--preset", "embeded"), 2, "known: accurate"),
        (("run", "synthetic", "-o", "pose.confidense=1"), 2, "pose.confidense: unknown option"),
        (("run", "synthetic", "-o", "pose"), 2, "dotted.path=value"),
        (("run", "synthetic", "--max-frames", "0"), 2, "--max-frames"),
        (("run", "synthetic", "--sink", "jsonl=x", "--sink", "jsonl=x"), 2, "give one another path"),
        (("run", "synthetic", *NO_MODELS, "--sink", "mot"), 2, "needs track_id"),
        (("run", "synthetic", "--pose", "nothing-here.pt"), 1, "nothing-here.pt"),
        (("check", "missing.yaml"), 2, "cannot read the configuration"),
        (("list", "sinks"), 2, "known: source, detector"),
        (("models", "path", "yolo11z"), 2, "yolo11"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_call_says_in_one_message_what_is_wrong(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    extra = ("--out", str(tmp_path / "out")) if arguments[0] == "run" else ()
    done = kinestream(*arguments, *extra)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr + done.stdout


def test_a_missing_file_among_several_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "good.mp4")
    done = kinestream("run", str(clip), str(tmp_path / "bad.mp4"), *NO_MODELS, "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert "bad.mp4" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("empty.mp4", b""), ("text.mp4", b"this is no video\n" * 50)],
    ids=["zero bytes", "text named mp4"],
)
def test_a_damaged_file_among_several_stops_no_other(name: str, content: bytes, tmp_path: Path) -> None:
    good, bad, out = write_clip(tmp_path / "good.mp4"), tmp_path / name, tmp_path / "out"
    bad.write_bytes(content)
    done = kinestream("run", str(bad), str(good), *NO_MODELS, "--sink", "jsonl", "--out", str(out))
    assert done.returncode == 1
    assert name in done.stderr
    assert [line["frame"] for line in read_lines(out / "people.jsonl")] == list(range(12))
    report = read_report(out)
    assert report["sources"]["good"]["state"] == "finished"
    assert report["sources"][bad.stem]["state"] == "failed"
    assert name in report["errors"][0]


def test_a_truncated_file_keeps_what_was_read_and_says_where_it_ended(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mkv", 200)
    clip.write_bytes(clip.read_bytes()[:-3000])
    out = tmp_path / "out"
    done = kinestream("run", str(clip), *NO_MODELS, "--sink", "video", "--sink", "jsonl", "--out", str(out))
    assert done.returncode == 1
    assert "clip.mkv" in done.stderr
    delivered = read_report(out)["sources"]["clip"]["delivered"]
    assert 0 < delivered < 200
    assert len(read_lines(out / "people.jsonl")) == delivered == count_frames(out / "clip.mp4")


def test_damage_in_the_middle_costs_the_damaged_frames_and_is_counted(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", 200)
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(clip.read_bytes())
    for start, size in places[100:103]:
        assert start is not None
        data[start : start + size] = bytes(size)
    clip.write_bytes(data)
    out = tmp_path / "out"
    done = kinestream("run", str(clip), *NO_MODELS, "--sink", "jsonl", "--out", str(out))
    assert done.returncode == 0, done.stderr
    counts = read_report(out)["sources"]["clip"]
    assert counts["corrupt_frames"] >= 1
    assert f"{counts['corrupt_frames']} damaged frames were left out" in done.stderr
    assert 150 < counts["delivered"] < 200
    assert counts["delivered"] + counts["corrupt_frames"] == 200
    assert read_lines(out / "people.jsonl")[-1]["pts"] == pytest.approx(199 / 25)


def test_the_same_file_twice_is_two_sources(tmp_path: Path) -> None:
    clip, out = str(write_clip(tmp_path / "clip.mp4")), tmp_path / "out"
    done = kinestream("run", clip, clip, *NO_MODELS, "--sink", "jsonl", "--sink", "video", "--out", str(out), "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {line["source"] for line in read_lines(out / "people.jsonl")} == {"clip", "clip-2"}
    assert count_frames(out / "clip.mp4") == count_frames(out / "clip-2.mp4") == 12


def test_two_synthetic_entries_are_two_sources(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = kinestream(
        "run", "synthetic", "synthetic", *NO_MODELS, "--sink", "null", "--max-frames", "5", "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    assert [counts["delivered"] for counts in read_report(out)["sources"].values()] == [5, 5]


def test_an_output_that_cannot_be_created_ends_the_run_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    done = kinestream("run", "synthetic", *NO_MODELS, "--sink", "jsonl", "--out", str(tmp_path / "out"))
    assert done.returncode == 1
    assert str(tmp_path / "out") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_secret_from_the_environment_is_shown_nowhere(tmp_path: Path) -> None:
    config = tmp_path / "secret.yaml"
    config.write_text(
        "sources: [{kind: file, path: 'http://me:${DOOR}@127.0.0.1:9/${DOOR}.mp4', id: door}]\nsinks: ['null']\n"
    )
    out = tmp_path / "out"
    done = kinestream("run", str(config), "--out", str(out), "--verbose", DOOR="correct-horse")
    assert done.returncode == 1
    everything = done.stdout + done.stderr + (out / "report.json").read_text()
    assert "correct-horse" not in everything
    assert "127.0.0.1:9" in everything
    checked = kinestream("check", str(config), "--json", DOOR="correct-horse")
    assert checked.returncode == 0
    assert "correct-horse" not in checked.stdout + checked.stderr


def test_check_says_that_a_configuration_fits_together_without_running_it(tmp_path: Path) -> None:
    config = tmp_path / "good.yaml"
    config.write_text(f"preset: embedded\nsources: [synthetic]\nrun: {{out: {tmp_path / 'out'}}}\n")
    done = kinestream("check", str(config))
    assert done.returncode == 0, done.stderr
    words = "source synthetic pose blazepose track kinesort sink jsonl sink video fits together"
    assert " ".join(done.stdout.split()) == words
    assert not (tmp_path / "out").exists()


def test_list_shows_every_plugin_and_the_options_of_one_kind() -> None:
    assert "bytetrack" in kinestream("list").stdout
    rows = json.loads(kinestream("list", "source", "--json").stdout)
    assert {row["name"] for row in rows} == {"camera", "file", "images", "pan", "rtsp", "synthetic"}
    assert all(option["about"] for row in rows for option in row["options"])


def test_sigterm_leaves_playable_video_whole_tables_and_exit_code_0(
    endless: "tuple[subprocess.Popen[str], Path]",
) -> None:
    process, out = endless
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert time.monotonic() - started < 10
    report = read_report(out)
    assert report["sources"]["synthetic"]["state"] == "stopped"
    assert report["late"] == []
    frames = report["sources"]["synthetic"]["delivered"]
    assert count_frames(out / "synthetic.mp4") == frames == len(read_lines(out / "people.jsonl"))
    assert not list(out.glob("*.part"))


def test_kill_9_leaves_a_video_that_plays_and_whole_lines(endless: "tuple[subprocess.Popen[str], Path]") -> None:
    process, out = endless
    process.kill()
    process.wait(PATIENCE_SECONDS)
    assert count_frames(out / "synthetic.mp4.part") > 5
    text = (out / "people.jsonl.part").read_text()
    assert all(json.loads(line) for line in text[: text.rindex("\n")].splitlines())


STUCK = """
import pathlib, threading
from pipeline import plugin
from stages.detectors.base import Detector

class Options(plugin.Options):
    pass

class Stuck(Detector):
    def __init__(self, options):
        pass

    def detect(self, frames):
        pathlib.Path(__file__).with_name("called").touch()
        threading.Event().wait()
"""
RUN_STUCK = """
import sys
from pipeline.cli import main
from pipeline.registry import PLUGINS
PLUGINS["detector"]["stuck"] = "stuck:Stuck"
sys.argv[0] = "kinestream"
main()
"""


def test_a_model_that_never_answers_cannot_keep_the_process_from_stopping(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    out = tmp_path / "out"
    models = ("--detector", "stuck", "--pose", "none", "--tracker", "none", "--sink", "jsonl")
    command = [sys.executable, "-c", RUN_STUCK, "run", "synthetic", *models, "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [*command, "-o", "run.drain_timeout_seconds=0.2"], env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until((tmp_path / "called").exists, process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "late: detect" in said
    report = read_report(out)
    assert "detect" in report["late"]
    assert report["sources"]["synthetic"]["in_flight"] >= 1
    assert (out / "people.jsonl").read_text() == ""


@pytest.mark.slow
def test_the_demo_finds_people_and_leaves_pictures_to_look_at(tmp_path: Path) -> None:
    done = kinestream("demo", "--seconds", "1", "--out", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stderr
    report = read_report(tmp_path / "demo")
    assert set(report["sources"]) == {"bus", "zidane"}
    for source, counts in report["sources"].items():
        assert counts["delivered"] == counts["received"] == 25
        assert counts["identities"] >= 2
        assert count_frames(tmp_path / "demo" / f"{source}.mp4") == 25
        assert (tmp_path / "demo" / f"{source}-sheet.png").stat().st_size > 10_000
    assert "identities" in done.stdout


@pytest.mark.slow
@pytest.mark.shared
def test_a_street_gives_every_frame_in_order_with_identities(shared: Path, tmp_path: Path) -> None:
    video, pose = shared / "video" / "people.mp4", shared / "models" / "yolov8n-pose_int8_openvino_model"
    done = kinestream("run", str(video), "--pose", str(pose), "--sink", "jsonl", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    lines = read_lines(tmp_path / "out" / "people.jsonl")
    assert [line["frame"] for line in lines] == list(range(302))
    assert [line["pts"] for line in lines] == pytest.approx([frame / 30 for frame in range(302)], abs=1e-3)
    counts = read_report(tmp_path / "out")["sources"]["people"]
    assert counts["delivered"] == counts["received"] == 302
    ids = {person["id"] for line in lines for person in line["people"]} - {None}
    assert ids == set(range(1, counts["identities"] + 1))
    assert len(ids) >= 5


@pytest.mark.slow
@pytest.mark.shared
def test_stopping_a_street_half_way_leaves_a_playable_video_within_10_seconds(shared: Path, tmp_path: Path) -> None:
    video, pose = shared / "video" / "people.mp4", shared / "models" / "yolov8n-pose_int8_openvino_model"
    out = tmp_path / "out"
    with subprocess.Popen(
        [KINESTREAM, "run", str(video), "--pose", str(pose), "--out", str(out), "--quiet"]
    ) as process:
        wait_until(lambda: size_of(out / "people.mp4.part") > 500_000, process)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        assert time.monotonic() - started < 10
    frames = read_report(out)["sources"]["people"]["delivered"]
    assert 0 < frames < 302
    assert count_frames(out / "people.mp4") == frames == len(read_lines(out / "people.jsonl"))


@pytest.mark.slow
@pytest.mark.shared
def test_rules_say_who_came_and_went_in_a_real_clip(shared: Path, tmp_path: Path) -> None:
    config = tmp_path / "rules.yaml"
    weights = shared / "models" / "yolov8n-pose_int8_openvino_model"
    config.write_text(
        f"""
        sources: [{shared / "video" / "one-by-one.mp4"}]
        pose: {{kind: ultralytics, weights: {weights}, confidence: 0.1}}
        track: bytetrack
        rules: [presence, fall, pose, {{kind: line, id: middle, a: [0.5, 0], b: [0.5, 1], anchor: box}}]
        sinks: [events, jsonl]
        run: {{out: {tmp_path / "out"}, max_frames: 480}}
        """
    )
    done = kinestream("run", str(config), "--json")
    assert done.returncode == 0, done.stderr
    events = read_lines(tmp_path / "out" / "events.jsonl")
    of = [(event["rule"], event["kind"], event.get("id")) for event in events if not event["state"]]
    assert [row for row in of if row[0] == "presence"] == [
        ("presence", "enter", 1),
        ("presence", "leave", 1),
        ("presence", "enter", 2),
        ("presence", "leave", 2),
    ]
    assert {kind for rule, kind, _ in of if rule == "middle"} == {"cross"}
    assert not [row for row in of if row[0] in {"fall", "pose"}]  # everybody stands and walks
    lines = read_lines(tmp_path / "out" / "people.jsonl")
    assert sum(len(line.get("events", ())) for line in lines) == len(events)
