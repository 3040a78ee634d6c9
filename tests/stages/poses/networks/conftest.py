"""Networks with weights that show every fault: nothing is 0, 1 or the same twice."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stages.poses.networks.hrnet import HRNet


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def randomise(network: nn.Module) -> nn.Module:
    """Give random weights and statistics to every layer, such that values neither vanish nor explode."""
    random = torch.Generator().manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(7)
        elif tensor.ndim == 4:
            tensor.normal_(std=(1 / tensor[0].numel()) ** 0.5, generator=random)
        elif name.endswith(("running_var", "weight")):
            tensor.uniform_(0.5, 1.5, generator=random)
        else:
            tensor.normal_(std=0.2, generator=random)
    return network.eval()


@pytest.fixture(scope="session")
def randomised() -> Callable[[nn.Module], nn.Module]:
    return randomise


@pytest.fixture(scope="session")
def tiny() -> nn.Module:
    """An HRNet-W4 for 5 joints: half a megabyte of weights, and every name that larger ones have."""
    return randomise(HRNet(4, 5))


@pytest.fixture(scope="session")
def official_layouts(shared: Path) -> dict[str, dict[str, list[int]]]:
    """Names and shapes of the official state dicts: network -> name -> shape."""
    layouts: dict[str, dict[str, list[int]]] = json.loads(
        (shared / "reference" / "pose_state_dict_keys.json").read_text(encoding="utf-8")
    )
    return layouts


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Saves anything as PyTorch does today, or with `legacy` as it did before 1.6."""

    def write(saved: Any, *, legacy: bool = False) -> Path:
        path = tmp_path / "weights.pth"
        torch.save(saved, path, _use_new_zipfile_serialization=not legacy)
        return path

    return write
