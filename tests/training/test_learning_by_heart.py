"""A narrow network learns a few real people by heart; what it has learned is there for every command."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from pipeline.cli import app
from stages.poses.networks.checkpoint import read_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("one_thread")]

Write = Callable[..., Path]


def kinestream(*words: Any) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def few(shared: Path, tmp_path: Path) -> Path:
    """A folder with annotations of four large people, each in a photograph of its own, and these photographs."""
    tree = json.loads((shared / "coco" / "person_keypoints.json").read_text(encoding="utf-8"))
    large = [row for row in tree["annotations"] if row["num_keypoints"] >= 15 and row["area"] > 5000]
    tree["annotations"] = [*{row["image_id"]: row for row in large}.values()]
    (tmp_path / "images").mkdir()
    for image in tree["images"]:
        shutil.copy(shared / "coco" / "images" / image["file_name"], tmp_path / "images")
    (tmp_path / "people.json").write_text(json.dumps(tree), encoding="utf-8")
    return tmp_path


@pytest.mark.shared
def test_a_few_people_are_learned_by_heart_and_found_again_by_every_command(few: Path, shared: Path) -> None:
    files = {"annotations": str(few / "people.json"), "images": str(few / "images")}
    tree = {
        "network": {"size": 16},
        "data": {"train": files, "validation": files},
        "target": {"image_size": [128, 96], "encoding": "dark"},
        "augmentation": {"flip": 0, "scale": 0, "rotation": 0, "half_body": 0},
        "loading": {"batch": 4, "workers": 0},
        "optimiser": {"lr": 2e-3},
        "schedule": {"kind": "cosine", "warm_up_epochs": 5, "floor": 0.02},
        "epochs": 220,
        "measure": {"every_epochs": 110, "flip_test": False},
        "device": "cpu",
        "out": str(few / "run"),
    }
    (few / "heart.yaml").write_text(yaml.safe_dump(tree), encoding="utf-8")

    assert "trained 220 epochs" in kinestream("train", few / "heart.yaml")
    weights = few / "run" / "pose_hrnet_w16_128x96.pth"
    options = ("--annotations", files["annotations"], "--images", files["images"], "--weights", weights)
    measured = json.loads(kinestream("evaluate", "pose", *options, "--engine", "torch", "--precision", "f32", "--json"))
    detector = shared / "models" / "yolo11n_int8_openvino_model"
    streamed = ("--detector", detector, "--pose", weights, "--tracker", "none", "--sink", "jsonl", "--quiet")
    kinestream("run", few / "images", *streamed, "--out", few / "out")

    assert measured["metrics"]["AP"] >= 0.95
    assert share_found(few, next((few / "out").glob("*.jsonl"))) >= 0.9


def share_found(few: Path, stream: Path) -> float:
    """Say which share of the joints somebody in the stream has within a tenth of the longer side of the box."""
    tree = json.loads((few / "people.json").read_text(encoding="utf-8"))
    frames = {line["frame"]: line for line in map(json.loads, stream.read_text(encoding="utf-8").splitlines())}
    numbers = {path.name: number for number, path in enumerate(sorted((few / "images").iterdir()))}
    names = {image["id"]: image["file_name"] for image in tree["images"]}
    shares = []
    for row in tree["annotations"]:
        truth = np.array(row["keypoints"], float).reshape(-1, 3)
        people = frames[numbers[names[row["image_id"]]]]["people"]
        away = [np.linalg.norm(np.array(person["keypoints"])[:, :2] - truth[:, :2], axis=1) for person in people]
        near = [(distances < max(row["bbox"][2:]) / 10)[truth[:, 2] > 0].mean() for distances in away]
        shares.append(max(near, default=0.0))
    return float(np.mean(shares))


def test_a_poseresnet_is_trained_too(training_file: Write, tmp_path: Path) -> None:
    path = training_file(2, network={"architecture": "poseresnet", "size": 50}, epochs=1)

    kinestream("train", path)

    checkpoint = read_checkpoint(tmp_path / "run" / "pose_resnet_50_64x64_last.pth")
    assert (checkpoint.name, checkpoint.channels) == ("PoseResNet-50", "bgr")
