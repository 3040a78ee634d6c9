"""How many bytes the annotations of a video take on their way to Dataloop, and how far its playback is from the tracks.

    kinestream run people.mp4 --tracker kinesort -o smooth=light --sink jsonl --out people
    python benchmarks/dataloop_size.py people/people.jsonl

The tracks are repeated, everybody under a new identity, until there are so many frames; a row of people who walk,
drawn and without any noise, comes on top. All ratios are against a key frame of 154 bytes for each joint and frame.

    records   records for each joint and frame: no choice has fewer, for holding each as long as one point will do
    hidden    share of the records that hide a joint or somebody
    ratio     all that is sent, compact JSON, poses and what describes each annotation included
    shown     the same, against key frames for those joints only that are shown
    gzip MB   all that is sent to a platform that takes it compressed, a segment at a time
    gzip      its ratio

A point that moves by v pixels a frame needs a record every 2 tolerance / v frames. At 2 px and 70 bytes a record,
ten times fewer bytes take a run of about 5 frames: 0.9 px a frame.
"""

import argparse
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.dataloop.connection.compression import Compression
from stages.dataloop.items import Item
from stages.dataloop.labels import Template
from stages.dataloop.timeline.annotations import AnnotationOptions, Annotator, Segment, Stamp
from stages.dataloop.timeline.playback import play
from stages.drawing.figures import Walkers

PLAIN_BYTES = 154
RATE = 30.0
TEMPLATE = Template("0" * 24, COCO_17)
STAMP = Stamp(run_id="0" * 32, model_name="yolov8n-pose", model_id="0" * 24)
COLUMNS = (
    "people",
    "records",
    "hidden",
    "plain MB",
    "sent MB",
    "ratio",
    "shown",
    "gzip MB",
    "gzip",
    "max px",
    "mean px",
    "ms",
)


class Tracks(NamedTuple):
    """Who is where in each frame."""

    name: str
    people: list[Instances]


def from_file(path: Path, frames: int) -> Tracks:
    lines = [json.loads(line)["people"] for line in path.read_text(encoding="utf-8").splitlines()]
    ids = 1 + max(person["id"] or 0 for people in lines for person in people)
    return Tracks(path.stem, [table(lines[index % len(lines)], index // len(lines) * ids) for index in range(frames)])


def table(people: list[dict[str, Any]], offset: int) -> Instances:
    people = [person for person in people if person["id"] is not None]
    joints = np.array([person["keypoints"] for person in people]).reshape(-1, len(COCO_17), 3)
    instances = Instances.of(
        [person["box"] for person in people],
        [person["score"] for person in people],
        keypoints=joints[..., :2],
        keypoint_score=joints[..., 2],
        skeleton=COCO_17,
    )
    return instances.with_columns(track_id=np.array([person["id"] + offset for person in people], np.int64))


def walkers(people: int, frames: int) -> Tracks:
    crowd = Walkers(people, 1920, 1080)
    return Tracks(f"{people} walkers", [crowd.truth(index / RATE) for index in range(frames)])


def annotate(tracks: Tracks, options: AnnotationOptions) -> tuple[list[Segment], float]:
    size = len(tracks.people)
    item = Item("0" * 24, "0" * 24, "v.mp4", "/v.mp4", "video/mp4", 1, 1920, 1080, RATE, size)
    annotator = Annotator(item, TEMPLATE, STAMP, options)
    began = time.perf_counter()
    segments = [one for index, people in enumerate(tracks.people) for one in annotator.add(index / RATE, people)]
    segments += annotator.finish()
    return segments, time.perf_counter() - began


def rows(tracks: Tracks, who: set[int]) -> Iterator[tuple[int, int, Instances]]:
    """Yield frame, row and people of everybody who is annotated."""
    for frame, people in enumerate(tracks.people):
        assert people.track_id is not None
        yield from ((frame, row, people) for row, one in enumerate(people.track_id.tolist()) if one in who)


def errors_px(tracks: Tracks, segments: list[Segment], min_score: float) -> NDArray[np.float64]:
    """Measure how far every joint is when it is played; those that are to be shown must be, and no others."""
    names, played, at = np.array(COCO_17.joints), {}, -1
    errors = [np.zeros(0)]
    for frame, row, people in rows(tracks, {int(segment.object_id) for segment in segments}):
        if frame != at:
            near = (
                one
                for segment in segments
                if segment.first_frame <= frame <= segment.last_frame
                for one in segment.children
            )
            played, at = play(near, frame), frame
        assert people.keypoints is not None
        assert people.keypoint_score is not None
        assert people.track_id is not None
        shown = people.keypoint_score[row] >= min_score
        person = played.get(str(people.track_id[row]), {"joints": {}})
        assert person["joints"].keys() == set(names[shown])
        places = np.array([person["joints"][name] for name in names[shown]]).reshape(-1, 2)
        errors.append(np.hypot(*(places - people.keypoints[row][shown]).T))
    return np.concatenate(errors)


def measure(tracks: Tracks, options: AnnotationOptions) -> Iterator[float]:
    segments, seconds = annotate(tracks, options)
    blocks = [json_bytes([segment.pose, *segment.children]) for segment in segments]
    who = {int(segment.object_id) for segment in segments}
    seen = [people.keypoint_score[row] >= options.min_score for _, row, people in rows(tracks, who)]
    joints, shown = len(seen) * len(COCO_17), int(np.sum(seen))
    points = [
        one["metadata"]["system"]["snapshots_"]
        for segment in segments
        for one in segment.children
        if one["type"] == "point"
    ]
    sent = sum(map(len, blocks))
    yield len(seen) / len(tracks.people)
    yield sum(1 + len(point) for point in points) / joints
    yield sum("objectVisible" in record for point in points for record in point) / sum(
        1 + len(point) for point in points
    )
    yield PLAIN_BYTES * joints / 1e6
    yield sent / 1e6
    yield PLAIN_BYTES * joints / sent
    yield PLAIN_BYTES * shown / sent
    compressed = compressed_bytes(blocks)
    yield compressed / 1e6
    yield PLAIN_BYTES * joints / compressed
    errors = errors_px(tracks, segments, options.min_score)
    yield errors.max()
    yield errors.mean()
    yield 1000 * seconds / len(tracks.people)


def compressed_bytes(blocks: Iterable[bytes]) -> int:
    """Tell how many bytes the blocks take as they are sent."""
    compression = Compression()
    return sum(compression.send(block, lambda data, _: len(data)) for block in blocks)


def json_bytes(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def print_row(name: str, values: Iterable[object]) -> None:
    print(
        f"{name:24}" + "".join(f"{value:>10.2f}" if isinstance(value, float) else f"{value!s:>10}" for value in values)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracks", nargs="*", type=Path, help="files of the sink jsonl")
    parser.add_argument("--frames", type=int, default=3000)
    parser.add_argument("--people", type=int, default=20, help="who walk")
    parser.add_argument("--tolerance", type=float, default=2.0, help="pixels")
    parser.add_argument(
        "--boxes", action="store_true", help="annotate boxes, too: nothing that is compared with has them"
    )
    arguments = parser.parse_args()
    options = AnnotationOptions(tolerance_px=arguments.tolerance, boxes=arguments.boxes)
    print_row("", COLUMNS)
    for path in arguments.tracks:
        print_row(path.stem, map(float, measure(from_file(path, arguments.frames), options)))
    print_row(f"{arguments.people} walkers", map(float, measure(walkers(arguments.people, arguments.frames), options)))


if __name__ == "__main__":
    main()
