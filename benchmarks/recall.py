"""How far two runs over the same video agree on who is there: boxes of one found by the other.

    kinestream run people.mp4 --tracker none --sink jsonl --out embedded
    kinestream run people.mp4 --tracker none --pose none --detector yolo11n.pt -o detect.confidence=0.3 --out yolo
    python benchmarks/recall.py embedded/people.jsonl yolo/people.jsonl

Boxes belong together above an IoU of 0.4, one to one. Neither run is the truth.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trackers.assignment import assign, iou

SAME_IOU = 0.4


def boxes_by_frame(path: str) -> list[NDArray[np.float64]]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [np.array([row["box"] for row in json.loads(line)["people"]]).reshape(-1, 4) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("reference")
    parser.add_argument("--every", type=int, default=1, help="compare every n-th frame")
    arguments = parser.parse_args()
    ours, reference = (boxes_by_frame(path)[:: arguments.every] for path in (arguments.ours, arguments.reference))
    both = sum(len(assign(1 - iou(a, b), 1 - SAME_IOU)[0]) for a, b in zip(ours, reference, strict=True))
    for name, other, total in (
        ("reference boxes found", "ours", sum(map(len, reference))),
        ("our boxes confirmed", "the reference", sum(map(len, ours))),
    ):
        print(f"{name} by {other}: {both} of {total} ({both / max(total, 1):.0%})")


if __name__ == "__main__":
    main()
