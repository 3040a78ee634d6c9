"""A run that annotates items, killed and cut off at any moment: afterwards each annotation is there once."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dataloop_walk
import pytest
from clips import Clip
from dataloop_faults import Hang, Lose, LoseReply, Status
from dataloop_server import EMAIL, PASSWORD, DataloopServer

ROOT = Path(__file__).resolve().parents[2]
POSTS = r"/annotations$"
KILLS = 10
KILLS_OF_THE_COMMAND = 4
"""It takes seconds to start."""

pytestmark = pytest.mark.slow

Job = subprocess.Popen[str]


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers; the seed is printed, and `KINESTREAM_SEED` repeats it."""
    seed = int(os.environ.get("KINESTREAM_SEED", random.SystemRandom().randrange(10**6)))
    sys.stdout.write(f"{request.node.name}: KINESTREAM_SEED={seed}\n")
    return random.Random(seed)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    """Start annotating an item in a process of its own; wait until it begins. It is ended with the test."""
    started: list[Job] = []

    def start_it(item_id: str, *arguments: object) -> Job:
        command = [sys.executable, str(ROOT / "tests" / "dataloop_walk.py"), item_id, *map(str, arguments)]
        environment = os.environ | {
            "KINESTREAM_STATE": str(tmp_path / "state"),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}",
        }
        job = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        started.append(job)
        assert job.stdout is not None
        assert job.stdout.readline() == "ready\n"
        return job

    yield start_it
    for job in started:
        job.kill()
        job.communicate()


def add_item(server: DataloopServer, folder: Path, frames: int) -> str:
    path = folder / "walk.mp4"
    path.write_bytes(b"nobody reads this")
    return server.add_item(path, width=320, height=240, fps=dataloop_walk.FPS, frame_count=frames)


def result(job: Job) -> dict[str, Any]:
    assert job.stdout is not None
    text = job.stdout.read()
    assert job.wait(timeout=10) == 0
    return dict(json.loads(text))


def kill_after(job: Job, server: DataloopServer, requests: int, seconds: float) -> bool:
    """Kill it some requests and some time later; tell whether it was still there."""
    target = len(server.requests) + requests
    while job.poll() is None and len(server.requests) < target:
        time.sleep(0.001)
    try:
        job.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        job.kill()
        job.wait()
        return True
    return False


def stamps(server: DataloopServer, item_id: str) -> list[tuple[str, str]]:
    """Give run and key of all that is on an item."""
    marks = (one["metadata"]["user"]["kinestream"] for one in server.annotations(item_id))
    return [(mark["run"], mark["key"]) for mark in marks]


def content(server: DataloopServer, item_id: str) -> dict[str, Any]:
    """Give what is on an item: key -> annotation, without what differs from run to run."""
    found: dict[str, Any] = {}
    there = server.annotations(item_id)
    keys = {one["id"]: key for one, (_, key) in zip(there, stamps(server, item_id), strict=True)}
    for one in there:
        system = {**one["metadata"]["system"]}
        if "parentId" in system:
            system["parentId"] = keys[system["parentId"]]
        found[keys[one["id"]]] = {"type": one["type"], "at": one["coordinates"], "label": one["label"], **system}
    return found


def assert_nothing_twice(server: DataloopServer, item_id: str) -> None:
    assert set(Counter(stamps(server, item_id)).values()) <= {1}


def assert_same(server: DataloopServer, item_id: str, undisturbed: str) -> None:
    """Check that two items have the same annotations, each of them once, and all of one run."""
    assert_nothing_twice(server, item_id)
    assert len({run for run, _ in stamps(server, item_id)}) == 1
    assert content(server, item_id) == content(server, undisturbed) != {}


