"""Everything that ultralytics can load, run by its own `predict`: whatever a network needs around it is right."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.errors import ConfigError, MissingPackage, OutOfMemory, PipelineError, WeightsError
from pipeline.types import Frame, Instances
from stages.detections.rows import table
from stages.yolo.options import ModelOptions
from stages.yolo.weights import Card, Task, check_fit, check_task, skeleton_of
from stages.zoo import Store

__all__ = ["PredictorNetwork", "quiet_ultralytics"]

_OUT_OF_MEMORY: Final = ("out of memory", "alloc_failed")
"""What PyTorch, cuBLAS and TensorRT say; only PyTorch has an exception for it."""


def quiet_ultralytics() -> Any:  # noqa: ANN401 - ultralytics ships no types
    """Import ultralytics so that it prints, sends, installs and downloads nothing.

    It reads these variables once, when it is first imported; what is set already stays. Its settings go into our
    cache folder, not into the user's home. PyTorch's restricted reader replaces the unpickling of .pt files.
    """
    os.environ.setdefault("YOLO_VERBOSE", "false")
    os.environ.setdefault("YOLO_OFFLINE", "true")
    os.environ.setdefault("YOLO_AUTOINSTALL", "false")
    os.environ.setdefault("YOLO_CONFIG_DIR", str(Store.from_environment().cache.parent))
    os.environ.setdefault("ULTRALYTICS_SAFE_LOAD", "true")
    # Ultralytics reads TorchScript files; that PyTorch would rather have other files is no news for our users.
    warnings.filterwarnings("ignore", message=r".torch\.jit\.", category=FutureWarning)
    try:
        import ultralytics  # noqa: PLC0415 - after the variables above, and only where it is needed: it takes seconds
    except ModuleNotFoundError as error:
        msg = f"these weights need the package '{error.name}': pip install 'kinestream[ultralytics]'"
        raise MissingPackage(msg) from error
    return ultralytics


class PredictorNetwork:
    """A network in the hands of ultralytics.

    Args:
        path: The weights.
        task: What the network has to do.
        options: Of the plug-in.

    Raises:
        WeightsError: They are damaged, no weights at all, or do something else.
        ConfigError: The device is not there.
        MissingPackage: This format needs a package that is not installed.
    """

    def __init__(self, path: Path, task: Task, options: ModelOptions) -> None:
        """Load the network and run it once: only then does ultralytics read an export."""
        ultralytics = quiet_ultralytics()
        self._skeleton = skeleton_of(task)
        self._arguments = predict_arguments(ultralytics, options)
        if path.suffix in {".yaml", ".yml"}:
            msg = f"'{path}' describes a network but holds no weights: give the .pt file that was trained from it"
            raise WeightsError(msg)
        with load_errors_named(path):
            self._model = ultralytics.YOLO(str(path))
            check_task(self._model.task, task, path)
            with out_of_memory_named(1):
                self._model.predict(np.zeros((64, 64, 3), np.uint8), **self._arguments)
        backend = self._model.predictor.model
        joint_shape = tuple(getattr(backend, "kpt_shape", None) or ())
        check_fit(Card(task, backend.names, joint_shape), task, options.classes, path)
        self._device = str(backend.device)
        if backend.device.type == "cpu":
            use_all_cores()

    def find(self, frames: Sequence[Frame]) -> list[Instances]:
        """Find people in frames.

        Frames of one size go through the network together; so what is found in a frame does not depend on its
        neighbours, which would change the padding.

        Raises:
            OutOfMemory: The batch is too large for the device.
        """
        found: dict[int, Instances] = {}
        order = sorted(range(len(frames)), key=lambda index: (frames[index].height, frames[index].width))
        for _, group in groupby(order, key=lambda index: (frames[index].height, frames[index].width)):
            indices = list(group)
            tables = self._predict([frames[index].image for index in indices])
            found |= zip(indices, tables, strict=True)
        return [found[index] for index in range(len(frames))]

    def __str__(self) -> str:
        """Say what runs it where."""
        return f"ultralytics on {self._device}"

    def close(self) -> None:
        """Give back the network and its memory."""
        self._model = None

    def _predict(self, images: list[Any]) -> list[Instances]:
        """Run pictures of one size through the network."""
        with out_of_memory_named(len(images)):
            return [self._table(result) for result in self._model.predict(images, **self._arguments)]

    def _table(self, result: Any) -> Instances:  # noqa: ANN401 - ultralytics ships no types
        """Make the table of one result, best score first."""
        rows = result.boxes.data.float().cpu().numpy()
        if self._skeleton is not None:
            joints = result.keypoints.data.float().cpu().numpy()
            rows = np.concatenate([rows, joints.reshape(len(rows), -1)], axis=1)
        return table(rows[np.argsort(-rows[:, 4], kind="stable")], self._skeleton)


def predict_arguments(ultralytics: Any, options: ModelOptions) -> dict[str, Any]:  # noqa: ANN401 - no types
    """Say our options in ultralytics' words.

    Raises:
        ConfigError: The device is not there.
    """
    import torch  # noqa: PLC0415 - loaded with ultralytics, where it is needed

    device = options.device.partition(",")[0]
    number = int(device.partition(":")[2] or 0)
    if device.startswith("cuda") and number >= torch.cuda.device_count():
        msg = f"device '{options.device}' is not there: PyTorch sees {torch.cuda.device_count()} GPUs. Give auto or cpu"
        raise ConfigError(msg)
    arguments: dict[str, Any] = {
        "verbose": False,
        "conf": options.confidence,
        "iou": options.iou,
        "max_det": options.max_people,
        "classes": list(options.classes),
        "device": None if device == "auto" else device,
    }
    if options.image_size is not None:
        arguments["imgsz"] = options.image_size
    if options.half:  # older releases know it under its plain name
        arguments |= {"quantize": 16} if "quantize" in ultralytics.utils.DEFAULT_CFG_DICT else {"half": True}
    return arguments


def use_all_cores() -> None:
    """Let PyTorch work on every core that this process may use, on this thread: ultralytics leaves one out."""
    import torch  # noqa: PLC0415 - loaded with ultralytics, where it is needed

    torch.set_num_threads(len(os.sched_getaffinity(0)))


@contextmanager
def load_errors_named(path: Path) -> Iterator[None]:
    """Turn whatever a loader throws at a bad file into our errors."""
    try:
        yield
    except PipelineError:
        raise
    except ModuleNotFoundError as error:
        msg = f"'{path}' needs the package '{error.name}': pip install {error.name}"
        raise MissingPackage(msg) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
        msg = f"'{path}' is damaged, or no weights that ultralytics can load ({reason}). Fetch or export it again"
        raise WeightsError(msg) from error


@contextmanager
def out_of_memory_named(batch: int) -> Iterator[None]:
    """Turn the many ways to run out of GPU memory into one."""
    try:
        yield
    except RuntimeError as error:
        if not any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
            raise
        msg = f"a batch of {batch} frames does not fit into the GPU's memory: {error}"
        raise OutOfMemory(msg) from error
