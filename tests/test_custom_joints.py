"""A network with joints of its own, from the file that a training writes to the outputs of a run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from trained_networks import HORSE, trained, write_trained
from typer.testing import CliRunner

from pipeline import plugin
from pipeline.cli import app
from pipeline.registry import PLUGINS
from pipeline.skeletons import skeleton_of
from pipeline.types import Frame, Instances
from stages.detectors.base import Detector
from stages.drawing.overlay import Style, draw
from stages.drawing.palette import LEFT, MIDDLE, RIGHT

WIDTH, HEIGHT = 160, 120


class Options(plugin.Options):
    """None."""


class Somebody(Detector):
    """Sees one of them in the middle of every picture."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.max_batch = 8

    def detect(self, frames: Sequence[Frame]) -> list[Instances]:
        return [Instances.of([[40, 10, 120, 110]], [0.9]) for _ in frames]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a network over two pictures, and give the folder of its outputs."""
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(PLUGINS["detector"], "somebody", f"{__name__}:Somebody")
    torch.set_num_threads(1)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(2):
        noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        cv2.imwrite(str(pictures / f"{number}.png"), cv2.resize(noise, (WIDTH, HEIGHT)))

    def run(weights: Path, *words: str) -> Any:
        machine = ["-o", "pose.engine=torch", "-o", "pose.precision=f32", "-o", "pose.device=cpu"]
        outputs = [
            "--sink",
            "jsonl",
            "--sink",
            "json",
            "--sink",
            "csv",
            "--sink",
            "coco",
            "--out",
            str(tmp_path / "out"),
        ]
        return CliRunner().invoke(
            app,
            ["run", str(pictures), "--detector", "somebody", "--pose", str(weights), *machine, *outputs, *words],
        )

    return run


def test_every_output_has_the_joints_and_bones_of_the_file(run: Any, tmp_path: Path) -> None:
    done = run(write_trained(tmp_path / "pose_hrnet_w4.pth", trained(image_size=(64, 64))))
    assert done.exit_code == 0, done.output
    assert "HRNet-W4 64x64 (height x width), joints-5" in done.stdout

    out = tmp_path / "out"
    lines = [json.loads(line) for line in (out / "people.jsonl").read_text().splitlines()]
    assert [len(person["keypoints"]) for line in lines for person in line["people"]] == [5, 5]
    header = json.loads((out / "people-pictures.json").read_text())
    assert header["skeleton"] == {
        "name": "joints-5",
        "joints": list(HORSE.joints),
        "bones": [list(bone) for bone in HORSE.bones],
    }
    assert "left_ear_x" in (out / "people.csv").read_text()
    assert [len(row["keypoints"]) for row in json.loads((out / "pictures.json").read_text())] == [15, 15]


def test_the_overlay_draws_the_bones_of_the_file_in_the_colours_of_their_side() -> None:
    legs = skeleton_of(["left_hip", "left_hoof", "right_hip", "right_hoof", "tail"], [(0, 1), (2, 3), (0, 4)])
    points = [(160, 80), (160, 400), (480, 80), (480, 400), (320, 80)]
    people = Instances.of([[0, 0, 640, 480]], [0.9], keypoints=[points], keypoint_score=np.ones((1, 5)), skeleton=legs)

    drawn = draw(np.zeros((480, 640, 3), np.uint8), people, Style(boxes=False, labels=False))

    def colour_between(one: int, other: int) -> tuple[int, ...]:
        (x1, y1), (x2, y2) = points[one], points[other]
        return tuple(drawn[(y1 + y2) // 2, (x1 + x2) // 2].tolist())

    seen = [colour_between(*bone) for bone in legs.bones]
    assert np.allclose(seen, [LEFT, RIGHT, MIDDLE], atol=30)  # lines are smooth at their edges
    assert colour_between(1, 3) == (0, 0, 0)


def test_joints_that_the_run_does_not_expect_are_refused_with_both_numbers(run: Any, tmp_path: Path) -> None:
    done = run(write_trained(tmp_path / "pose_hrnet_w4.pth", trained()), "-o", "pose.joints=17")
    assert done.exit_code == 2
    assert "finds 5 joints, got joints: 17" in done.stderr
