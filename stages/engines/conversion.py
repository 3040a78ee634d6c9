"""Make ONNX files and OpenVINO graphs of PyTorch networks."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ConfigError, WeightsError
from stages.engines import artefacts
from stages.engines.base import Model
from stages.engines.packages import need

if TYPE_CHECKING:
    import torch

__all__ = [
    "INPUT_NAME",
    "built",
    "onnx_of",
    "openvino_graph",
    "openvino_of",
    "sample",
    "tensors",
    "to_onnx",
    "to_openvino",
]

_log = logging.getLogger(__name__)

INPUT_NAME: Final = "pictures"
_TOLERANCE: Final = 1e-3
"""How far an exported network may be from the original, as a share of the largest output: the order of the sums in f32
differs between programs, which is some 1e-5."""


def onnx_of(model: Model) -> Path:
    """Give the ONNX file of a model: its own, or the kept one that is made of its PyTorch network.

    Raises:
        MissingPackage: It is not made yet, and what makes it is not installed.
        WeightsError: What was made gives other numbers than the network.
    """
    if model.module is None:
        return model.weights
    return artefacts.kept(artefacts.graph_path(model, ".onnx"), lambda path: to_onnx(model, path))


def openvino_of(model: Model, *, again: bool = False) -> Path:
    """Give the graph that OpenVINO reads: the model's own file, or the kept one made of its PyTorch network.

    Raises:
        MissingPackage: It is not made yet, and PyTorch is not installed.
    """
    if model.module is None:
        return model.weights
    return artefacts.kept(artefacts.graph_path(model, ".xml"), lambda path: to_openvino(model, path), again=again)


def to_onnx(model: Model, path: Path) -> None:
    """Write the PyTorch network of a model as one ONNX file that takes any number of pictures, shape (n, 3, h, w).

    Raises:
        MissingPackage: torch, onnx or onnxscript is not installed.
        WeightsError: The file gives other numbers than the network.
    """
    torch = need("torch", f"converting '{model.weights.name}'")
    for package in ("onnx", "onnxscript"):
        need(package, "writing ONNX files")
    module, example = built(model), torch.from_numpy(sample(model, 2))
    with torch.inference_mode():
        expected = tensors(module(example))
    torch.onnx.export(
        module,
        (example,),
        path,
        input_names=[INPUT_NAME],
        output_names=_names(expected),
        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    _check_onnx(model, module, path)


def _names(outputs: "list[torch.Tensor]") -> list[str]:
    is_heatmap = len(outputs) == 1 and outputs[0].ndim == 4
    return ["heatmaps"] if is_heatmap else [f"output_{number}" for number in range(len(outputs))]


def _check_onnx(model: Model, module: "torch.nn.Module", path: Path) -> None:
    """Compare an exported file with the network it was made of, on a batch of another size.

    Raises:
        WeightsError: They differ.
    """
    import torch  # noqa: PLC0415 - loaded by the caller

    try:
        import onnxruntime  # noqa: PLC0415 - optional
    except ModuleNotFoundError:
        _log.info("onnxruntime is not installed, so %s is not compared with the network it was made of", path.name)
        return
    pictures = sample(model, 3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = [output.numpy() for output in tensors(module(torch.from_numpy(pictures)))]
    for output, wanted in zip(session.run(None, {INPUT_NAME: pictures}), expected, strict=True):
        difference = float(np.abs(output - wanted).max(initial=0))
        if not difference <= _TOLERANCE * max(float(np.abs(wanted).max(initial=0)), 1.0):
            msg = (
                f"the ONNX file made of '{model.weights}' is wrong: an output is off by {difference:g}. "
                "Use engine: torch, and report it with the version of torch"
            )
            raise WeightsError(msg)


def to_openvino(model: Model, path: Path) -> None:
    """Write a model as an OpenVINO graph in f32: the .xml at `path`, the .bin beside it.

    Raises:
        MissingPackage: openvino, or torch where the model is a PyTorch network, is not installed.
        WeightsError: The file is damaged.
    """
    openvino = need("openvino", "writing OpenVINO graphs")
    openvino.save_model(openvino_graph(model), path, compress_to_fp16=False)


def openvino_graph(model: Model) -> Any:  # noqa: ANN401 - OpenVINO ships no types
    """Read or convert a model: a graph for any number of pictures if the file allows it."""
    openvino = need("openvino", "OpenVINO graphs")
    if model.module is None:
        try:
            return openvino.Core().read_model(model.weights)
        except RuntimeError as error:
            msg = f"'{model.weights}' is damaged, or no graph that OpenVINO reads. Fetch or export it again"
            raise WeightsError(msg) from error
    torch = need("torch", f"converting '{model.weights.name}'")
    module = built(model)
    with warnings.catch_warnings():
        # OpenVINO traces with it; that PyTorch would rather have another way is no news for our users.
        warnings.filterwarnings("ignore", message=r".torch\.jit\.", category=FutureWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        return openvino.convert_model(
            module,
            example_input=torch.from_numpy(sample(model, 1)),
            input=[-1, 3, model.input.height, model.input.width],
        )


def built(model: Model) -> "torch.nn.Module":
    """Build the PyTorch network of a model, in eval mode.

    Raises:
        ConfigError: It is none.
    """
    if model.module is None:
        msg = f"'{model.weights}' is no PyTorch checkpoint, so PyTorch cannot run it: give engine: auto"
        raise ConfigError(msg)
    return model.module().eval()


def sample(model: Model, count: int) -> NDArray[np.float32]:
    """Make input to try a network with: the same noise each time, shape (count, 3, height, width), float32."""
    shape = (count, 3, model.input.height, model.input.width)
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def tensors(outputs: Any) -> "list[torch.Tensor]":  # noqa: ANN401 - networks return what they like
    """List the tensors that a network returned: one, a sequence, or a mapping."""
    if isinstance(outputs, dict):
        return [tensor for value in outputs.values() for tensor in tensors(value)]
    if isinstance(outputs, list | tuple):
        return [tensor for value in outputs for tensor in tensors(value)]
    return [outputs]
