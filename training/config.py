"""A training, as it is written down: which network learns what from whom, and how.

    network: {architecture: hrnet, size: 32, start: hrnet_w32-36af842e.pth}
    data: {coco: datasets/coco}
    target: {encoding: dark}
    schedule: {warm_up_epochs: 0.5}
    out: runs/w32

Everything but `data` has a default: HRNet-W32 on COCO, as the official code trains it.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt, ValidationError, model_validator

from pipeline import plugin
from pipeline.config import put, read_yaml, setting
from pipeline.errors import ConfigError
from pipeline.registry import explain
from stages.poses.networks.card import Architecture, title
from training.augmentation import AugmentationOptions
from training.datasets import DataOptions
from training.loading import LoadingOptions
from training.losses import LossOptions
from training.optimising import OptimiserOptions
from training.schedule import ScheduleOptions
from training.targets import TargetOptions

__all__ = ["MeasureOptions", "NetworkOptions", "TrainConfig", "differences", "read_config"]

_DEPTHS: Final = (50, 101, 152)


class NetworkOptions(plugin.Options):
    """Which network, and with which weights it begins."""

    architecture: Architecture = "hrnet"
    size: PositiveInt = 32
    """Width of an HRNet (32, 48, or any other), depth of a PoseResNet (50, 101, 152)."""
    start: str | None = None
    """Weights to begin with: a file or a name of the zoo; of ImageNet, or of a pose network. None: random ones."""
    new_head: bool = False
    """Begin the last layer anew, whatever `start` has: for other joints."""

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.architecture == "poseresnet" and self.size not in _DEPTHS:
            msg = f"there is no PoseResNet of depth {self.size}: size must be one of {', '.join(map(str, _DEPTHS))}"
            raise ValueError(msg)
        return self

    @property
    def title(self) -> str:
        """Name it: `HRNet-W32`."""
        return title(self.architecture, self.size)

    @property
    def channels(self) -> Literal["rgb", "bgr"]:
        """Order of the colours it sees: that of the official configurations, by which bare weights are read again."""
        return "rgb" if self.architecture == "hrnet" else "bgr"


class MeasureOptions(plugin.Options):
    """How often it is measured how good the network is, and how."""

    every_epochs: PositiveInt = 1
    """After the last epoch it is always measured."""
    flip_test: bool = True
    """Look at everybody mirrored, too, as the official results do."""
    batch: PositiveInt = 32
    """How many people go through the network at once."""


class TrainConfig(plugin.Options):
    """A training."""

    network: NetworkOptions = NetworkOptions()
    data: DataOptions
    target: TargetOptions = TargetOptions()
    augmentation: AugmentationOptions = AugmentationOptions()
    loading: LoadingOptions = LoadingOptions()
    loss: LossOptions = LossOptions()
    optimiser: OptimiserOptions = OptimiserOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    measure: MeasureOptions = MeasureOptions()
    epochs: PositiveInt = 210
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Measure and keep a running mean of the weights, which forgets so slowly: 0.9998. None: the weights themselves."""
    precision: Literal["f32", "bf16", "f16"] = "f32"
    """Of the arithmetic; weights and loss stay f32. bf16 where the device computes in it, f16 on older GPUs."""
    channels_last: bool = True
    """How pictures lie in memory; nearly always the faster way."""
    compile: bool = False
    """Let torch.compile translate the network: minutes at the start, then faster steps on a GPU."""
    deterministic: bool = True
    """The same training gives the same numbers again on the same machine. False lets a GPU choose faster ways."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`. Several GPUs: `torchrun --nproc-per-node N --no-python kinestream train ...`."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Another one: other first weights, another order, other looks."""
    save_minutes: NonNegativeFloat = 10.0
    """So often `last.ckpt` is written, in the middle of an epoch too; and also at each measurement."""
    tensorboard: bool = False
    """Write scalars and pictures for TensorBoard, too: pip install 'kinestream[train]'."""
    out: Path | None = None
    """Folder of everything that comes of it. None: `runs/train/` and the name of this file."""


def read_config(path: Path, overrides: Iterable[str] = ()) -> TrainConfig:
    """Read a training from a YAML file.

    Args:
        path: The file.
        overrides: `dotted.path=value` each, values in YAML: `optimiser.lr=1e-4`.

    Raises:
        ConfigError: It cannot be read, a name is unknown, or a value is wrong; the message says what is allowed.
    """
    tree = {"out": str(Path("runs/train") / path.stem)} | read_yaml(path)
    for path_in_tree, value in map(setting, overrides):
        put(tree, path_in_tree, value)
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(explain(error, "", dict(_allowed(TrainConfig, "")))) from None


def differences(old: dict[str, Any], new: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Compare two configurations, as plain values: dotted path, old value, new value."""
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if isinstance(was, dict) and isinstance(now, dict):
            yield from differences(was, now, f"{path}{name}.")
        elif was != now:
            yield f"{path}{name}", was, now


def _allowed(model: type[BaseModel], path: str) -> Iterator[tuple[str, list[str]]]:
    """List which names may stand below each dotted path."""
    yield path, list(model.model_fields)
    for name, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _allowed(kind, f"{path}.{name}" if path else name)
