"""Samples in batches: worker processes read, cut and vary; the caller gets tensors that are ready for its device."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Final, Literal, NamedTuple, Self, cast

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline import plugin
from pipeline.errors import SourceError
from stages.engines.base import IMAGENET_MEAN, IMAGENET_STD
from training.augmentation import AugmentationOptions
from training.crops import CropCache
from training.datasets import People
from training.order import Order
from training.samples import NOBODY, TRIES, Sample, Samples
from training.targets import TargetOptions

__all__ = ["Batch", "Loader", "LoadingOptions", "Pace", "network_input", "open_loader"]

_log = logging.getLogger(__name__)

_MOST_WORKERS: Final = 8
_AHEAD: Final = 4
"""Batches that a worker makes ahead."""
_PATIENCE_SECONDS: Final = 300.0
"""A batch that takes longer will never come: the disk hangs."""


class LoadingOptions(plugin.Options):
    """How people become batches."""

    batch: Annotated[int, Field(ge=1)] = 32
    """How many people are in a batch, of each process that trains."""
    workers: Annotated[int, Field(ge=0)] | None = None
    """Processes that read and cut. 0: the one that trains does it, too. None: one a core, at most 8."""
    cache: Path | None = None
    """Folder to keep the parts of pictures that are needed: faster from the second epoch on. 40 GB for COCO."""

    def worker_count(self) -> int:
        """Say how many workers there are."""
        return min(len(os.sched_getaffinity(0)), _MOST_WORKERS) if self.workers is None else self.workers


class Batch(NamedTuple):
    """n looks at people; tensors on the host, pinned where there is a GPU."""

    pictures: Tensor
    """uint8, BGR, shape (n, height, width, 3); see `network_input`."""
    cells: Tensor
    """Joints (x, y) on the grid of the heat maps, float32, shape (n, k, 2); see `targets.draw`."""
    weights: Tensor
    """How much each joint counts, float32, shape (n, k); 0 where it does not."""
    rows: Tensor
    """Of the table of people, int64, shape (n,)."""
    broken: tuple[tuple[str, str], ...]
    """Pictures that could not be read, and why; others stand in their place."""


@dataclass(frozen=True)
class Pace:
    """How fast batches came, and who waited for whom."""

    images: int = 0
    seconds: float = 0.0
    """From the first wait for a batch to the end of the last one."""
    waited_seconds: float = 0.0
    """Of these, how long the training waited for data."""

    @property
    def images_per_second(self) -> float:
        """How many people were learned from in a second."""
        return self.images / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """Share of the time that the training waited for data: near 0, the network is what takes the time."""
        return self.waited_seconds / self.seconds if self.seconds else 0.0


class Loader:
    """Batches of one process that trains; `open_loader` makes it. Use it in a `with`: it ends its workers."""

    def __init__(self, samples: Samples, order: Order, loading: LoadingOptions) -> None:
        """Start no process yet."""
        workers = loading.worker_count()
        self._order, self._has_workers = order, workers > 0
        self._loader: DataLoader[Sample] | None = DataLoader(
            cast("Dataset[Sample]", samples),  # what its keys are is the business of the sampler: here draws
            batch_sampler=order,
            num_workers=workers,
            collate_fn=collate,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self._has_workers,
            prefetch_factor=_AHEAD if self._has_workers else None,
            timeout=_PATIENCE_SECONDS if self._has_workers else 0,
            worker_init_fn=one_thread,
            generator=torch.Generator(),  # PyTorch draws numbers for each epoch: not from those of the training
            # Not fork: the process that trains has threads of CUDA and OpenMP, which a copy of it would lack.
            multiprocessing_context=_fork_server() if self._has_workers else None,
        )
        self.broken: dict[str, str] = {}
        """Every picture so far that could not be read -> why."""
        self.pace = Pace()
        """Of the current epoch, or of the last one."""

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def __len__(self) -> int:
        """Count the batches of an epoch."""
        return len(self._order)

    def epoch(self, number: int, first: int = 0) -> Iterator[Batch]:
        """Give the batches of an epoch; the same ones, however often it is asked for and by how many workers.

        Args:
            number: Of the epoch, from 0.
            first: The batch to begin with, from 0: after a resume, the one that comes next.

        Raises:
            SourceError: Pictures cannot be read, so many in a row that something else is wrong; or a batch does not
                come.
        """
        if self._loader is None:
            msg = "the loader is closed: open another one"
            raise RuntimeError(msg)
        self._order.epoch, self._order.first = number, first
        self.pace = Pace()
        began = time.perf_counter()
        batches = iter(self._loader)  # starts the workers, the first time
        waited = time.perf_counter() - began
        while True:
            asked = time.perf_counter()
            if (batch := self._next(batches)) is None:
                return
            waited += time.perf_counter() - asked
            self._note(batch)
            yield batch
            self.pace = Pace(self.pace.images + len(batch.rows), time.perf_counter() - began, waited)

    def close(self) -> None:
        """End the workers. Calling it twice is fine."""
        if self._loader is None:
            return
        loader, self._loader = self._loader, None
        if (running := getattr(loader, "_iterator", None)) is not None:
            running._shutdown_workers()  # noqa: SLF001 - PyTorch does so when nobody holds the iterator any more

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        try:
            return next(batches, None)
        except RuntimeError as error:
            if "timed out" not in str(error):
                raise
            msg = (
                f"no batch came within {_PATIENCE_SECONDS:g} s: does the disk with the pictures answer?"
                " With loading.workers=0 one sees where it hangs"
            )
            raise SourceError(msg) from error

    def _note(self, batch: Batch) -> None:
        """Keep and say which pictures are broken, each once."""
        for path, reason in batch.broken:
            if path not in self.broken:
                self.broken[path] = reason
                _log.warning("picture '%s' %s; it is left out (%d so far)", path, reason, len(self.broken))
        if (batch.rows == NOBODY).any():
            path, reason = batch.broken[-1]
            msg = (
                f"{TRIES} pictures in a row cannot be read, the last one '{path}': it {reason}. Check the folder; for"
                " COCO, `kinestream data coco --root DIR` does"
            )
            raise SourceError(msg)


def open_loader(
    people: People,
    target: TargetOptions,
    augmentation: AugmentationOptions,
    loading: LoadingOptions,
    *,
    seed: int,
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """Make a loader.

    Args:
        people: Whom to learn from.
        target: What the network sees and is to say.
        augmentation: How much varies.
        loading: How large batches are, and who makes them.
        seed: Another one, another order and other looks.
        rank: Which of the processes that train this is, from 0.
        world: How many train.

    Raises:
        ConfigError: The options do not fit the joints of the data set.
    """
    cache = None if loading.cache is None else CropCache(loading.cache)
    samples = Samples(people, target, augmentation, seed, cache)
    return Loader(samples, Order(len(people), loading.batch, seed, rank, world), loading)


def network_input(pictures: Tensor, device: torch.device | str, channels: Literal["rgb", "bgr"] = "rgb") -> Tensor:
    """Bring pictures to a device and into the form that networks take; the work is done there.

    Args:
        pictures: uint8, BGR, shape (n, h, w, 3).
        device: Where the network is.
        channels: Order of the colours it sees.

    Returns:
        float32, normalised with ImageNet's mean and deviation, shape (n, 3, h, w), channels last in memory.
    """
    there = pictures.to(device, non_blocking=True).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(values, device=device).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    ordered = there.flip(1) if channels == "rgb" else there
    return ((ordered - mean) / std).contiguous(memory_format=torch.channels_last)


def collate(samples: Sequence[Sample]) -> Batch:
    """Make a batch of samples."""
    return Batch(
        torch.from_numpy(np.stack([sample.picture for sample in samples])),
        torch.from_numpy(np.stack([sample.cells for sample in samples])),
        torch.from_numpy(np.stack([sample.weights for sample in samples])),
        torch.tensor([sample.row for sample in samples]),
        tuple(fault for sample in samples for fault in sample.broken),
    )


def one_thread(_: int) -> None:
    """Keep a worker to one core: there are as many workers as there should be threads.

    Signals that ask to stop are for the process that trains, which ends its workers once it needs them no more;
    Ctrl-C and service managers send them to everybody.
    """
    cv2.setNumThreads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _fork_server() -> multiprocessing.context.BaseContext:
    """Give the way to start workers; what each of them needs is imported once."""
    context = multiprocessing.get_context("forkserver")
    with suppress(ValueError):  # it runs already, with what was imported then
        context.set_forkserver_preload(["training.loading"])
    return context