def test_killed_at_ten_random_moments_everything_is_there_once(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, chance: random.Random
) -> None:
    frames, people = 250, 6
    undisturbed, killed = (add_item(dataloop, tmp_path, frames) for _ in range(2))
    arguments = ("--frames", frames, "--people", people)
    result(start(killed, "--frames", 30))  # an earlier run, which is to be replaced
    dataloop.requests.clear()
    expected = result(start(undisturbed, *arguments))["annotations"]
    steps = len(dataloop.requests)
    kills = 0
    for _ in range(KILLS):
        job = start(killed, *arguments)
        if not kill_after(job, dataloop, chance.randint(1, 2 * steps // KILLS), chance.uniform(0, 0.02)):
            break
        kills += 1
        assert_nothing_twice(dataloop, killed)
    assert result(start(killed, *arguments))["annotations"] == expected
    assert kills >= KILLS // 2
    assert_same(dataloop, killed, undisturbed)


def test_killed_between_the_proof_and_the_end_the_earlier_run_is_still_replaced(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, chance: random.Random
) -> None:
    item_id = add_item(dataloop, tmp_path, 50)
    result(start(item_id, "--frames", 50))
    for frames in range(51, 55):  # each of them another run
        job = start(item_id, "--frames", frames)
        while job.poll() is None and not any((one.body or {}).get("delete") for one in _queries(dataloop)):
            time.sleep(0.0005)
        kill_after(job, dataloop, 0, chance.uniform(0, 0.01))
        dataloop.requests.clear()
        result(start(item_id, "--frames", frames))
        dataloop.requests.clear()
        assert_nothing_twice(dataloop, item_id)
        assert len({run for run, _ in stamps(dataloop, item_id)}) == 1
        poses = [one for one in dataloop.annotations(item_id) if one["type"] == "pose"]
        assert {one["metadata"]["system"]["endFrame"] for one in poses} == {frames - 1}


def _queries(server: DataloopServer) -> list[Any]:
    return [one for one in list(server.requests) if one.path.endswith("/query") and isinstance(one.body, dict)]


def test_a_tenth_of_the_replies_lost_and_bursts_of_503_leave_everything_there_once(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, chance: random.Random
) -> None:
    frames, people = 250, 6
    undisturbed, disturbed = (add_item(dataloop, tmp_path, frames) for _ in range(2))
    arguments = ("--frames", frames, "--people", people)
    expected = result(start(undisturbed, *arguments))["annotations"]
    posts = dataloop.count("POST", POSTS)
    lost = chance.sample(range(posts), max(posts // 10, 3))
    for number in lost:
        dataloop.inject(LoseReply() if chance.random() < 0.5 else Lose(), "POST", POSTS, skip=number)
    for number in chance.sample(range(posts), 4):
        dataloop.inject(Status(503, after=chance.random() < 0.5), skip=number, times=chance.randint(1, 3))
    dataloop.inject(Hang(0.2, after=True), "POST", POSTS, skip=posts // 2)
    assert result(start(disturbed, *arguments))["annotations"] == expected
    assert_same(dataloop, disturbed, undisturbed)


def test_a_platform_that_asks_for_patience_and_for_less_at_once_gets_both(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, chance: random.Random
) -> None:
    undisturbed, disturbed = (add_item(dataloop, tmp_path, 100) for _ in range(2))
    expected = result(start(undisturbed, "--frames", 100))["annotations"]
    dataloop.max_body_bytes = max(one.bytes for one in dataloop.requests) // 3
    wait = Status(429, headers={"Retry-After": "1"})
    dataloop.inject(wait, "POST", POSTS, skip=chance.randint(0, 5))
    dataloop.inject(wait, "POST", "/query$", skip=chance.randint(0, 3))
    began, at = time.monotonic(), len(dataloop.requests)
    assert result(start(disturbed, "--frames", 100))["annotations"] == expected
    assert time.monotonic() - began > 2
    assert 413 in {one.status for one in dataloop.requests[at:]}
    assert_same(dataloop, disturbed, undisturbed)


def test_a_token_that_expires_on_the_way_costs_a_second_start(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 250
    undisturbed, disturbed = (add_item(dataloop, tmp_path, frames) for _ in range(2))
    expected = result(start(undisturbed, "--frames", frames))["annotations"]
    target = len(dataloop.requests) + 8
    job = start(disturbed, "--frames", frames)
    while len(dataloop.requests) < target:
        time.sleep(0.001)
    dataloop.expire_tokens()
    job.communicate(timeout=60)
    assert job.returncode == 1
    monkeypatch.setenv("DATALOOP_TOKEN", dataloop.new_token())
    assert result(start(disturbed, "--frames", frames))["annotations"] == expected
    assert_same(dataloop, disturbed, undisturbed)


def test_a_token_that_can_be_renewed_may_expire_at_any_time(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = 250
    undisturbed, disturbed = (add_item(dataloop, tmp_path, frames) for _ in range(2))
    expected = result(start(undisturbed, "--frames", frames))["annotations"]
    monkeypatch.delenv("DATALOOP_TOKEN")
    monkeypatch.setenv("DATALOOP_EMAIL", EMAIL)
    monkeypatch.setenv("DATALOOP_PASSWORD", PASSWORD)
    dataloop.requests.clear()
    job, expired = start(disturbed, "--frames", frames), 0
    while job.poll() is None:
        if len(dataloop.requests) > 10 * expired + 5:
            dataloop.expire_tokens()
            expired += 1
        time.sleep(0.001)
    assert result(job)["annotations"] == expected
    assert expired >= 3
    assert_same(dataloop, disturbed, undisturbed)


def recorded(state: Path, item_id: str) -> int:
    """Count the frames whose people are in the journal of an item."""
    database = sqlite3.connect(f"file:{state}/dataloop/{item_id}.sqlite?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT COUNT(*) FROM frame").fetchone()[0])
    finally:
        database.close()


@pytest.mark.shared
def test_a_film_whose_run_was_killed_has_exactly_the_annotations_of_one_that_was_not(
    dataloop: DataloopServer, start: Callable[..., Job], tmp_path: Path, chance: random.Random, shared: Path
) -> None:
    frames = 60
    video = shared / "video" / "people.mp4"
    weights = shared / "models" / "yolov8n-pose_int8_openvino_model"
    arguments = ("--video", video, "--weights", weights, "--frames", frames)
    undisturbed, killed = (
        dataloop.add_item(video, width=1920, height=1080, fps=30.0, frame_count=frames) for _ in range(2)
    )
    expected = result(start(undisturbed, *arguments))["annotations"]
    for target in (chance.randint(1, 25), chance.randint(30, 50)):
        job = start(killed, *arguments)
        while job.poll() is None and recorded(tmp_path / "state", killed) < target:
            time.sleep(0.005)
        assert job.poll() is None
        kill_after(job, dataloop, 0, chance.uniform(0, 0.05))
        assert target <= recorded(tmp_path / "state", killed) < frames
    assert result(start(killed, *arguments))["annotations"] == expected > 100
    assert_same(dataloop, killed, undisturbed)


@pytest.mark.timeout(400)
def test_the_command_killed_again_and_again_leaves_what_one_that_was_not_leaves(
    dataloop: DataloopServer, make_clip: Callable[..., Clip], tmp_path: Path, chance: random.Random
) -> None:
    film = make_clip(fps=25, seconds=4)
    facts: dict[str, Any] = {"fps": film.fps, "frame_count": film.frames, "width": film.width, "height": film.height}
    undisturbed, killed = ([dataloop.add_item(film.path, **facts) for _ in range(2)] for _ in range(2))
    environment = os.environ | {"KINESTREAM_STATE": str(tmp_path / "state")}

    def command(*arguments: str) -> Job:
        program = [sys.executable, str(ROOT / "tests" / "dataloop_square.py"), "dataloop", *arguments]
        return subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)

    def annotate(items: Sequence[str], *more: str) -> Job:
        named = [part for item in items for part in ("--item", item)]
        return command("annotate", "--quiet", "--pose", "square", *named, *more)

    def done(job: Job) -> None:
        with job:
            assert job.wait(timeout=60) == 0

    finer = ("-o", "annotations.segment_seconds=0.3")
    done(command("setup", "--dataset", dataloop.dataset_id))
    done(annotate(killed))  # an earlier run, which is to be replaced
    dataloop.requests.clear()
    done(annotate(undisturbed, *finer))
    steps, kills = len(dataloop.requests), 0
    for _ in range(KILLS_OF_THE_COMMAND):
        with annotate(killed, "--resume", *finer) as job:
            was_there = kill_after(job, dataloop, chance.randint(1, steps // 2), chance.uniform(0, 0.1))
        if not was_there:
            break
        kills += 1
        for item in killed:
            assert_nothing_twice(dataloop, item)
    done(annotate(killed, "--resume", *finer))
    assert kills
    for item, same in zip(killed, undisturbed, strict=True):
        assert_same(dataloop, item, same)
