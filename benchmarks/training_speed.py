"""How fast people become batches, and what it costs where.

    python benchmarks/training_speed.py --loader --annotations person_keypoints.json --images coco/images

Each row is a loader of its own with so many workers (0: the process itself), without and with kept crops; the first
epoch, which starts the workers and fills the cache, is not counted. A small data set is repeated: its pictures
then come from memory, so what is measured is the processor, not the disk.
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.augmentation import AugmentationOptions
from training.datasets import People, PeopleFiles, read_people
from training.loading import LoadingOptions, Pace, open_loader
from training.targets import TargetOptions


def many(people: People, count: int) -> People:
    """Repeat the rows until there are so many: an epoch of a few batches would measure its own beginning."""
    rows = np.arange(max(count, len(people))) % len(people)
    columns = {name: getattr(people, name)[rows] for name in ("pictures", "xyxy", "joints", "labelled")}
    return replace(people, **columns)


def pace(people: People, target: TargetOptions, loading: LoadingOptions) -> Pace:
    """Take the batches of the second epoch as fast as they come."""
    with open_loader(people, target, AugmentationOptions(), loading, seed=1) as loader:
        for epoch in range(2):
            for _ in loader.epoch(epoch):
                pass
        return loader.pace


def compare_loaders(arguments: argparse.Namespace) -> None:
    annotated = read_people(PeopleFiles(annotations=arguments.annotations, images=arguments.images))
    people = many(annotated, arguments.count)
    target = TargetOptions(image_size=tuple(arguments.image_size))
    print(
        f"{len(people)} people in {people.images} pictures, {target.height}x{target.width}, batch {arguments.batch}\n"
    )
    print("| workers | crops | people/s |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for workers in arguments.workers:
            for cache in (None, Path(folder)):
                loading = LoadingOptions(batch=arguments.batch, workers=workers, cache=cache)
                speed = pace(people, target, loading).images_per_second
                print(f"| {workers} | {'kept' if cache else 'from pictures'} | {speed:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loader", action="store_true", required=True, help="measure the loader")
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--image-size", type=int, nargs=2, default=(256, 192), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=2000, help="people an epoch, at least")
    compare_loaders(parser.parse_args())


if __name__ == "__main__":
    main()
