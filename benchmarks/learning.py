"""Does the network learn, and does everything around it put the joints where they belong?

    python benchmarks/learning.py --annotations person_keypoints.json --images coco/images --out runs/learning

HRNet-W32 is trained from nothing on a few COCO photographs until it knows them by heart: the official targets
(Gaussians of sigma 2 at a quarter of the input, mean squared error over the labelled joints), Adam, each person upright
and mirrored. The weights then go through `kinestream evaluate pose`, with and without flip test. A fault in a crop, a
target, the order of joints, the mirror pairs or the way back to the picture would show as a low AP. Last, the weights
go through a whole run with a detector, and every joint it writes must be the one that `PoseEstimator` finds.

Half an hour on two cores; `--weights` takes up what an earlier call has trained.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.skeletons import COCO_17
from stages.engines.base import IMAGENET_MEAN, IMAGENET_STD
from stages.poses.networks.hrnet import HRNet
from stages.topdown.crops import cut
from stages.topdown.regions import regions_of_boxes, to_input

WIDTH, HEIGHT, STRIDE, SIGMA = 192, 256, 4, 2.0
LEARNING_RATE = 1e-3
ENGINES = (("torch", "f32"), ("torch", "bf16"), ("onnxruntime", "f32"), ("openvino", "f32"), ("openvino", "bf16"))
COPIES = 25
SEEN = 0.2
"""Joints that score less are not compared: the official evaluation leaves them out of a person's score too."""
SHIFT, GROWTH = 0.03, 0.06
"""Boxes are moved and scaled by up to this share at random: a detector's are never those of the annotators."""


class People:
    """Everybody with labelled joints, as batches of crops and targets."""

    def __init__(self, annotations: Path, images: Path) -> None:
        tree = json.loads(annotations.read_text(encoding="utf-8"))
        files = {image["id"]: image["file_name"] for image in tree["images"]}
        labelled = [entry for entry in tree["annotations"] if entry["num_keypoints"] and not entry["iscrowd"]]
        self.images = [read(images / files[entry["image_id"]]) for entry in labelled]
        self.joints = np.array([entry["keypoints"] for entry in labelled], float).reshape(len(labelled), -1, 3)
        x, y, width, height = np.array([entry["bbox"] for entry in labelled], float).T
        self.boxes = np.stack([x, y, x + width, y + height], axis=1)
        self.mirror = np.arange(len(COCO_17))
        for left, right in COCO_17.mirrored:
            self.mirror[[left, right]] = right, left

    def batch(self, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Give crops (n, 3, h, w), heat maps (n, k, h / 4, w / 4), weights (n, k, 1, 1); about half are mirrored."""
        size = np.tile(self.boxes[:, 2:] - self.boxes[:, :2], 2)
        shift = np.tile(random.uniform(-SHIFT, SHIFT, (len(size), 2)), 2)
        growth = random.uniform(-GROWTH, GROWTH, (len(size), 1)) * [-0.5, -0.5, 0.5, 0.5]
        affines = to_input(regions_of_boxes(self.boxes + (shift + growth) * size, WIDTH / HEIGHT), WIDTH, HEIGHT)
        crops = cut(self.images, list(affines[:, None]), WIDTH, HEIGHT, None)
        places = np.einsum("nij,nkj->nki", affines[..., :2], self.joints[..., :2]) + affines[:, None, :, 2]
        seen = self.joints[..., 2] > 0
        turned = random.random(len(size)) < 0.5
        crops[turned] = crops[turned, :, ::-1]
        places[turned] = places[turned][:, self.mirror] * [-1, 1] + [WIDTH - 1, 0]
        seen[turned] = seen[turned][:, self.mirror]
        normalised = (crops[..., ::-1].astype(np.float32) - IMAGENET_MEAN) / IMAGENET_STD
        arrays = (normalised.transpose(0, 3, 1, 2), heatmaps(places), seen[..., None, None])
        pictures, maps, weights = (torch.from_numpy(np.ascontiguousarray(array, np.float32)) for array in arrays)
        return pictures, maps, weights


def read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        sys.exit(f"cannot read {path}")
    return np.asarray(image, np.uint8)


def heatmaps(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a Gaussian about each joint, (n, k, 2) in pixels of the input, on the grid of the heat maps."""
    centre = np.floor(places / STRIDE + 0.5)
    x, y = np.arange(WIDTH // STRIDE), np.arange(HEIGHT // STRIDE)
    squares = (x - centre[..., 0, None])[..., None, :] ** 2 + (y - centre[..., 1, None])[..., :, None] ** 2
    drawn: NDArray[np.float64] = np.exp(-squares / (2 * SIGMA**2)) * (squares <= (3 * SIGMA) ** 2 * 2)
    return drawn


def train(people: People, steps: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    network = HRNet(32, len(COCO_17)).train().to(memory_format=torch.channels_last)
    adam = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    started = time.monotonic()
    for step in range(steps):
        rate = min(1.0, (step + 1) / 10) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)
        for group in adam.param_groups:
            group["lr"] = LEARNING_RATE * rate
        pictures, targets, weights = people.batch(random)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(pictures.to(memory_format=torch.channels_last))
        loss = (weights * (found.float() - targets) ** 2).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        if step % 10 == 0 or step == steps - 1:
            print(f"step {step:4d}  loss {loss.item():.6f}  {time.monotonic() - started:5.0f} s", flush=True)
    return network.state_dict()


def kinestream(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("kinestream")), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def evaluate(arguments: argparse.Namespace, weights: Path, *more: str) -> dict[str, Any]:
    files = ("--annotations", str(arguments.annotations), "--images", str(arguments.images), "--weights", str(weights))
    result: dict[str, Any] = json.loads(kinestream("evaluate", "pose", *files, "--json", *more))
    return result


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

    people = People(arguments.annotations, arguments.images)
    cells = regions_of_boxes(people.boxes, WIDTH / HEIGHT).size[:, :1] / (WIDTH // STRIDE)
    found = {}
    for engine, precision in ENGINES:
        with PoseEstimator(str(weights), detector=None, engine=engine, precision=precision, device="cpu") as estimator:
            tables = estimator.predict(people.images, boxes=list(people.boxes[:, None]))
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
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--weights", type=Path, help="what an earlier call has trained")
    parser.add_argument("--detections", help="boxes of a detector in COCO's form: evaluate with these too")
    parser.add_argument("--detector", help="for the run: a detector of people")
    arguments = parser.parse_args()
    weights = arguments.weights
    if weights is None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        weights = arguments.out / "pose_hrnet_w32_256x192.pth"
        torch.save(train(People(arguments.annotations, arguments.images), arguments.steps), weights)
    print("\n| | AP | AP50 | AP75 | AR |\n|---|---|---|---|---|")
    rows: dict[str, tuple[str, ...]] = {"boxes of the annotators": (), "the same, flip test": ("--flip-test",)}
    rows["the same, DARK"] = ("--decoding", "dark")
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
