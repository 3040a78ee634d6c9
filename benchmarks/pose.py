"""What top-down pose costs: engines, the work around the network, a whole run, and a GPU where there is one.

    python benchmarks/pose.py --video street.mp4 --detector yolo11n_int8_openvino_model

Tables in Markdown. On the CPU each row is a process of its own, and the rows run in turn (A B A B ...), so that a
change in the machine's speed hits all of them; ratios are taken round by round. Weights are random: speed does not
depend on them.

- **Engines**: HRNet-W32 at 256x192, batches of 8 crops, against PyTorch as it comes (eager, float32).
- **Around the network**: cutting crops out of a 1080p frame, and from heat maps to joints in the picture.
- **Whole run**: detector, then HRNet-W32 on everybody, against the loop that simple-HRNet runs (one step after the
  other, crops by PIL one by one, PyTorch eager float32, plain argmax), with the same detector and the same weights;
  then with a pose budget. `--max-frames` bounds it.
- **GPU** (`--gpu`): crops/s, share of the device's own matrix rate, memory, frame to joints on the device.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, BATCH = 192, 256, 8
BUDGET_PEOPLE_PER_SECOND = 20
SEED_BATCH = 16
"""Crops at once in the loop of simple-HRNet (`max_batch_size`)."""
CONFIDENCE = 0.25

GIGA_MACS = {32: 7.1, 48: 32.9}
"""A crop through HRNet-W32 at 256x192 and W48 at 384x288: table of the official README."""


# --- the measured sides, each run in a process of its own -------------------------------------------------------------


def side_torch_eager_f32(weights: str) -> dict[str, Any]:
    import torch

    from stages.poses.networks.checkpoint import read_checkpoint

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network = read_checkpoint(Path(weights)).module()
    batch = torch.randn(BATCH, 3, HEIGHT, WIDTH)
    with torch.inference_mode():
        return {"per_second": BATCH * rate(lambda: network(batch))}


def side_torch_bf16(weights: str) -> dict[str, Any]:
    return engine_side(weights, "torch", "bf16")


def side_onnxruntime_f32(weights: str) -> dict[str, Any]:
    return engine_side(weights, "onnxruntime", "f32")


def side_openvino_f32(weights: str) -> dict[str, Any]:
    return engine_side(weights, "openvino", "f32")


def side_auto(weights: str) -> dict[str, Any]:
    return engine_side(weights, "auto", "auto")


def engine_side(weights: str, engine: str, precision: str) -> dict[str, Any]:
    from stages.engines import EngineOptions, open_engines

    options = EngineOptions.model_validate({"engine": engine, "precision": precision, "device": "cpu"})
    (opened,) = open_engines(model_of(weights), options, BATCH)
    pictures = noise(BATCH)
    return {"per_second": BATCH * rate(lambda: opened.run(pictures)), "engine": str(opened)}


def side_around(weights: str) -> dict[str, Any]:
    """Milliseconds a crop: cutting, the network, decoding."""
    from stages.engines import EngineOptions, open_engines
    from stages.topdown.crops import cut
    from stages.topdown.heatmaps import decode
    from stages.topdown.regions import regions_of_boxes, to_input, to_picture

    frame = np.random.default_rng(1).integers(0, 256, (1080, 1920, 3), np.uint8)
    corners = np.random.default_rng(2).uniform(0, 800, (BATCH, 2))
    boxes = np.hstack([corners, corners + np.array([90, 240])])
    (opened,) = open_engines(model_of(weights), EngineOptions(device="cpu"), BATCH)

    def crop() -> NDArray[np.uint8]:
        regions = regions_of_boxes(boxes, WIDTH / HEIGHT)
        return cut([frame], [to_input(regions, WIDTH, HEIGHT)], WIDTH, HEIGHT, None)

    (heatmaps,) = opened.run(crop())

    def back(method: str) -> None:
        points, _ = decode(heatmaps, method)  # type: ignore[arg-type]
        to_picture(points, regions_of_boxes(boxes, WIDTH / HEIGHT), WIDTH // 4, HEIGHT // 4)

    steps: dict[str, Callable[[], object]] = {
        "crop": crop,
        "network": lambda: opened.run(noise(BATCH)),
        "quarter": lambda: back("quarter"),
        "dark": lambda: back("dark"),
    }
    return {name: 1000 / rate(step) / BATCH for name, step in steps.items()} | {"engine": str(opened)}


def side_sequential_loop(weights: str, video: str, detector: str, max_frames: int) -> dict[str, Any]:
    """Run one step after the other, as simple-HRNet does; see docs/from-simple-hrnet.md."""
    import av
    import torch
    from PIL import Image

    from stages.poses.networks.checkpoint import read_checkpoint

    os.environ["YOLO_VERBOSE"] = "false"
    from ultralytics import YOLO

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    network, finder = read_checkpoint(Path(weights)).module(), YOLO(detector, task="detect")
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    people, frames, started = 0, -1, 0.0
    with av.open(video) as container, torch.inference_mode():
        for decoded in container.decode(video=0):
            image = decoded.to_ndarray(format="bgr24")
            boxes = finder.predict(image, classes=[0], conf=CONFIDENCE, verbose=False)[0].boxes.xyxy.cpu().numpy()
            crops = [
                (torch.from_numpy(np.array(padded(image, box, Image), np.float32)).permute(2, 0, 1) / 255 - mean) / std
                for box in boxes.round().astype(int)
            ]
            for at in range(0, len(crops), SEED_BATCH):
                for person in network(torch.stack(crops[at : at + SEED_BATCH])).numpy():
                    for heatmap in person:
                        np.unravel_index(np.argmax(heatmap), heatmap.shape)
            frames += 1  # the first one pays for loading and warming up
            started, people = (started, people + len(boxes)) if frames else (time.perf_counter(), 0)
            if frames == max_frames:
                break
    seconds = time.perf_counter() - started
    return {"per_second": frames / seconds, "people_per_second": people / seconds}


def padded(image: NDArray[np.uint8], box: NDArray[np.int64], pil: Any) -> Any:  # noqa: ANN401 - PIL's module
    """Cut a box out, lay black beside it until the aspect is right, and scale it."""
    x1, y1, x2, y2 = box.clip(0)
    crop = image[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1), ::-1]
    height, width = crop.shape[:2]
    missing = max(round(height * WIDTH / HEIGHT) - width, 0), max(round(width * HEIGHT / WIDTH) - height, 0)
    sides = [(missing[1] // 2, missing[1] - missing[1] // 2), (missing[0] // 2, missing[0] - missing[0] // 2), (0, 0)]
    return pil.fromarray(np.pad(crop, sides)).resize((WIDTH, HEIGHT), pil.Resampling.BILINEAR)


def side_everybody(weights: str, video: str, detector: str, max_frames: int) -> dict[str, Any]:
    return kinestream(weights, video, detector, max_frames)


def side_budget(weights: str, video: str, detector: str, max_frames: int) -> dict[str, Any]:
    return kinestream(weights, video, detector, max_frames, f"pose.people_per_second={BUDGET_PEOPLE_PER_SECOND}")


def kinestream(weights: str, video: str, detector: str, max_frames: int, *options: str) -> dict[str, Any]:
    """Run the command line itself, and read its report and its lines."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(Path(sys.executable).with_name("kinestream")), "run", video, "--detector", detector]
        command += ["--pose", weights, "--tracker", "bytetrack", "--sink", f"jsonl={out}/people.jsonl", "--out", out]
        command += ["--max-frames", str(max_frames), "--json", "-o", f"detect.confidence={CONFIDENCE}"]
        for option in options:
            command += ["-o", option]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        lines = Path(out, "people.jsonl").read_text(encoding="utf-8").splitlines()
    (source,) = report["sources"].values()
    if source["received"] != source["delivered"]:
        sys.exit(f"frames were lost: {source}")
    rows = [person for line in lines for person in json.loads(line)["people"]]
    looked = sum(not person.get("predicted", False) for person in rows)
    seconds = source["delivered"] / source["frames_per_second"]
    return {
        "per_second": source["frames_per_second"],
        "people_per_second": looked / seconds,
        "people": len(rows),
        "looked": looked,
        "rss_mib": report["peak_rss_bytes"] / 2**20,
    }


