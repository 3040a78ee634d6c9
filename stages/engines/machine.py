"""What this machine has to compute with. Each fact is looked up when it is asked for, and only once."""

import ctypes
import importlib.util
from functools import cached_property
from typing import Final

from stages.engines.base import Precision

__all__ = ["Machine"]

_CAPABILITIES: Final[dict[str, Precision]] = {"FP32": "f32", "BF16": "bf16", "FP16": "f16", "INT8": "int8"}
_AMPERE: Final = (8, 0)
"""Compute capability of the first NVIDIA GPUs that multiply bf16 (CUDA C++ Programming Guide, section Tensor Cores)."""


class Machine:
    """GPUs, packages, and the precisions they compute in."""

    def has(self, package: str) -> bool:
        """Say whether a package is installed, without importing it."""
        return importlib.util.find_spec(package) is not None

    @cached_property
    def gpus(self) -> int:
        """How many GPUs the NVIDIA driver shows this process (it minds CUDA_VISIBLE_DEVICES). Imports nothing heavy."""
        try:
            driver = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return 0
        count = ctypes.c_int()
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
            return 0
        return count.value

    @cached_property
    def torch_gpus(self) -> int:
        """How many GPUs PyTorch can use; it is imported only where the driver shows one."""
        if not self.gpus or not self.has("torch"):
            return 0
        import torch  # noqa: PLC0415 - takes seconds

        return torch.cuda.device_count() if torch.cuda.is_available() else 0

    @cached_property
    def providers(self) -> frozenset[str]:
        """What the installed ONNX Runtime was built with; empty if it is not installed."""
        if not self.has("onnxruntime"):
            return frozenset()
        import onnxruntime  # noqa: PLC0415 - optional

        return frozenset(onnxruntime.get_available_providers())

    @cached_property
    def openvino_precisions(self) -> frozenset[Precision]:
        """In what the CPU computes at full speed, as OpenVINO sees it; empty if it is not installed."""
        if not self.has("openvino"):
            return frozenset()
        import openvino  # noqa: PLC0415 - optional

        found = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return frozenset(_CAPABILITIES[name] for name in found if name in _CAPABILITIES)

    def torch_multiplies_bf16(self, index: int) -> bool:
        """Say whether GPU number `index` multiplies bf16 in hardware."""
        import torch  # noqa: PLC0415 - takes seconds

        return torch.cuda.get_device_capability(index) >= _AMPERE
