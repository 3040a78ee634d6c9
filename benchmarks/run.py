"""What a whole run costs on real video, against the obvious alternatives, in one go.

    python benchmarks/run.py --video street.mp4 --pose yolov8n-pose_int8_openvino_model

Three tables in Markdown: decoding against a bare PyAV loop; detection, pose and tracking against ultralytics' own
`model.track(stream=True)` with the same model; the embedded preset. Each row is a process of its own, started in turn
(A B A B ...), so that a change in the machine's speed hits both sides; ratios are taken pair by pair.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CONFIDENCE = 0.25
"""What `model.track` uses where nobody says otherwise; our plug-in's default too."""


# --- the measured sides, each run in a process of its own -------------------------------------------------------------


def side_bare_pyav(video: str, _pose: str) -> dict[str, Any]:
    import av

    with av.open(video) as container:
        container.streams.video[0].thread_type = "AUTO"
        started = time.perf_counter()
        frames = sum(1 for _ in container.decode(video=0))
        return {"frames_per_second": frames / (time.perf_counter() - started)}


def side_file_source(video: str, _pose: str) -> dict[str, Any]:
    from stages.sources.file import FileSource, Options

    with FileSource(Options(path=video), "video") as source:
        started = time.perf_counter()
        frames = 0
        while source.read() is not None:
            frames += 1
        return {"frames_per_second": frames / (time.perf_counter() - started)}


def side_decode_run(video: str, _pose: str) -> dict[str, Any]:
    return kinestream(video, "--pose", "none", "--tracker", "none", "--sink", "null")


def side_ultralytics(video: str, pose: str, tracker: str = "botsort.yaml") -> dict[str, Any]:
    os.environ["YOLO_VERBOSE"] = "false"
    from ultralytics import YOLO

    model = YOLO(pose, task="pose")
    boxes: list[list[list[float]]] = []
    started = 0.0
    for result in model.track(video, stream=True, verbose=False, tracker=tracker):
        started = started or time.perf_counter()  # the first result pays for loading and warming up
        found = result.boxes.xyxy.cpu().numpy()
        boxes.append(found[np.argsort(-result.boxes.conf.cpu().numpy(), kind="stable")].round(2).tolist())
    elapsed = time.perf_counter() - started
    return {"frames_per_second": (len(boxes) - 1) / elapsed}


def side_ultralytics_bytetrack(video: str, pose: str) -> dict[str, Any]:
    return side_ultralytics(video, pose, "bytetrack.yaml")


def side_ultralytics_predict(video: str, pose: str) -> dict[str, Any]:
    """Not timed against: the boxes that ours must equal."""
    from ultralytics import YOLO

    results = YOLO(pose, task="pose").predict(video, stream=True, verbose=False)
    return {"boxes": [result.boxes.xyxy.cpu().numpy().round(2).tolist() for result in results]}


def side_kinestream(video: str, pose: str) -> dict[str, Any]:
    return kinestream(video, "--pose", pose, "--sink", "jsonl")


def side_kinestream_boxes(video: str, pose: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as out:
        kinestream(video, "--pose", pose, "--tracker", "none", "--sink", f"jsonl={out}/people.jsonl")
        lines = Path(out, "people.jsonl").read_text(encoding="utf-8").splitlines()
    return {"boxes": [[person["box"] for person in json.loads(line)["people"]] for line in lines]}


def side_embedded(video: str, _pose: str) -> dict[str, Any]:
    return kinestream(video, "--preset", "embedded", "--sink", "jsonl")


def side_embedded_video(video: str, _pose: str) -> dict[str, Any]:
    return kinestream(video, "--preset", "embedded")


def kinestream(video: str, *arguments: str) -> dict[str, Any]:
    """Run the command line itself, and read its report."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(Path(sys.executable).with_name("kinestream")), "run", video, *arguments, "--out", out, "--json"]
        report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    (source,) = report["sources"].values()
    if source["received"] != source["delivered"]:
        sys.exit(f"frames were lost: {source}")
    return {
        "frames_per_second": source["frames_per_second"],
        "identities": source["identities"],
        "rss_mib": report["peak_rss_bytes"] / 2**20,
        "latency_ms": {name: values["p50"] for name, values in report["latency_ms"].items()},
    }


# --- the tables -------------------------------------------------------------------------------------------------------


def run_side(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--video", arguments.video, "--pose", arguments.pose, "--side", name]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def table(title: str, base: str, others: tuple[str, ...], arguments: argparse.Namespace) -> None:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in (base, *others)}
    for _ in range(arguments.rounds):
        for name, results in rows.items():
            results.append(run_side(name, arguments))
    print(f"\n### {title}\n")
    print("| | frames/s, median | lowest..highest | ratio to the first row, median of pairs | RSS MiB |")
    print("|---|---|---|---|---|")
    for name, results in rows.items():
        rates = [result["frames_per_second"] for result in results]
        pairs = [rate / first["frames_per_second"] for rate, first in zip(rates, rows[base], strict=True)]
        rss = f"{results[-1]['rss_mib']:.0f}" if "rss_mib" in results[-1] else ""
        print(
            f"| {name.replace('_', ' ')} | {statistics.median(rates):.1f} | {min(rates):.1f}..{max(rates):.1f} "
            f"| {statistics.median(pairs):.2f} | {rss} |"
        )
    for name, results in rows.items():
        if "latency_ms" in results[-1]:
            print(f"\n{name.replace('_', ' ')}: ms p50 by stage: {results[-1]['latency_ms']}")


def compare_boxes(arguments: argparse.Namespace) -> None:
    ours = run_side("kinestream_boxes", arguments)["boxes"]
    theirs = run_side("ultralytics_predict", arguments)["boxes"]
    worst, boxes, frames = 0.0, 0, 0
    for frame, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
        if len(mine) != len(other):
            print(f"\nframe {frame}: {len(mine)} boxes against {len(other)}")
            continue
        frames += 1
        boxes += len(mine)
        if mine:
            worst = max(worst, float(np.abs(np.asarray(mine) - np.asarray(other)).max()))
    print(f"\nSame boxes: {frames} of {len(ours)} frames, {boxes} boxes, largest difference {worst:.2f} px")


def machine() -> str:
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "",
    )
    return f"{os.cpu_count()} cores, {model or platform.processor()}, Python {platform.python_version()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", required=True)
    parser.add_argument("--pose", required=True, help="a one-stage pose model that ultralytics loads")
    parser.add_argument("--rounds", type=int, default=5, help="how often each row is run")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(globals()[f"side_{arguments.side}"](arguments.video, arguments.pose)))
        return
    print(f"Machine: {machine()}. Video: {Path(arguments.video).name}. Rounds: {arguments.rounds}.")
    table("Decoding", "bare_pyav", ("file_source", "decode_run"), arguments)
    table("Pose and tracking", "ultralytics", ("ultralytics_bytetrack", "kinestream"), arguments)
    compare_boxes(arguments)
    table("Embedded preset", "embedded", ("embedded_video",), arguments)


if __name__ == "__main__":
    main()