def rate(call: Callable[[], object], seconds: float = 3.0) -> float:
    """Count calls a second, after two to warm up."""
    call()
    call()
    count, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        call()
        count += 1
    return count / elapsed


def noise(count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)


def model_of(weights: str, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Any:  # noqa: ANN401 - imported where it is needed
    from stages.poses.networks import model
    from stages.poses.networks.notes import card_of

    return model.model_of(Path(weights), card_of(Path(weights)), size)


# --- the GPU ----------------------------------------------------------------------------------------------------------


def gpu(folder: Path) -> None:
    """Measure the device: its own matrix rate first, so that the shares mean something on any of them."""
    import torch

    from stages.engines import EngineOptions, open_engines

    if not torch.cuda.is_available():
        sys.exit("--gpu: PyTorch sees no GPU")
    matrix = max(matrix_rate(torch, size) for size in (4096, 8192))
    print(f"\n### GPU: {torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print(f"Matrix products in bfloat16: {matrix / 1e12:.0f} TFLOP/s.\n")
    head("network", "batch", "crops/s", "share of the matrix rate", "against eager float32", "MiB")
    for width, (height, size) in ((32, (256, 192)), (48, (384, 288))):
        weights = str(random_weights(folder, width))
        eager = eager_rate(torch, weights, height, size)
        for batch in (1, 8, 64, 256):
            torch.cuda.reset_peak_memory_stats()
            options = EngineOptions.model_validate({"engine": "torch", "precision": "bf16", "device": "cuda:0"})
            (engine,) = open_engines(model_of(weights, (height, size)), options, batch)
            pictures = torch.randint(0, 256, (batch, 3, height, size), device="cuda").float()
            crops = batch * rate(lambda: synchronised(torch, engine.run_on_device, pictures))  # noqa: B023 - called at once
            share = crops * GIGA_MACS[width] * 2e9 / matrix
            memory = torch.cuda.max_memory_allocated() / 2**20
            shown = f"{crops:,.0f} | {share:.1%} | {crops / eager:.1f}x | {memory:,.0f}"
            print(f"| W{width} {height}x{size} | {batch} | {shown} |")
            engine.close()
            torch.cuda.empty_cache()
    frames_to_joints(torch, folder, "cuda:0")


class OnDevice:
    """A picture that lies on a device, as a decoder there leaves it; bringing it to the host would end the run."""

    width, height = 1920, 1080

    def __init__(self, torch: Any, device: str) -> None:  # noqa: ANN401 - the module
        self._rgb = torch.randint(0, 256, (3, self.height, self.width), device=device, dtype=torch.uint8)

    def bgr(self) -> NDArray[np.uint8]:
        sys.exit("the picture was brought to the host")

    def rgb(self) -> Any:  # noqa: ANN401 - a tensor
        return self._rgb


def frames_to_joints(torch: Any, folder: Path, device: str) -> None:  # noqa: ANN401 - the module
    """Measure from a picture on the device to joints on the host: crops, network, decoding."""
    from stages.engines import EngineOptions, open_engines
    from stages.engines.torch import TorchEngine
    from stages.topdown.device_path import DevicePath
    from stages.topdown.heads import HeatmapHead
    from stages.topdown.regions import regions_of_boxes

    print("\nFrom a 1080p picture on the device to joints, HRNet-W32 256x192:\n")
    head("people", "ms a picture", "people/s", "share that the network takes")
    options = EngineOptions.model_validate({"engine": "torch", "precision": "bf16", "device": device})
    (engine,) = open_engines(model_of(str(random_weights(folder, 32))), options, 64)
    assert isinstance(engine, TorchEngine)
    path, picture = DevicePath([engine], HeatmapHead(17)), OnDevice(torch, device)
    for people in (1, 16, 64):
        corners = np.random.default_rng(2).uniform(0, 800, (people, 2))
        regions = [regions_of_boxes(np.hstack([corners, corners + np.array([90, 240])]), WIDTH / HEIGHT)]
        pictures = torch.zeros((people, 3, HEIGHT, WIDTH), device=device)
        whole = 1 / rate(lambda: path.look([picture], regions))  # noqa: B023 - called at once
        network = 1 / rate(lambda: [output.cpu() for output in engine.run_on_device(pictures)])  # noqa: B023 - as above
        print(f"| {people} | {1000 * whole:.2f} | {people / whole:,.0f} | {network / whole:.0%} |")


def matrix_rate(torch: Any, size: int) -> float:  # noqa: ANN401 - the module
    left, right = (torch.randn(size, size, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * size**3 * rate(lambda: synchronised(torch, torch.matmul, left, right))


def eager_rate(torch: Any, weights: str, height: int, width: int) -> float:  # noqa: ANN401 - the module
    """Count the crops a second of simple-HRNet's own path: eager float32, batches of 16 from the host."""
    from stages.poses.networks.checkpoint import read_checkpoint

    network = read_checkpoint(Path(weights)).module().cuda()
    crops = torch.randn(SEED_BATCH, 3, height, width)
    with torch.inference_mode():
        return SEED_BATCH * rate(lambda: network(crops.cuda()).cpu())


def synchronised(torch: Any, call: Callable[..., object], *arguments: object) -> None:  # noqa: ANN401 - the module
    call(*arguments)
    torch.cuda.synchronize()


# --- the tables -------------------------------------------------------------------------------------------------------


def run_side(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", name, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(
    title: str, unit: str, sides: tuple[str, ...], rounds: int, *arguments: str
) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, results in rows.items():
            results.append(run_side(name, *arguments))
    print(f"\n### {title}\n")
    head("", f"{unit}, median", "lowest..highest", "ratio to the first row, median of rounds")
    first = rows[sides[0]]
    for name, results in rows.items():
        rates = [result["per_second"] for result in results]
        ratio = statistics.median(r / base["per_second"] for r, base in zip(rates, first, strict=True))
        label = f"{name.replace('_', ' ')}{' (' + results[0]['engine'] + ')' if 'engine' in results[0] else ''}"
        print(f"| {label} | {statistics.median(rates):.2f} | {min(rates):.2f}..{max(rates):.2f} | {ratio:.2f} |")
    return rows


def head(*columns: str) -> None:
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")


def random_weights(folder: Path, width: int) -> Path:
    import torch

    from stages.poses.networks.hrnet import HRNet

    path = folder / f"pose_hrnet_w{width}.pth"
    torch.manual_seed(0)
    torch.save(HRNet(width).state_dict(), path)
    return path


def machine() -> Iterator[str]:
    cpu = (line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    flags = Path("/proc/cpuinfo").read_text()
    yield f"{len(os.sched_getaffinity(0))} cores, {next(cpu, platform.processor()).strip()}"
    yield from (flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags)
    yield f"Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", help="for the whole run")
    parser.add_argument("--detector", help="for the whole run: a detector of people that ultralytics loads")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-frames", type=int, default=30)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--side", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        logging.disable(logging.WARNING)
        name, *values = arguments.side
        print(json.dumps(globals()[f"side_{name}"](*(int(value) if value.isdecimal() else value for value in values))))
        return
    print(f"Machine: {', '.join(machine())}. Rounds: {arguments.rounds}.")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.gpu:
            gpu(Path(folder))
            return
        weights = str(random_weights(Path(folder), 32))
        engines = ("torch_eager_f32", "torch_bf16", "onnxruntime_f32", "openvino_f32", "auto")
        table("Engines: HRNet-W32 256x192, batch 8", "crops/s", engines, arguments.rounds, weights)
        around = [run_side("around", weights) for _ in range(arguments.rounds)]
        print(f"\n### Around the network ({around[0]['engine']}): ms a crop, median\n")
        head("step", "ms", "share of the network")
        network = statistics.median(one["network"] for one in around)
        for name in ("crop", "quarter", "dark", "network"):
            value = statistics.median(one[name] for one in around)
            print(f"| {name} | {value:.3f} | {value / network:.1%} |")
        if arguments.video:
            run = (weights, arguments.video, arguments.detector, str(arguments.max_frames))
            title = f"Whole run: {Path(arguments.video).name}, {arguments.max_frames} frames"
            rows = table(title, "frames/s", ("sequential_loop", "everybody", "budget"), arguments.rounds, *run)
            print()
            head("", "people looked at a second, median", "people in all", "looked at", "RSS MiB")
            for name, results in rows.items():
                rates, last = [result["people_per_second"] for result in results], results[-1]
                cells = (f"{last[key]:.0f}" if key in last else "" for key in ("people", "looked", "rss_mib"))
                print(f"| {name.replace('_', ' ')} | {statistics.median(rates):.1f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
