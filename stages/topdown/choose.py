"""Which way from picture to joints is the shortest on this machine."""

from collections.abc import Sequence
from typing import Any

from stages.engines.base import Engine
from stages.topdown.heads import Head, HeatmapHead
from stages.topdown.paths import HostPath, LookPath

__all__ = ["choose_path"]


def choose_path(engines: Sequence[Engine], head: Head, *, flip_test: bool = False, udp: bool = False) -> LookPath[Any]:
    """Take the path that moves the least data: all on the GPU, if PyTorch runs the network there.

    Args:
        engines: Open ones, at least one.
        head: Reads what they give.
        flip_test: Look at each crop a second time, mirrored, and average.
        udp: The network was trained with unbiased data processing.
    """
    if isinstance(head, HeatmapHead) and all(engine.device.startswith("cuda") for engine in engines):
        from stages.engines.torch import TorchEngine  # noqa: PLC0415 - needs PyTorch
        from stages.topdown.device_path import DevicePath  # noqa: PLC0415 - needs PyTorch

        of_torch = [engine for engine in engines if isinstance(engine, TorchEngine)]
        if len(of_torch) == len(engines):
            return DevicePath(of_torch, head, flip_test=flip_test, udp=udp)
    return HostPath(engines, head, flip_test=flip_test, udp=udp)
