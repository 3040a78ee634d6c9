"""A small network with everything that the real ones have: strides, residuals, batch normalisation, upsampling."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.engines.base import InputFormat, Model

SIZE = (64, 48)


class Tiny(nn.Module):
    """Gives five heat maps of half the picture's size, and one number a picture."""

    def __init__(self, *, outputs: int = 1) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.outputs = outputs
        self.stem = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.down = nn.Conv2d(8, 12, 3, 2, 1)
        self.up = nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False)
        self.up_norm = nn.BatchNorm2d(8)
        self.fuse = nn.Sequential(nn.Conv2d(12, 8, 1, bias=False), nn.BatchNorm2d(8), nn.Upsample(scale_factor=2))
        self.final = nn.Conv2d(8, 5, 1)
        for name, value in [*self.named_parameters(), *self.named_buffers()]:
            if value.dtype.is_floating_point:
                value.data.normal_(std=0.3, generator=generator)
                if name.endswith("running_var"):
                    value.data.abs_().add_(0.5)
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        stem = torch.relu(self.norm(self.stem(pictures)))
        low = torch.relu(self.down(stem))
        heatmaps = self.final(torch.relu(stem + self.up_norm(self.up(low)) + self.fuse(low)))
        return heatmaps if self.outputs == 1 else (heatmaps, heatmaps.mean((1, 2, 3)))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of artefacts; not the user's."""
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "engines"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Give PyTorch its threads back after an engine has set them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def network() -> Callable[..., nn.Module]:
    return Tiny


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """The small network as a checkpoint."""
    weights = tmp_path / "tiny_64x48.pth"
    weights.write_bytes(b"what an artefact's name is made of")
    return Model(weights, InputFormat(SIZE[1], SIZE[0]), Tiny)


@pytest.fixture(scope="session")
def pictures() -> NDArray[np.uint8]:
    """Five different pictures of the network's size."""
    return np.random.default_rng(1).integers(0, 256, (5, *SIZE, 3), np.uint8)


def answer(module: nn.Module, pictures: NDArray[np.uint8], wanted: InputFormat) -> list[NDArray[np.float32]]:
    """What PyTorch says in float32, written out step by step."""
    ordered = pictures[..., ::-1] if wanted.channels == "rgb" else pictures
    values = (ordered.astype(np.float64) - wanted.mean) / wanted.std
    with torch.inference_mode():
        outputs = module(torch.from_numpy(values.transpose(0, 3, 1, 2).astype(np.float32)))
    return [output.numpy() for output in (outputs if isinstance(outputs, tuple) else (outputs,))]


@pytest.fixture(scope="session")
def truth() -> Callable[..., list[NDArray[np.float32]]]:
    return answer


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int | None, torch.dtype], Path]:
    """Exports the small network, once for each kind of batch and of numbers."""
    folder = tmp_path_factory.mktemp("exported")

    def export(batch: int | None, kind: torch.dtype) -> Path:
        path = folder / f"{batch}-{kind}.onnx"
        if not path.exists():
            dynamic = {0: torch.export.Dim("batch", min=1)} if batch is None else None
            example = torch.zeros(batch or 2, 3, *SIZE, dtype=kind)
            settings = {"input_names": ["pictures"], "external_data": False, "verbose": False}
            torch.onnx.export(Tiny().to(kind), (example,), path, dynamic_shapes=(dynamic,), **settings)  # type: ignore[arg-type]  # of mixed types
        return path

    return export


@pytest.fixture
def write_onnx(tmp_path: Path, exported: Callable[[int | None, torch.dtype], Path]) -> Callable[..., Path]:
    """Writes the small network as an ONNX file, for batches of any or of a fixed size."""

    def write(batch: int | None = None, kind: torch.dtype = torch.float32) -> Path:
        return Path(shutil.copy(exported(batch, kind), tmp_path / "tiny.onnx"))

    return write
