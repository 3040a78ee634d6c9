"""A small data set with all that COCO has, and pose models that know its truth.

The models are plug-ins of this file: the command finds them through the registry, as any other.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from pipeline import plugin
from pipeline.registry import PLUGINS
from pipeline.skeletons import COCO_17, skeleton_for, skeleton_of
from pipeline.types import Frame, Instances
from stages.engines.base import InputFormat
from stages.evaluation.commands import app
from stages.poses.base import PoseModel

WIDTH, HEIGHT = 160, 120
Row = dict[str, Any]


class Options(plugin.Options):
    """Of both models."""

    weights: str
    """The annotations: they know the truth."""
    noise: float = 0.0
    """Standard deviation of the joints, pixels."""
    joints: int = 17
    """How many it finds."""
    names: tuple[str, ...] = ()
    """What it calls them; none: as their number tells."""
    padding: float = 1.25
    """As top-down models have."""
    input_width: int = 192
    """Of the picture it sees, which is 256 pixels high."""
    max_batch: int = 8
    """Pictures at once."""
    says_joints: bool = True
    """Whether it tells its joints as soon as it is open."""


class TruthPose(PoseModel):
    """Finds in each box the annotated person whose box has the nearest centre."""

    boxes: ClassVar[str] = "needed"

    def __init__(self, options: Options) -> None:
        self.options = options
        self.max_batch = options.max_batch

    def open(self) -> None:
        tree = json.loads(Path(self.options.weights).read_text())
        self.input = InputFormat(self.options.input_width, 256)
        self.padding = self.options.padding
        names = self.options.names
        self.own = skeleton_of(names) if names else skeleton_for(self.options.joints)
        if self.options.says_joints:
            self.skeleton = self.own
        self.people = coco_people(tree) if isinstance(tree, dict) else mpii_people(tree)

    def estimate(self, frames: Sequence[Frame], instances: Sequence[Instances | None]) -> list[Instances]:
        return [self.find(Path(frame.source_id).name, table) for frame, table in zip(frames, instances, strict=True)]

    def find(self, name: str, table: Instances | None) -> Instances:
        assert table is not None
        centres = (table.xyxy[:, :2] + table.xyxy[:, 2:]) / 2
        known, joints = self.people[name]
        nearest = ((centres[:, None] - known) ** 2).sum(axis=2).argmin(axis=1)
        return self.filled(table, joints[nearest], name)

    def filled(self, table: Instances, joints: NDArray[np.float64], name: str) -> Instances:
        random = np.random.default_rng(list(name.encode()))
        moved = joints + random.normal(0, 1, joints.shape) * self.options.noise
        score = random.uniform(0.1, 1, joints.shape[:2]) if self.options.noise else np.ones(joints.shape[:2])
        return table.with_columns(
            keypoints=moved[:, : len(self.own)],
            keypoint_score=score[:, : len(self.own)],
            skeleton=self.own,
        )


class TruthFinder(TruthPose):
    """Finds everybody by itself, the first one best."""

    boxes: ClassVar[str] = "unused"

    def find(self, name: str, table: Instances | None) -> Instances:
        assert table is None
        centres, joints = self.people[name]
        boxes = np.hstack([centres - 5, centres + 5])
        return self.filled(Instances.of(boxes, np.linspace(1, 0.5, len(boxes))), joints, name)


People = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def coco_people(tree: Row) -> People:
    """File name -> centres of boxes, and joints, of everybody who has joints."""
    found: People = {}
    count = len(tree["annotations"][0]["keypoints"]) // 3
    for image in tree["images"]:
        rows = [row for row in tree["annotations"] if row["image_id"] == image["id"] and max(row["keypoints"])]
        boxes = np.array([row["bbox"] for row in rows], np.float64).reshape(-1, 4)
        joints = np.array([row["keypoints"] for row in rows], np.float64).reshape(len(rows), count, 3)
        found[image["file_name"]] = boxes[:, :2] + boxes[:, 2:] / 2, joints[:, :, :2]
    return found


def mpii_people(tree: list[Row]) -> People:
    """The same of MPII, pixels from 0; the centre is that of the region the official code looks at."""
    found: People = {}
    for name in {row["image"] for row in tree}:
        rows = [row for row in tree if row["image"] == name]
        centres = [[row["center"][0] - 1, row["center"][1] + 15 * row["scale"] - 1] for row in rows]
        found[name] = np.array(centres), np.array([row["joints"] for row in rows], np.float64) - 1
    return found


def make_person(image_id: int, box: list[float], number: int, **fields: Any) -> Row:
    """Put a person into a box: 17 joints inside it, all visible."""
    random = np.random.default_rng(number)
    x, y, width, height = box
    joints = np.column_stack([random.uniform(x, x + width, 17), random.uniform(y, y + height, 17), np.full(17, 2)])
    row = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": box,
        "area": width * height * 0.6,
        "iscrowd": 0,
        "keypoints": joints.round().ravel().tolist(),
        "num_keypoints": 17,
    }
    return row | fields


def make_tree() -> Row:
    """Three pictures: three people, a crowd and somebody without joints; nobody; a large person of few joints."""
    nothing = {"keypoints": [0.0] * 51, "num_keypoints": 0}
    few = make_person(12, [20, 10, 60, 100], 6)["keypoints"][:12] + [0.0] * 39
    people = [
        make_person(10, [5, 5, 50, 100], 1),
        make_person(10, [60, 10, 40, 90], 2),
        make_person(10, [101, 40, 58, 45], 3),
        make_person(10, [100, 0, 60, 60], 4, iscrowd=1, **nothing),
        make_person(10, [0, 90, 20, 30], 5, **nothing),
        make_person(12, [20, 10, 60, 100], 6, keypoints=few, num_keypoints=4, area=100.0**2),
    ]
    names = {10: "a.png", 11: "nobody.png", 12: "b.png"}
    return {
        "images": [{"id": i, "file_name": name, "width": WIDTH, "height": HEIGHT} for i, name in names.items()],
        "annotations": people,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.joints), "skeleton": [[1, 2]]}],
    }


class Folder:
    """A data set in a folder, and the command to measure on it."""

    def __init__(self, path: Path, tree: Any, names: Sequence[str]) -> None:
        self.path, self.tree = path, tree
        self.images = path / "images"
        self.images.mkdir()
        for number, name in enumerate(names):
            cv2.imwrite(str(self.images / name), np.full((HEIGHT, WIDTH, 3), 40 * number, np.uint8))
        self.annotations = self.write("annotations.json", tree)

    def write(self, name: str, tree: Any) -> Path:
        path = self.path / name
        path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
        return path

    def detections(self, *rows: Any) -> Path:
        """Write (image id, box, score) as a detector does; a mapping as it is."""
        full = [
            row if isinstance(row, dict) else dict(zip(("image_id", "bbox", "score"), row, strict=True)) for row in rows
        ]
        return self.write("detections.json", [{"category_id": 1} | row for row in full])

    def measure(self, *words: str | Path, kind: str = "truth", annotations: Path | None = None) -> Any:
        files = ["--annotations", str(annotations or self.annotations), "--images", str(self.images)]
        weights = ["--weights", str(self.annotations), "--kind", kind]
        return CliRunner().invoke(app, ["pose", *files, *weights, *map(str, words)])

    def report(self, *words: str | Path, kind: str = "truth") -> Any:
        result = self.measure(*words, "--json", kind=kind)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, model in {"truth": TruthPose, "finder": TruthFinder}.items():
        monkeypatch.setitem(PLUGINS["pose"], name, f"{model.__module__}:{model.__name__}")


@pytest.fixture
def coco(tmp_path: Path) -> Folder:
    return Folder(tmp_path, make_tree(), ["a.png", "nobody.png", "b.png"])


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Any, Sequence[str]], Folder]:
    return lambda tree, names: Folder(tmp_path, tree, names)


@pytest.fixture
def person() -> Callable[..., Row]:
    return make_person
