"""The processes that train together: one a GPU, as `torchrun` starts them; or just this one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed

from pipeline.errors import ConfigError

__all__ = ["Peers", "meet"]

_PATIENCE: Final = timedelta(hours=1)
"""The others wait so long for the first process, which measures and writes alone."""


_VARIABLES: Final = (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
"""What `torchrun` sets, and what it is without."""


@dataclass(frozen=True)
class Peers:
    """Which of them this is, and where it computes."""

    device: torch.device
    rank: int = 0
    """From 0; the first one measures, writes and speaks."""
    world: int = 1
    """How many there are."""

    @property
    def is_first(self) -> bool:
        """Whether this is the one that speaks."""
        return self.rank == 0

    def mean(self, numbers: Tensor) -> list[float]:
        """Give the mean of numbers over all processes; all of them get the same."""
        if self.world > 1:
            distributed.all_reduce(numbers)
        values: list[float] = (numbers / self.world).tolist()
        return values

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.world > 1:
            distributed.barrier()


@contextmanager
def meet(device: str) -> Iterator[Peers]:
    """Find the other processes, by the environment that `torchrun` sets.

    Args:
        device: `auto`, `cpu`, `cuda` or `cuda:1`; of several processes each takes a GPU of its own.

    Raises:
        ConfigError: There is no such device, or fewer GPUs than processes.
    """
    world, rank, local = (int(os.environ.get(name, value)) for name, value in _VARIABLES)
    where = _device(device, local, world)
    if world == 1:
        yield Peers(where)
        return
    if where.type == "cuda":
        torch.cuda.set_device(where)
    distributed.init_process_group("nccl" if where.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Peers(where, rank, world)
    finally:
        distributed.destroy_process_group()


def _device(wanted: str, local: int, world: int) -> torch.device:
    count = torch.cuda.device_count()
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    if world > 1 or wanted in {"auto", "cuda"}:
        wanted = f"cuda:{local}"
    name, _, number = wanted.partition(":")
    if name != "cuda" or not number.isdecimal() or int(number) >= count:
        msg = f"device must be auto, cpu or one of {count} GPUs (cuda:0, ...), got '{wanted}'"
        raise ConfigError(msg)
    return torch.device(wanted)
