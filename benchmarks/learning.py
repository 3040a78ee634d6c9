"""Does the network learn, and does everything around it put the joints where they belong?

    python benchmarks/learning.py --annotations person_keypoints.json --images coco/images --out runs/learning

HRNet-W32 learns a few COCO photographs by heart: `kinestream train docs/training-overfit.yaml`, at 256x192. The
weights then go through `kinestream evaluate pose`, with and without flip test. A fault in a crop, a target, the order
of joints, the mirror pairs or the way back to the picture would show as a low AP. Last, the weights go through a whole
run with a detector, and every joint it writes must be the one that `PoseEstimator` finds.

Half an hour on two cores. A training that was stopped goes on; `--weights` takes up what an earlier call has trained.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stages.topdown.regions import regions_of_boxes

RECIPE = Path(__file__).resolve().parent.parent / "docs" / "training-overfit.yaml"
WIDTH, HEIGHT, STRIDE = 192, 256, 4
ENGINES = (("torch", "f32"), ("torch", "bf16"), ("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
COPIES = 25
SEEN = 0.2
"""Joints that score less are not compared: the official evaluation leaves them out of a person's score too."""
SHIFT, GROWTH = 0.03, 0.06
"""Boxes are moved and scaled by up to this share at random: a detector's are never those of the annotators."""


def read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        sys.exit(f"cannot read {path}")
    return np.asarray(image, np.uint8)


def kinestream(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("kinestream")), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train(arguments: argparse.Namespace) -> Path:
    """Train, or go on with it; give the weights."""
    out = arguments.out / "training"
    values = {"epochs": arguments.epochs, "out": out, "target.image_size": [HEIGHT, WIDTH]}
    for part in ("data.train", "data.validation"):
        values |= {f"{part}.annotations": arguments.annotations, f"{part}.images": arguments.images}
    options = [word for name, value in values.items() for word in ("-o", f"{name}={value}")]
    command = [str(Path(sys.executable).with_name("kinestream")), "train", str(RECIPE), *options, "--resume"]
    subprocess.run(command, check=True)
    return Path(out / "pose_hrnet_w32_256x192.pth")


def evaluate(arguments: argparse.Namespace, weights: Path, *more: str) -> dict[str, Any]:
    files = ("--annotations", str(arguments.annotations), "--images", str(arguments.images), "--weights", str(weights))
    result: dict[str, Any] = json.loads(kinestream("evaluate", "pose", *files, "--json", *more))
    return result


def read_people(annotations: Path, folder: Path) -> tuple[list[NDArray[np.uint8]], NDArray[np.float64]]:
    """Give the picture of each person with labelled joints, and the box, shape (n, 4)."""
    tree = json.loads(annotations.read_text(encoding="utf-8"))
    files = {image["id"]: image["file_name"] for image in tree["images"]}
    labelled = [entry for entry in tree["annotations"] if entry["num_keypoints"] and not entry["iscrowd"]]
    x, y, width, height = np.array([entry["bbox"] for entry in labelled], float).T
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    return [read(folder / files[entry["image_id"]]) for entry in labelled], boxes


def many(annotations: Path, copies: int, folder: Path) -> Path:
    """Write the same people `copies` times with boxes moved at random: with twelve people, AP goes by steps of 0.01."""
    tree = json.loads(annotations.read_text(encoding="utf-8"))
    random = np.random.default_rng(2)
    largest = 1 + max(entry["id"] for part in ("images", "annotations") for entry in tree[part])
    images, people = [], []
    for copy in range(copies):
        images += [{**image, "id": image["id"] + copy * largest} for image in tree["images"]]
        for person in tree["annotations"]:
            x, y, width, height = person["bbox"]
            dx, dy, growth = random.uniform(-SHIFT, SHIFT, 3) * [width, height, 1]
            box = [x + dx, y + dy, width * (1 + growth), height * (1 + growth)]
            ids = {"id": person["id"] + copy * largest, "image_id": person["image_id"] + copy * largest}
            people.append({**person, **ids, "bbox": box})
    path = folder / "many.json"
    path.write_text(json.dumps({**tree, "images": images, "annotations": people}), encoding="utf-8")
    return path


