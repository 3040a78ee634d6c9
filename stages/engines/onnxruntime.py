"""ONNX Runtime: on the CPU, on CUDA, and with TensorRT inside."""

import os
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from pipeline.errors import ConfigError, MissingPackage
from stages.engines import artefacts
from stages.engines.base import Engine, EngineName
from stages.engines.batches import bucket, joined, padded, pieces
from stages.engines.conversion import onnx_of
from stages.engines.memory import out_of_memory_named
from stages.engines.onnx_errors import RUNTIME_ERRORS, damage_named
from stages.engines.pixels import normalised
from stages.engines.signature import Pictures, read_signature, signature_of_session

__all__ = ["OnnxRuntimeEngine", "TensorRtEngine"]

_ELEMENTS: Final[dict[str, type[np.float16 | np.float32]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
_TENSORRT_BATCH: Final = 64
"""TensorRT builds one engine for all batches up to this, in minutes; so other values of max_batch find it built."""


class OnnxRuntimeEngine(Engine):
    """Runs ONNX files, and PyTorch networks that are exported once.

    On a CPU, a batch goes through as it is. A GPU prepares for each size of batch, so there it is filled up to a power
    of two; its libraries may sum in another order for another size, so results agree to about 1e-5, not bit for bit.
    A file for a fixed batch gets pieces of that size.
    """

    name: ClassVar[EngineName] = "onnxruntime"
    provider: ClassVar[dict[str, str]] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
    _session: "onnxruntime.InferenceSession | None" = None
    _taken: Pictures
    _element: type[np.float16 | np.float32]

    def open(self) -> None:
        """Read the network and prepare it.

        Raises:
            WeightsError: The file is damaged or no ONNX file.
            ConfigError: It takes other pictures, or the device cannot be used.
            MissingPackage: This onnxruntime was built for other devices; or it is a PyTorch network that must be
                exported first, and what does that is not installed.
        """
        provider = self.provider[self.device.partition(":")[0]]
        if provider not in onnxruntime.get_available_providers():
            msg = f"'{self}' needs onnxruntime with {provider}, this one is without: pip install onnxruntime-gpu"
            raise MissingPackage(msg)
        path = onnx_of(self.model)
        with damage_named(self.model.weights), out_of_memory_named(1, self.device, *RUNTIME_ERRORS):
            session = onnxruntime.InferenceSession(path, _settings(), providers=self._providers())
        if session.get_providers()[0] != provider:  # it only logs that it fell back to the CPU
            msg = f"onnxruntime cannot start {provider} on {self.device}: see its message above, and kinestream doctor"
            raise ConfigError(msg)
        self._taken = signature_of_session(self.model.weights, session).pictures()
        self._taken.check(self.model.input)
        self._element = _element(self.model.weights, session.get_inputs()[0].type)
        self._session = session

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Run the network."""
        self.check(pictures)
        if not len(pictures):
            return self.nothing()
        size = self._taken.batch or self._size(len(pictures))
        return joined([self._run(pictures[rows], size) for rows in pieces(len(pictures), size)])

    def close(self) -> None:
        """Give back the session and its threads."""
        self._session = None

    def _run(self, pictures: NDArray[np.uint8], size: int) -> list[NDArray[np.float32]]:
        """Run pictures, filled up to `size`."""
        assert self._session is not None
        tensor = normalised(padded(pictures, size), self.model.input).astype(self._element, copy=False)
        with out_of_memory_named(len(pictures), self.device, *RUNTIME_ERRORS):
            outputs = self._session.run(None, {self._taken.name: tensor})
        return [np.asarray(output, np.float32)[: len(pictures)] for output in outputs]

    def _size(self, count: int) -> int:
        return count if self.device == "cpu" else bucket(count, self.max_batch)

    def _providers(self) -> list[tuple[str, dict[str, str]]]:
        """Say what it runs on, with options; best first."""
        if self.device == "cpu":
            return [("CPUExecutionProvider", {})]
        # f32 is f32, not TF32; trying every algorithm of cuDNN would take seconds for each size of batch.
        options = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
        return [("CUDAExecutionProvider", {"device_id": self.device.partition(":")[2]} | options)]


class TensorRtEngine(OnnxRuntimeEngine):
    """TensorRT inside ONNX Runtime. It compiles a network for this GPU once, which takes minutes, and keeps it.

    The file is read a second time for the shapes that TensorRT is to prepare for.
    """

    name: ClassVar[EngineName] = "tensorrt"
    provider: ClassVar[dict[str, str]] = {"cuda": "TensorrtExecutionProvider"}

    def _providers(self) -> list[tuple[str, dict[str, str]]]:
        """What TensorRT does not know runs on CUDA."""
        folder = artefacts.folder() / "tensorrt"
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "device_id": self.device.partition(":")[2],
            "trt_fp16_enable": str(self.precision == "f16"),
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(folder),
            "trt_engine_cache_prefix": f"{self.model.weights.stem}-{self.model.sha256[:12]}-{self.precision}",
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(folder),
        }
        return [("TensorrtExecutionProvider", options | self._profile()), *super()._providers()]

    def _profile(self) -> dict[str, str]:
        """Let one profile of shapes cover every size of batch; nothing where the file fixes it."""
        taken = read_signature(onnx_of(self.model)).pictures()
        if taken.batch is not None:
            return {}
        size = f"{taken.name}:{{}}x3x{self.model.input.height}x{self.model.input.width}"
        largest = max(self.max_batch, _TENSORRT_BATCH)
        return {
            "trt_profile_min_shapes": size.format(1),
            "trt_profile_opt_shapes": size.format(min(8, largest)),
            "trt_profile_max_shapes": size.format(largest),
        }


def _settings() -> onnxruntime.SessionOptions:
    """Use the cores that this process may use, without pinning threads to them, and say errors only."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = len(os.sched_getaffinity(0))
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return settings


def _element(weights: Path, declared: str) -> type[np.float16 | np.float32]:
    """Say in what numbers a file takes its pictures.

    Raises:
        ConfigError: In none that pictures are converted to here.
    """
    if declared not in _ELEMENTS:
        msg = f"'{weights}' takes pictures as {declared}, expected {' or '.join(_ELEMENTS)}: export it with float input"
        raise ConfigError(msg)
    return _ELEMENTS[declared]
