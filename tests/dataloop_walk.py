"""People who walk through a video that nobody filmed, for tests of what becomes of them on the platform.

As a program it annotates an item with them, as a run does; it may be killed at any moment:

    python tests/dataloop_walk.py ITEM_ID --frames 200 --people 3
    python tests/dataloop_walk.py ITEM_ID --video street.mp4 --weights yolo11n-pose.pt      # or with those in a film
"""

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pipeline.config import build_config
from pipeline.graph import build
from pipeline.runner import Runner
from pipeline.skeletons import COCO_17
from pipeline.stage import Sink
from pipeline.types import Frame, HostPixels, Instances, Packet, Stream
from stages.dataloop.annotating.recording import Recordings, remember
from stages.dataloop.connection.platform import Platform
from stages.dataloop.delivery.item_annotations import ItemAnnotations
from stages.dataloop.delivery.journal import Journal, journal_path
from stages.dataloop.delivery.upload import UploadLimits
from stages.dataloop.items import get_item
from stages.dataloop.labels import Template
from stages.dataloop.timeline.annotations import AnnotationOptions

__all__ = ["FPS", "MODEL", "OPTIONS", "TEMPLATE", "walk", "walkers"]

FPS = 25.0
MODEL = "walk"
TEMPLATE = Template("template-1", COCO_17)
OPTIONS = AnnotationOptions(segment_seconds=1.0)
_PIXELS = HostPixels(np.zeros((240, 320, 3), np.uint8))
_CAPTURED_AT = datetime(2026, 1, 2, tzinfo=UTC)


def walkers(index: int, people: int, *, tracked: bool = True) -> Instances:
    """Place the people of a frame: each of them on a lane of its own, swinging every joint."""
    lane = np.arange(people)[:, None]
    x = 20 + (index * 2.0 + lane * 30) % 250
    corners = np.hstack([x, 10 + lane * 5.0, x + 40, 90 + lane * 5.0])
    joints = np.arange(len(COCO_17))
    swing = 4 * np.sin(index / 3 + joints)
    keypoints = np.stack([x + joints + swing, 12 + lane * 5 + 4 * joints + 0 * swing], axis=2)
    table = Instances.of(
        corners,
        np.full(people, 0.9),
        keypoints=keypoints,
        keypoint_score=np.full((people, len(joints)), 0.8),
        skeleton=COCO_17,
    )
    return table.with_columns(track_id=np.arange(1, people + 1)) if tracked else table


def walk(frames: int, people: int, source_id: str = "cam", *, live: bool = False) -> Iterator[Packet]:
    """Give the packets of a video."""
    stream = Stream(source_id, live=live, frames_per_second=FPS)
    for index in range(frames):
        frame = Frame(stream, index, index / FPS, _CAPTURED_AT, time.monotonic(), _PIXELS)
        yield Packet(frame, walkers(index, people))


class _Recording(Sink):
    """Gives what a chain finds to an item."""

    name = "recording"
    needs = frozenset({"keypoints", "track_id"})

    def __init__(self, annotations: ItemAnnotations) -> None:
        self._annotations = annotations

    async def write(self, packets: deque[Packet]) -> None:
        while packets:
            self._annotations.write(packets[0])
            packets.popleft()


def _film(path: Path, weights: str, frames: int, journal: Journal, annotations: ItemAnnotations) -> None:
    """Run a chain over a video; frames that an earlier process has inferred are not inferred again."""
    config = build_config(
        {
            "sources": [{"kind": "file", "path": str(path), "id": "cam"}],
            "pose": {"kind": "ultralytics", "weights": weights},
            "track": "kinesort",
            "sinks": ["null"],
            "run": {"max_frames": frames},
        }
    )
    recordings = Recordings()
    recordings.add("cam", journal)
    graph = remember(build(config, Path()), recordings)
    asyncio.run(Runner(replace(graph, sinks=(_Recording(annotations),)), config.run).run())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("item_id")
    asked.add_argument("--frames", type=int, default=200)
    asked.add_argument("--people", type=int, default=3)
    asked.add_argument("--video", type=Path, help="look for people in this, instead")
    asked.add_argument("--weights")
    asked.add_argument("--most", type=int, default=20, help="annotations in a request")
    options = asked.parse_args()
    with Platform.from_environment(timeout_seconds=10) as platform:
        item = get_item(platform, options.item_id)
        journal = Journal(journal_path(item.id))
        journal.open({"frames": options.frames, "people": options.people}, resume=True)
        limits = UploadLimits(most=options.most, patience_seconds=20, pause_seconds=0.05)
        annotations = ItemAnnotations(platform, item, TEMPLATE, journal, MODEL, options=OPTIONS, limits=limits)
        _say("ready")
        if options.video and not journal.is_complete:
            _film(options.video, options.weights, options.frames, journal, annotations)
        for packet in () if options.video else walk(options.frames, options.people):
            annotations.write(packet)
        _say(json.dumps({"annotations": annotations.finish().result().annotations}))
        journal.close()


if __name__ == "__main__":
    main()
