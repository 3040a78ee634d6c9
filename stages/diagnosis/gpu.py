"""The NVIDIA driver, and whether PyTorch fits it; PyTorch itself, which takes seconds to import, is not imported."""

import ctypes
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from stages.diagnosis.finding import Finding
from stages.diagnosis.installed import install_command, version_of

__all__ = ["Driver", "compare", "look_at_gpu"]

_CUDA_BUILD: Final = re.compile(r"^cuda\b.*= *'(?P<version>[\d.]+)'", re.MULTILINE)
"""In `torch/version.py`: `cuda: Optional[str] = '13.2'`; None in a build for the CPU."""


def look_at_gpu() -> Iterator[Finding]:
    """Compare PyTorch with the driver."""
    version = version_of("torch")
    spec = importlib.util.find_spec("torch")
    if version is None or spec is None or spec.origin is None:
        detail = "not installed: HRNet, PoseResNet, YOLO and other torch models"
        yield Finding("gpu", "torch", "missing", detail, install_command("torch"))
        return
    built_for = _CUDA_BUILD.search(Path(spec.origin).with_name("version.py").read_text("utf-8"))
    cuda = built_for["version"] if built_for else None
    yield compare(version, cuda, Driver.read())


def compare(version: str, cuda: str | None, driver: "Driver | None") -> Finding:
    """Say whether PyTorch can use the GPUs.

    Args:
        version: Of PyTorch.
        cuda: The CUDA it was built for, `13.2`; None for a build for the CPU.
        driver: The NVIDIA driver; None if there is none.
    """
    build = f"{version}, built for {f'CUDA {cuda}' if cuda else 'the CPU'}"
    if driver is None:
        return Finding("gpu", "torch", "ok", f"{build}; no NVIDIA driver, so it runs on the CPU")
    if cuda and int(cuda.partition(".")[0]) <= driver.cuda_version[0] and driver.devices:
        return Finding("gpu", "torch", "ok", f"{build}: {', '.join(driver.devices)}")
    served = f"CUDA {driver.cuda_version[0]}.{driver.cuda_version[1]}, devices: {', '.join(driver.devices) or 'none'}"
    detail = f"{build}, but the NVIDIA driver is for {served}: torch runs on the CPU"
    fix = "pip install --force-reinstall torch, or a newer driver; see nvidia-smi and CUDA_VISIBLE_DEVICES"
    return Finding("gpu", "torch", "warning", detail, fix)


@dataclass(frozen=True, slots=True)
class Driver:
    """What the NVIDIA driver says of itself (CUDA driver API)."""

    cuda_version: tuple[int, int]
    """The newest CUDA it serves; a program built for an older or equal major version runs."""
    devices: list[str]

    @classmethod
    def read(cls) -> Self | None:
        """Ask the driver; None if there is none."""
        try:
            library = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return None
        version = ctypes.c_int()
        library.cuDriverGetVersion(ctypes.byref(version))
        count = ctypes.c_int()
        if library.cuInit(0) == 0:
            library.cuDeviceGetCount(ctypes.byref(count))
        names = [cls._name(library, ordinal) for ordinal in range(count.value)]
        return cls((version.value // 1000, version.value % 1000 // 10), names)

    @staticmethod
    def _name(library: ctypes.CDLL, ordinal: int) -> str:
        device, name = ctypes.c_int(), ctypes.create_string_buffer(256)
        library.cuDeviceGet(ctypes.byref(device), ordinal)
        library.cuDeviceGetName(name, len(name), device)
        return name.value.decode()
