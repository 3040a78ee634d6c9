"""The options of everything that runs a network."""

from typing import Literal

from pydantic import Field

from pipeline import plugin

__all__ = ["EngineOptions"]


class EngineOptions(plugin.Options):
    """What runs a network, how exactly it computes, and where."""

    engine: Literal["auto", "torch", "openvino", "onnxruntime", "tensorrt"] = "auto"
    """`auto`: on a GPU, PyTorch for checkpoints and ONNX Runtime for ONNX files; on a CPU the first that is installed
    of OpenVINO, ONNX Runtime and PyTorch. `tensorrt` is ONNX Runtime with TensorRT inside."""
    precision: Literal["auto", "f32", "bf16", "f16", "int8"] = "auto"
    """`auto`: the fastest one that keeps the accuracy: bf16 where the processor computes in it, f16 on older GPUs
    and in TensorRT, else f32. `int8` (OpenVINO) runs what `kinestream export --precision int8` has made."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+(,\d+)*)?)$")
    """`auto` (a GPU if there is one, else the CPU), `cpu`, `cuda`, `cuda:1`, or several that share the work:
    `cuda:0,1`."""
