"""From what was written down to a running training, and to its end."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from pipeline.errors import ConfigError, SinkError
from training.board import Board
from training.checkpoints import LAST, Folder, read_checkpoint
from training.config import TrainConfig, differences
from training.datasets import People, read_people
from training.learner import Learner, reproducible
from training.loading import open_loader
from training.logbook import Logbook
from training.loop import Outcome, Training
from training.peers import Peers, meet
from training.progress import Watch
from training.samples import Samples
from training.sheet import write_sheet
from training.starting import Started, begin
from training.stopping import listening
from training.validation import Validation
from training.witness import Witness
from training.writing import write_whole

__all__ = ["show_batch", "train"]

_log = logging.getLogger(__name__)

_FIXED = ("network.architecture", "network.size")
_FREE = ("out", "device", "loading.workers", "loading.cache", "network.start", "network.new_head", "tensorboard")


def train(config: TrainConfig, console: Console, *, resume: bool = False) -> Outcome:
    """Train, as one of the processes that do.

    Args:
        config: What was written down.
        console: Where the first process speaks.
        resume: Go on from the last checkpoint in the folder, if there is one.

    Raises:
        PipelineError: Something is wrong with the configuration, the data, the weights, or the disk.
    """
    with meet(config.device) as peers, listening() as stop, ExitStack() as opened:
        opened.enter_context(reproducible(peers.device, wanted=config.deterministic))
        people = read_people(config.data.train_files())
        config.loss.check(len(people.skeleton))
        validation = _validation(config, people, peers) if peers.is_first else None
        folder = Folder(_folder(config, resume=resume, peers=peers), config, people.skeleton)
        saved = _saved(folder.path, config, people) if resume else None
        started = begin(config.network, people, config.seed) if saved is None else _empty(config, people)
        learner = Learner(started.network, config, peers)
        witnesses: list[Witness] = []
        if peers.is_first:
            origin = started.report() if saved is None else _origin(saved)
            console.print(f"{config.network.title}, {origin}", highlight=False)
            console.print(_whom(people, validation), highlight=False)
            witnesses += opened.enter_context(_witnesses(config, folder.path, validation, console, saved))
        training = Training(config, people, learner, validation, folder, peers, witnesses)
        if saved is not None:
            training.resume(saved)
        loader = opened.enter_context(
            open_loader(
                people, config.target, config.augmentation, config.loading,
                seed=config.seed, rank=peers.rank, world=peers.world,
            )
        )  # fmt: skip
        return training.run(loader, stop)


def show_batch(config: TrainConfig, count: int) -> Path:
    """Draw crops as they are trained on, with their joints; give the file.

    Raises:
        ConfigError: The data set cannot be read.
        SourceError: Its pictures cannot be read.
        SinkError: The sheet cannot be written.
    """
    samples = Samples(read_people(config.data.train_files()), config.target, config.augmentation, config.seed)
    path = _made(config) / "batch.png"
    write_sheet(samples, count, path)
    return path


def _validation(config: TrainConfig, people: People, peers: Peers) -> Validation | None:
    files = config.data.validation_files()
    if files is None:
        return None
    measure = config.measure
    validation = Validation(
        files, config.target, device=str(peers.device), flip_test=measure.flip_test, batch=measure.batch
    )
    people.check_joints(validation.joints, f"the validation set '{files.annotations}'")
    return validation


def _folder(config: TrainConfig, *, resume: bool, peers: Peers) -> Path:
    path = _made(config)
    if peers.is_first and not resume and (path / LAST).exists():
        msg = f"'{path}' holds a training already: go on with it by --resume, or give another folder with -o out=DIR"
        raise ConfigError(msg)
    if peers.is_first:
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
        write_whole(path / "config.yaml", lambda part: part.write_text(text, encoding="utf-8"))
    return path


def _made(config: TrainConfig) -> Path:
    path = config.out or Path("runs/train")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"cannot make the folder '{path}': {error.strerror}; give another one with -o out=DIR"
        raise SinkError(msg) from error
    return path


def _saved(folder: Path, config: TrainConfig, people: People) -> dict[str, Any] | None:
    """Read the last checkpoint, if there is one, and see that it fits.

    Raises:
        ConfigError: It is of another network, or of other joints.
    """
    path = folder / LAST
    if not path.exists():
        return None
    saved = read_checkpoint(path)
    joints = saved["note"]["skeleton"]["joints"]
    people.check_joints(len(joints), f"checkpoint '{path}'")
    for name, was, now in differences(saved["config"], config.model_dump(mode="json")):
        if name in _FIXED:
            msg = f"checkpoint '{path}' has {name} {was}, the configuration {now}: give another folder with -o out=DIR"
            raise ConfigError(msg)
        if name not in _FREE:
            _log.warning("%s was %s, and is %s from here on", name, was, now)
    return saved


def _empty(config: TrainConfig, people: People) -> Started:
    """Build a network that a checkpoint will fill: the file that it once began with may be gone."""
    return begin(config.network.model_copy(update={"start": None}), people, config.seed)


def _origin(saved: Mapping[str, Any]) -> str:
    return f"goes on in epoch {saved['place']['epoch'] + 1} at batch {saved['place']['batch'] + 1}"


def _whom(people: People, validation: Validation | None) -> str:
    left = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in people.left_out.items())
    return (
        f"{len(people)} people in {people.images} pictures, {people.skeleton.name}"
        f"{f', left out: {left}' if left else ''}; "
        f"{f'measured by {validation.main} of {validation.title}' if validation else 'nothing is measured'}"
    )


@contextmanager
def _witnesses(
    config: TrainConfig, folder: Path, validation: Validation | None, console: Console, saved: Mapping[str, Any] | None
) -> Iterator[list[Witness]]:
    steps = 0 if saved is None else saved["place"]["step"]
    with ExitStack() as opened:
        witnesses: list[Witness] = [Logbook(folder, steps)]
        opened.callback(witnesses[0].close)
        if config.tensorboard:
            witnesses.append(Board(folder / "tensorboard", steps))
            opened.callback(witnesses[-1].close)
        witnesses.append(Watch(console, config.epochs, validation.main if validation else ""))
        opened.callback(witnesses[-1].close)
        yield witnesses
