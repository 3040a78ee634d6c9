"""What annotating on Dataloop costs: memory over an hour of video, and time on top of the same run with the sink jsonl.

    python benchmarks/dataloop.py memory                            # 20 people, 60 minutes
    python benchmarks/dataloop.py overlap street.mp4 --pose yolo11n-pose.pt

The platform is the test server, in a process of its own, on loopback.

- **memory**: people who walk, drawn by nobody, go through `ItemAnnotations` and are uploaded meanwhile. Wanted: at most
  300 MB more than before the first frame.
- **overlap**: `kinestream dataloop annotate` and `kinestream run --sink jsonl` in turn, with the same models on a file.
  Seconds are those of the report, from the first model to the last byte; CPU is that of the whole process. Wanted: at
  most 10 % more, by the median of the rounds.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import Any, NamedTuple

import av
import numpy as np
import psutil

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]  # the platform is that of the tests

from dataloop_server import DataloopServer

from pipeline.skeletons import COCO_17
from pipeline.types import Frame, HostPixels, Packet, Stream
from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.item_annotations import ItemAnnotations
from stages.dataloop.delivery.journal import Journal, journal_path
from stages.dataloop.delivery.outbox import Outbox
from stages.dataloop.items import get_item
from stages.dataloop.recipes import Recipes, carry_out, find_template, plan
from stages.drawing.figures import Walkers

WIDTH, HEIGHT, RATE = 1920, 1080, 25.0
PICTURE = HostPixels(np.zeros((1, 1, 3), np.uint8))
TOLD_EVERY = 5.0
"""Minutes of video."""


class Place(NamedTuple):
    """A file on the platform."""

    url: str
    token: str
    item_id: str


def serve(path: Path, facts: dict[str, Any], said: Connection) -> None:
    """Be the platform until the other end is closed. Records of frames are taken and forgotten: memory is finite."""
    with DataloopServer(keep_bodies=False) as server:
        annotate = server.store.annotate

        def forget(item_id: str, body: object) -> list[dict[str, Any]]:
            kept = annotate(item_id, body)
            for one in kept:
                one["metadata"]["system"].pop("snapshots_", None)
            return kept

        server.store.annotate = forget  # type: ignore[method-assign]
        said.send(Place(server.url, server.new_token(), server.add_item(path, **facts)))
        said.poll(None)


@contextmanager
def platform(path: Path, **facts: object) -> Iterator[Place]:
    """Be logged in to a platform with one item, set up for people."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(path, facts, there), daemon=True)
    server.start()
    place: Place = here.recv()
    with tempfile.TemporaryDirectory() as state:
        os.environ |= {
            "DATALOOP_URL": place.url, "DATALOOP_TOKEN": place.token,
            "DATALOOP_PATH": state, "KINESTREAM_STATE": state,
        }  # fmt: skip
        with Platform.from_environment() as login:
            dataset_id = get_item(login, place.item_id).dataset_id
            carry_out(login, plan(Recipes.read(login, dataset_id)))
        yield place
    here.send("enough")
    server.join()


# Memory


def memory(people: int, minutes: float) -> None:
    frames = round(minutes * 60 * RATE)
    facts = {"mimetype": "video/mp4", "width": WIDTH, "height": HEIGHT, "fps": RATE, "frame_count": frames}
    with platform(Path(__file__), **facts) as place, Platform.from_environment() as login:
        item = get_item(login, place.item_id)
        journal = Journal(journal_path(item.id))
        journal.open({})
        template = find_template(login, item.dataset_id, COCO_17)
        annotations = ItemAnnotations(login, item, template, journal, "benchmark")
        before = most = rss_mb()
        print(f"{people} people, {minutes:g} minutes, {frames} frames; before the first one: {before:.0f} MB")
        print("| minute | RSS above, MB | most so far | annotations | on the platform | journal, MB |")
        print("|---|---|---|---|---|---|")
        crowd, began = Walkers(people, WIDTH, HEIGHT), time.monotonic()
        for index in range(frames):
            annotations.write(packet(index, crowd))
            if index % 50 == 0:
                most = max(most, rss_mb())
            if (index + 1) % round(TOLD_EVERY * 60 * RATE) == 0:
                row(index / RATE / 60, before, most, journal)
        uploaded = annotations.finish()
        while not uploaded.done():
            most = max(most, rss_mb())
            time.sleep(0.05)
        made, seconds = uploaded.result().annotations, time.monotonic() - began
        print(f"{made} annotations in {seconds:.0f} s; {most - before:.0f} MB above")
        journal.close()


def packet(index: int, crowd: Walkers) -> Packet:
    stream = Stream("cam", frames_per_second=RATE)
    frame = Frame(stream, index, index / RATE, datetime.now(UTC), time.monotonic(), PICTURE)
    return Packet(frame, crowd.truth(index / RATE))


def row(minute: float, before: float, most: float, journal: Journal) -> None:
    outbox, size = Outbox(journal), journal.file.path.stat().st_size / 1e6
    told = (f"{minute:.0f}", f"{rss_mb() - before:.0f}", f"{most - before:.0f}", outbox.count(), outbox.count("stored"))
    print("|", " | ".join(map(str, told)), f"| {size:.0f} |", flush=True)


def rss_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


# Time


def overlap(video: Path, models: Sequence[str], rounds: int) -> None:
    with av.open(str(video)) as opened:
        film = opened.streams.video[0]
        facts = {"width": film.width, "height": film.height, "fps": float(film.average_rate or RATE)}
    ratios = []
    with platform(video, **facts) as place, tempfile.TemporaryDirectory() as out:
        ways = (
            ("run", str(video), "--sink", "jsonl", "--out", f"{out}/run"),
            ("dataloop", "annotate", "--item", place.item_id),
        )
        print("| round | jsonl, s | annotate, s | ratio | jsonl, CPU s | annotate, CPU s | ratio |")
        print("|---|---|---|---|---|---|---|")
        for number in range(rounds):
            plain, uploaded = (measure([*way, "--preset", "embedded", *models]) for way in ways[:: 1 - number % 2 * 2])
            plain, uploaded = (uploaded, plain) if number % 2 else (plain, uploaded)
            both = [(a, b, b / a) for a, b in zip(plain, uploaded, strict=True)]
            ratios.append([ratio for *_, ratio in both])
            print(f"| {number + 1} |", " | ".join(f"{value:.2f}" for three in both for value in three), "|", flush=True)
    seconds, cpu = map(statistics.median, zip(*ratios, strict=True))
    print(f"median ratio: {seconds:.3f} of the seconds, {cpu:.3f} of the CPU")


def measure(arguments: Sequence[str]) -> tuple[float, float]:
    """Run the command line; give the seconds of its report, and CPU seconds of the process."""
    before = getrusage(RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).with_name("kinestream")), *arguments, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=HERE.parent)
    after = getrusage(RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(json.loads(done.stdout)["elapsed_seconds"]), cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ways = parser.add_subparsers(dest="way", required=True)
    hour = ways.add_parser("memory")
    hour.add_argument("--people", type=int, default=20)
    hour.add_argument("--minutes", type=float, default=60.0)
    both = ways.add_parser("overlap", epilog="What follows is handed to both: --pose, --tracker, -o ...")
    both.add_argument("video", type=Path)
    both.add_argument("--rounds", type=int, default=5)
    arguments, models = parser.parse_known_args()
    if arguments.way == "memory":
        memory(arguments.people, arguments.minutes)
    else:
        overlap(arguments.video.resolve(), models, arguments.rounds)


if __name__ == "__main__":
    main()
