"""How fast trackers are, and whether they stay so: updates a second, and cost and memory while 100,000 come and go.

    taskset -c 0 python benchmarks/tracking.py
    taskset -c 0 python benchmarks/tracking.py --trackers kinesort,bytetrack --runs 10

- **Updates a second**: drawn people on a street, 100 px of it for each, so that many are half hidden; boxes and joints
  tremble by 2 % of the height, who is hidden scores less, and one box in twenty is missing. 10 seconds at 30 frames a
  second; the best of several runs, since whatever else the machine does only ever adds time.
- **Tracks born and gone**: ten people at a time, each there for ten frames and then never again, until 100,000 have
  had an identity. Median time of an update, and resident memory, along the way.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from resource import getpagesize
from typing import Final

import numpy as np

from pipeline.registry import resolve
from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.drawing.figures import Walkers
from trackers.assignment import iou
from trackers.base import Tracker

FPS: Final = 30
FRAMES: Final = 10 * FPS
PEOPLE: Final = (20, 100)
PX_EACH: Final = 100
AT_ONCE, STAY_FRAMES, TRACKS = 10, 10, 100_000
ROWS: Final = 10


def street(people: int) -> list[Instances]:
    """What a detector and a pose model would see of some people who walk."""
    walkers, rng = Walkers(people, PX_EACH * people, 720), np.random.default_rng(0)
    return [_seen(walkers.truth(index / FPS), rng) for index in range(FRAMES)]


def _seen(truth: Instances, rng: np.random.Generator) -> Instances:
    boxes, joints = truth.xyxy.astype(np.float64), np.asarray(truth.keypoints, np.float64)
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    hidden = (iou(boxes, boxes) * nearer).max(axis=1)
    height = boxes[:, 3:] - boxes[:, 1:2]
    boxes += rng.normal(0, 0.02, boxes.shape) * height
    joints += rng.normal(0, 0.02, joints.shape) * height[:, None]
    kept = rng.permutation(np.flatnonzero(rng.random(len(boxes)) > 0.05))
    return Instances.of(
        boxes[kept],
        np.clip(0.93 - hidden + rng.normal(0, 0.03, len(boxes)), 0.1, 0.99)[kept],
        keypoints=joints[kept],
        keypoint_score=np.full((len(kept), len(COCO_17)), 0.85),
        skeleton=COCO_17,
    )


def updates_per_second(make: type[Tracker], scene: Sequence[Instances]) -> float:
    tracker = make()
    started = time.perf_counter()
    for index, people in enumerate(scene):
        tracker.update(people, index / FPS)
    return len(scene) / (time.perf_counter() - started)


def passers_by() -> Iterator[Instances]:
    """Ten people in ten places, of whom one is somebody else in each frame, far from who was there."""
    for index in range(TRACKS):
        visit = (index + np.arange(AT_ONCE)) // STAY_FRAMES
        x, y = 200.0 * np.arange(AT_ONCE), 1000.0 * (visit % 50)
        yield Instances.of(np.stack([x, y, x + 40, y + 100], axis=1), np.full(AT_ONCE, 0.9))


def endurance(make: type[Tracker]) -> Iterator[tuple[int, float, float]]:
    """Yield, ten times: tracks so far, median ms of an update since the last time, and MiB in use."""
    tracker, seconds, most = make(), list[float](), 0
    for index, people in enumerate(passers_by(), start=1):
        started = time.perf_counter()
        track_id = tracker.update(people, index / FPS).track_id
        seconds.append(time.perf_counter() - started)
        assert track_id is not None
        most = max(most, int(track_id.max()))
        if index % (TRACKS // ROWS) == 0:
            yield most, statistics.median(seconds) * 1000, rss_mib()
            seconds.clear()


def rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * getpagesize() / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trackers", default="kinesort", metavar="A,B", help="which ones")
    parser.add_argument("--runs", type=int, default=5, help="of each, of which the best counts")
    arguments = parser.parse_args()
    trackers = {name: resolve("tracker", name) for name in arguments.trackers.split(",")}
    print("| tracker | people | updates/s | with poses |\n|---|---|---|---|")
    for people in PEOPLE:
        posed = street(people)
        boxes = [Instances.of(seen.xyxy, seen.score) for seen in posed]
        for name, make in trackers.items():
            best = [max(updates_per_second(make, scene) for _ in range(arguments.runs)) for scene in (boxes, posed)]
            print(f"| {name} | {people} | {best[0]:,.0f} | {best[1]:,.0f} |", flush=True)
    for name, make in trackers.items():
        print(f"\n| {name}: tracks born and gone | ms an update | RSS MiB |\n|---|---|---|")
        for tracks, milliseconds, mib in endurance(make):
            print(f"| {tracks:,} | {milliseconds:.3f} | {mib:.1f} |", flush=True)


if __name__ == "__main__":
    main()
