"""How fast people become batches, how fast a network learns from them, and what it costs where.

    python benchmarks/training_speed.py --loader --annotations person_keypoints.json --images coco/images
    python benchmarks/training_speed.py --step --annotations person_keypoints.json --images coco/images

With `--loader`, each row is a loader of its own with so many workers (0: the process itself), without and with kept
crops; the first epoch, which starts the workers and fills the cache, is not counted. A small data set is repeated: its
pictures then come from memory, so what is measured is the processor, not the disk.

With `--step`, each row is a network that learns from the same batch again and again, so it never waits for data. Beside
it stands the loader with the most workers, which should give at least 1.2 times as many people.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.augmentation import AugmentationOptions
from training.datasets import People, PeopleFiles, read_people
from training.loading import LoadingOptions, Pace, open_loader
from training.targets import TargetOptions

if TYPE_CHECKING:
    from training.config import TrainConfig
    from training.peers import Peers


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


def compare_steps(arguments: argparse.Namespace) -> None:
    from training.config import TrainConfig
    from training.learner import reproducible
    from training.peers import meet

    files = PeopleFiles(annotations=arguments.annotations, images=arguments.images)
    people = many(read_people(files), arguments.count)
    target = TargetOptions(image_size=tuple(arguments.image_size))
    loading = LoadingOptions(batch=arguments.batch, workers=max(arguments.workers))
    loaded = pace(people, target, loading).images_per_second
    print(f"{target.height}x{target.width}, batch {arguments.batch}, loader with {loading.worker_count()} workers\n")
    print("| device | network | precision | compiled | people/s, step | people/s, loader | loader / step |")
    print("|---|---|---|---|---|---|---|")
    for precision in arguments.precisions:
        config = TrainConfig.model_validate({
            "network": {"architecture": arguments.architecture, "size": arguments.size},
            "data": {"train": files},
            "target": target,
            "loading": loading,
            "precision": precision,
            "compile": arguments.compile,
            "deterministic": arguments.deterministic,
        })  # fmt: skip
        with meet("auto") as peers, reproducible(peers.device, wanted=config.deterministic):
            learned = steps_per_second(people, config, peers, arguments.steps) * arguments.batch
            print(
                f"| {peers.device} | {config.network.title} | {precision} | {'yes' if config.compile else 'no'} |"
                f" {learned:.1f} | {loaded:.0f} | {loaded / learned:.1f} |",
                flush=True,
            )


def steps_per_second(people: People, config: "TrainConfig", peers: "Peers", steps: int) -> float:
    """Learn from one batch again and again; the first steps, in which memory and ways are found, are not counted."""
    from training.learner import Learner
    from training.starting import begin

    with open_loader(people, config.target, config.augmentation, config.loading, seed=1) as loader:
        batch = next(loader.epoch(0))
    learner = Learner(begin(config.network, people, 1).network, config, peers)
    for _ in range(max(steps // 4, 1)):
        learner.step([batch], 1e-4)
    began = time.perf_counter()
    for _ in range(steps):
        learner.step([batch], 1e-4)  # waits for its loss, so for the device
    return steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--loader", dest="compare", action="store_const", const=compare_loaders, help="the loader")
    what.add_argument("--step", dest="compare", action="store_const", const=compare_steps, help="the learning")
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--image-size", type=int, nargs=2, default=(256, 192), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--count", type=int, default=2000, help="people an epoch, at least")
    parser.add_argument("--architecture", choices=["hrnet", "poseresnet"], default="hrnet")
    parser.add_argument("--size", type=int, default=32, help="width or depth of the network")
    parser.add_argument("--precisions", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--steps", type=int, default=20, help="that are counted")
    arguments = parser.parse_args()
    arguments.compare(arguments)


if __name__ == "__main__":
    main()
