"""`kinestream evaluate pose` on COCO: known poses have known numbers, and they are those of pycocotools."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stages.evaluation.average_precision import METRICS
from stages.evaluation.people import Image, Person, truth_boxes

Folder = Any
"""The data set of conftest."""

BOXES = [(10, [5, 5, 50, 100]), (10, [60, 10, 40, 90]), (10, [101, 40, 58, 45]), (12, [20, 10, 60, 100])]
"""Of everybody who has joints."""


def detections(folder: Folder, scores: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6)) -> Path:
    path: Path = folder.detections(*[(*box, score) for box, score in zip(BOXES, scores, strict=True)])
    return path


def by_pycocotools(annotations: Path, results: Path) -> list[float | None]:
    coco, counter = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    truth = coco.COCO(str(annotations))
    count = counter.COCOeval(truth, truth.loadRes(str(results)), "keypoints")
    count.evaluate()
    count.accumulate()
    count.summarize()
    return [None if value == -1 else float(value) for value in count.stats]


# Known poses, known numbers


@pytest.mark.parametrize("kind", ["truth", "finder"], ids=["in boxes", "one stage"])
def test_the_truth_has_an_ap_of_one(coco: Folder, kind: str) -> None:
    report = coco.report(kind=kind)
    assert list(report["metrics"]) == list(METRICS)
    assert set(report["metrics"].values()) == {1.0}
    assert report["counts"]["people"] == 4
    assert report["counts"]["images"] == 3
    assert report["boxes"] == {"truth": "ground truth", "finder": "of the model itself"}[kind]


def test_the_truth_in_the_boxes_of_a_detector_has_an_ap_of_one(coco: Folder) -> None:
    report = coco.report("--detections", detections(coco))
    assert set(report["metrics"].values()) == {1.0}
    assert report["boxes"] == "detections"
    assert report["counts"]["poses"] == 4


def test_a_box_seen_twice_gives_one_pose(coco: Folder) -> None:
    path = coco.detections(*[(*box, score) for box in BOXES for score in (0.9, 0.3)])
    counts = coco.report("--detections", path)["counts"]
    assert (counts["boxes"], counts["poses"], counts["poses_left_out_by_oks_nms"]) == (8, 4, 4)


def test_one_of_four_people_who_is_not_detected_costs_recall(coco: Folder) -> None:
    path = coco.detections(*[(*box, 0.9) for box in BOXES[:3]])
    metrics = coco.report("--detections", path)["metrics"]
    assert metrics["AR"] == pytest.approx(0.75)
    assert metrics["AP"] == pytest.approx(76 / 101)  # of the 101 points of recall, 0 to 0.75 are reached


def test_a_size_that_nobody_has_is_no_number(coco: Folder) -> None:
    for person in coco.tree["annotations"]:
        person["area"] = 100.0**2
    coco.write("annotations.json", coco.tree)
    metrics = coco.report()["metrics"]
    assert metrics["AP(M)"] is None
    assert metrics["AP(L)"] == 1.0
    assert "AP(M)\t-\n" in coco.measure().stdout


@pytest.mark.parametrize("noise", [0.5, 2.0, 4.0, 9.0])
@pytest.mark.parametrize("kind", ["truth", "finder"], ids=["in boxes", "one stage"])
def test_degraded_poses_have_the_numbers_of_pycocotools(coco: Folder, noise: float, kind: str) -> None:
    out = coco.path / "results.json"
    words = ["--detections", detections(coco)] if kind == "truth" else []
    metrics = coco.report("-o", f"pose.noise={noise}", "--results", out, *words, kind=kind)["metrics"]
    expected = by_pycocotools(coco.annotations, out)
    assert list(metrics.values()) == pytest.approx(expected, abs=1e-9)
    assert noise < 1 or 0 < metrics["AR50"] < 1 or metrics["AP"] < 1


def test_an_annotation_of_id_0_counts_as_any_other(coco: Folder) -> None:
    """Counters mark what has no match with 0."""
    coco.tree["annotations"][0]["id"] = 0
    coco.write("annotations.json", coco.tree)
    assert coco.report()["metrics"]["AP"] == 1.0


def test_crowds_and_people_without_joints_are_neither_looked_at_nor_missed(coco: Folder) -> None:
    counts = coco.report()["counts"]
    assert (counts["boxes"], counts["people"], counts["poses"]) == (4, 4, 4)


def test_a_detection_in_a_crowd_costs_nothing(coco: Folder) -> None:
    """Its joints fall into the crowd's box, which is ignored ground."""
    path = coco.detections(*[(*box, 0.9) for box in BOXES], (10, [100, 0, 59, 60], 0.1))
    metrics = coco.report("--detections", path)["metrics"]
    assert metrics["AP"] == 1.0


# Scores and areas


def test_a_pose_scores_its_joints_times_its_box(coco: Folder) -> None:
    out = coco.path / "results.json"
    coco.report("--detections", detections(coco), "--results", out, "-o", "pose.noise=2")
    for result in json.loads(out.read_text()):
        joints = np.array(result["keypoints"]).reshape(17, 3)[:, 2]
        box = {round(score, 4) for score in (0.9, 0.8, 0.7, 0.6)}
        assert round(result["score"] / joints[joints > 0.2].mean(), 4) in box
        assert result["category_id"] == 1


def test_a_one_stage_model_ranks_its_people_itself(coco: Folder) -> None:
    out = coco.path / "results.json"
    coco.report("--results", out, "-o", "pose.noise=2", kind="finder")
    assert [round(result["score"], 4) for result in json.loads(out.read_text())] == [1.0, 0.75, 0.5, 1.0]