def compare_engines(arguments: argparse.Namespace, weights: Path) -> None:
    """Look at everybody with each engine: how far are the joints from those of PyTorch in float32?"""
    from stages.estimator import PoseEstimator

    images, boxes = read_people(arguments.annotations, arguments.images)
    cells = regions_of_boxes(boxes, WIDTH / HEIGHT).size[:, :1] / (WIDTH // STRIDE)
    found = {}
    for engine, precision in ENGINES:
        with PoseEstimator(str(weights), detector=None, engine=engine, precision=precision, device="cpu") as estimator:
            tables = estimator.predict(images, boxes=list(boxes[:, None]))
        places = np.concatenate([table.keypoints for table in tables])
        found[engine, precision] = places, np.concatenate([table.keypoint_score for table in tables])
    reference, score = found[ENGINES[0]]
    arguments.annotations = many(arguments.annotations, COPIES, arguments.out)
    print(f"\nAP over {COPIES} times the same people, their boxes moved and scaled by up to {SHIFT:.0%}.")
    print("\n| engine | AP | scores: largest difference | joints: p99, heat-map cells | largest |")
    print("|---|---|---|---|---|")
    for (engine, precision), (places, scores) in found.items():
        apart = np.linalg.norm(places - reference, axis=2) / cells
        seen = apart[score > SEEN]
        metrics = evaluate(arguments, weights, "--engine", engine, "--precision", precision)["metrics"]
        apart_px = f"{np.percentile(seen, 99):.3f} | {seen.max():.3f}"
        print(f"| {engine} {precision} | {metrics['AP']:.4f} | {np.abs(scores - score).max():.1e} | {apart_px} |")


def compare_with_stream(arguments: argparse.Namespace, weights: Path) -> None:
    """Run pictures -> detector -> pose -> JSON lines, and look again, picture by picture; lines round to 0.01 px."""
    from stages.estimator import PoseEstimator

    out = arguments.out / "stream"
    kinestream(
        "run", str(arguments.images), "--detector", arguments.detector, "--pose", str(weights), "--tracker", "none",
        "--sink", "jsonl", "--sink", "video", "--out", str(out), "--quiet",
    )  # fmt: skip
    pictures = sorted(arguments.images.iterdir())
    people, worst = 0, 0.0
    with PoseEstimator(str(weights), detector=arguments.detector) as estimator:
        for line in next(out.glob("*.jsonl")).read_text(encoding="utf-8").splitlines():
            frame = json.loads(line)
            found = estimator.predict(read(pictures[frame["frame"]]))
            streamed = [[joint[:2] for joint in person["keypoints"]] for person in frame["people"]]
            people += len(found)
            worst = max(worst, float(np.abs(found.keypoints - np.asarray(streamed)).max(initial=0)))
    print(f"| joints of {people} people in a stream, against one picture at a time | {worst:.3f} px at most |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/learning"))
    parser.add_argument("--epochs", type=int, default=400)
    parser.add_argument("--weights", type=Path, help="what an earlier call has trained")
    parser.add_argument("--detections", help="boxes of a detector in COCO's form: evaluate with these too")
    parser.add_argument("--detector", help="for the run: a detector of people")
    arguments = parser.parse_args()
    weights = arguments.weights or train(arguments)
    arguments.out.mkdir(parents=True, exist_ok=True)
    print("\n| | AP | AP50 | AP75 | AR |\n|---|---|---|---|---|")
    rows: dict[str, tuple[str, ...]] = {"boxes of the annotators": (), "the same, flip test": ("--flip-test",)}
    rows["the same, a quarter of a cell in place of DARK"] = ("--decoding", "quarter")
    if arguments.detections:
        rows["boxes of a detector"] = ("--detections", arguments.detections)
    for title, more in rows.items():
        metrics = evaluate(arguments, weights, *more)["metrics"]
        print(f"| {title} | " + " | ".join(f"{metrics[name]:.3f}" for name in ("AP", "AP50", "AP75", "AR")) + " |")
    compare_engines(arguments, weights)
    if arguments.detector:
        print("\n| | |\n|---|---|")
        compare_with_stream(arguments, weights)


if __name__ == "__main__":
    main()