@pytest.mark.parametrize(
    ("option", "small", "large"),
    [pytest.param("padding", 1.0, 3.0, id="padding"), pytest.param("input_width", 192, 2000, id="aspect")],
)
def test_alike_is_measured_by_the_region_that_the_model_sees(
    coco: Folder, option: str, small: float, large: float
) -> None:
    """Two boxes with poses some pixels apart: with a larger region around them they are one person."""
    path = coco.detections((10, [5, 5, 50, 100], 0.9), (10, [6, 5, 50, 100], 0.8))
    words = ["--detections", path, "-o", "pose.noise=3", "-o"]
    counts = [coco.report(*words, f"pose.{option}={value}")["counts"] for value in (small, large)]
    assert [count["poses"] for count in counts] == [2, 1]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param([10, 20, 30, 40], [10, 20, 39, 59], id="inside: the last pixel is its end"),
        pytest.param([-10, -5, 30, 40], [0, 0, 29, 39], id="beyond the left and the top: moved, not cut"),
        pytest.param([150, 100, 30, 40], [150, 100, 159, 119], id="beyond the right and the bottom"),
        pytest.param([10, 20, 0.5, 0.5], [10, 20, 10, 20], id="less than a pixel"),
        pytest.param([200, 20, 30, 40], None, id="outside"),
    ],
)
def test_an_annotated_box_is_cut_as_the_official_code_does(box: list[float], expected: list[float] | None) -> None:
    image = Image(id=1, file_name="a.png", width=160, height=120)
    person = Person(image_id=1, category_id=1, bbox=box, area=10, keypoints=[1.0] * 51)  # type: ignore[arg-type] # pydantic makes the tuple
    assert truth_boxes([person], image).xyxy.tolist() == ([expected] if expected else [])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"area": 0}, id="an outline without area"),
        pytest.param({"iscrowd": 1}, id="a crowd, even with joints"),
        pytest.param({"keypoints": [0.0] * 51}, id="somebody without joints"),
    ],
)
def test_nobody_looks_into_the_box_of(fields: dict[str, Any]) -> None:
    row = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "area": 10, "keypoints": [1.0] * 51}
    person = Person.model_validate(row | fields)
    assert len(truth_boxes([person], Image(id=1, file_name="a.png", width=160, height=120))) == 0


# Real photographs


@pytest.mark.shared
@pytest.mark.parametrize("boxes", ["ground truth", "detections"])
def test_the_truth_of_real_photographs_has_an_ap_of_one(coco: Folder, shared: Path, boxes: str) -> None:
    root = shared / "coco"
    words = ["--annotations", root / "person_keypoints.json", "--images", root / "images"]
    words += ["--weights", root / "person_keypoints.json"]
    if boxes == "detections":
        words += ["--detections", root / "person_detections.json"]
    report = coco.report(*words)
    assert report["counts"]["people"] == 12
    assert report["counts"]["boxes"] == {"ground truth": 12, "detections": 118}[boxes]
    assert report["metrics"]["AP"] == 1.0 if boxes == "ground truth" else report["metrics"]["AR"] == 1.0


@pytest.mark.shared
@pytest.mark.parametrize("noise", [1.0, 5.0])
def test_degraded_poses_of_real_photographs_have_the_numbers_of_pycocotools(
    coco: Folder, shared: Path, noise: float
) -> None:
    root, out = shared / "coco", coco.path / "results.json"
    words = ["--annotations", root / "person_keypoints.json", "--images", root / "images"]
    words += ["--weights", root / "person_keypoints.json", "--detections", root / "person_detections.json"]
    metrics = coco.report(*words, "--results", out, "-o", f"pose.noise={noise}")["metrics"]
    assert list(metrics.values()) == pytest.approx(by_pycocotools(root / "person_keypoints.json", out), abs=1e-9)
    assert 0 < metrics["AP"] < 1


@pytest.mark.shared
def test_a_real_one_stage_model_is_measured(coco: Folder, shared: Path) -> None:
    pytest.importorskip("openvino")
    root, weights = shared / "coco", shared / "models/yolov8n-pose_int8_openvino_model"
    words = ["--annotations", root / "person_keypoints.json", "--images", root / "images", "--weights", weights]
    report = coco.report(*words, "-o", "pose.confidence=0.01", kind="ultralytics")
    assert report["metrics"]["AP50"] > 0.8
    assert any(name.endswith(".bin") for name in report["model"]["weights_sha256"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("joints", "message"),
    [pytest.param(17, "", id="17 joints"), pytest.param(16, r"finds 16 joints \(mpii-16\)", id="16 joints")],
)
def test_a_real_top_down_network_is_measured_or_refused_by_its_joints(
    coco: Folder, tmp_path: Path, joints: int, message: str
) -> None:
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from stages.poses.networks.poseresnet import PoseResNet  # noqa: PLC0415 - needs torch

    weights = tmp_path / "pose_resnet_50_64x64.pth"
    torch.save(PoseResNet(50, joints).state_dict(), weights)
    words: list[str | Path] = ["--engine", "torch", "--precision", "f32", "--device", "cpu", "--batch", "4"]
    words += ["--flip-test", "--decode", "dark", "--image-size", "64x64", "--weights", weights]
    result = coco.measure(*words, "--json", kind="poseresnet")
    if message:
        assert result.exit_code == 2
        assert re.search(message, result.stderr)
        return
    report = json.loads(result.stdout)
    assert report["counts"]["boxes"] == 4
    assert report["metrics"]["AP"] < 1
    options = report["model"]["options"]
    assert (options["flip_test"], options["decoding"], options["image_size"]) == (True, "dark", [64, 64])
    assert list(report["model"]["weights_sha256"]) == [weights.name]
