"""The parts that engines are made of: batches, pixels, folding, memory, signatures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from numpy.typing import NDArray
from openvino import opset13 as ops
from torch import Tensor, nn

from pipeline.errors import ConfigError, OutOfMemory, WeightsError
from stages.engines import InputFormat, Model, read_signature
from stages.engines.batches import bucket, joined, padded, pieces
from stages.engines.folding import folded
from stages.engines.memory import out_of_memory_named
from stages.engines.openvino import OpenVinoEngine
from stages.engines.pixels import normalised
from stages.engines.torch import TorchEngine

Pictures = NDArray[np.uint8]


# Batches


@pytest.mark.parametrize(
    ("count", "largest", "size"),
    [(1, 1, 1), (1, 64, 1), (2, 64, 2), (3, 64, 4), (33, 64, 64), (33, 48, 48), (48, 48, 48), (31, 48, 32)],
)
def test_a_batch_is_filled_up_to_a_power_of_two(count: int, largest: int, size: int) -> None:
    assert bucket(count, largest) == size


def test_pieces_cover_every_row_once() -> None:
    assert list(pieces(0, 3)) == []
    assert list(pieces(7, 3)) == [slice(0, 3), slice(3, 6), slice(6, 7)]


def test_padding_is_black_and_below() -> None:
    rows = np.ones((2, 1, 1, 3), np.uint8)
    assert padded(rows, 2) is rows
    assert padded(rows, 3)[:, 0, 0, 0].tolist() == [1, 1, 0]


def test_lists_of_different_length_are_filled_up_with_zeros() -> None:
    one, two = np.ones((1, 2, 3), np.float32), np.full((2, 4, 3), 2, np.float32)
    (boxes,) = joined([[one], [two]])
    assert boxes.shape == (3, 4, 3)
    assert boxes[:, :, 0].tolist() == [[1, 1, 0, 0], [2, 2, 2, 2], [2, 2, 2, 2]]


# Pixels


@pytest.mark.parametrize("channels", ["rgb", "bgr"])
def test_pixels_are_normalised_by_channel(channels: Any, pictures: Pictures) -> None:
    wanted = InputFormat(48, 64, (1.0, 20.0, 30.0), (2.0, 3.0, 4.0), channels)
    ordered = pictures[..., ::-1] if channels == "rgb" else pictures
    expected = (ordered - np.array(wanted.mean)) / wanted.std
    assert np.allclose(normalised(pictures, wanted), expected.transpose(0, 3, 1, 2), atol=1e-5)
    assert normalised(pictures[:0], wanted).shape == (0, 3, 64, 48)


# Folding


class Norms(nn.Module):
    """Two that can be folded; two that cannot, as something else reads what the convolution gave."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.transposed, self.transposed_norm = nn.ConvTranspose2d(4, 4, 2), nn.BatchNorm2d(4)
        self.read_twice, self.read_twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.called_twice, self.called_twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.transposed_norm(self.transposed(self.norm(self.conv(pictures))))
        raw: Tensor = self.read_twice(x)
        x = raw + self.read_twice_norm(raw)
        once: Tensor = self.called_twice_norm(self.called_twice(x))
        twice: Tensor = self.called_twice(x)
        return once + twice


class Branching(nn.Module):
    """Cannot be followed: its path depends on its data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, pictures: Tensor) -> Tensor:
        x: Tensor = self.norm(self.conv(pictures))
        return x if x.sum() > 0 else -x


def count_norms(module: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in module.modules())


@pytest.mark.parametrize(("kind", "left"), [(Norms, 2), (Branching, 1)])
def test_folding_changes_no_numbers_and_not_the_original(kind: Callable[[], nn.Module], left: int) -> None:
    torch.manual_seed(0)
    module = kind().eval()
    for name, value in module.named_buffers():
        if "running" in name:
            value.uniform_(0.5, 2)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    pictures = torch.randn(2, 3, 8, 8)
    with torch.inference_mode():
        assert torch.allclose(folded(module)(pictures), module(pictures), atol=1e-5)
    assert count_norms(folded(module)) == left
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_no_norm_of_the_small_network_is_left(network: type[nn.Module]) -> None:
    assert count_norms(network()) == 3
    assert count_norms(folded(network())) == 0


# PyTorch


def test_on_the_device_pictures_are_rgb(model: Model, pictures: Pictures) -> None:
    with TorchEngine(model, "f32", "cpu", 5) as engine:
        rgb = torch.from_numpy(pictures[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32))
        (heatmaps,) = engine.run_on_device(rgb)
        assert np.abs(heatmaps.numpy() - engine.run(pictures)[0]).max() <= 1e-6
        assert engine.run_on_device(rgb[:0])[0].shape == (0, 5, 32, 24)


def test_a_network_that_its_builder_keeps_is_not_changed(model: Model, network: type[nn.Module]) -> None:
    kept = network()
    before = {name: value.clone() for name, value in kept.state_dict().items()}
    with TorchEngine(Model(model.weights, model.input, lambda: kept), "bf16", "cpu", 1):
        pass
    assert all(torch.equal(value, before[name]) for name, value in kept.state_dict().items())


@pytest.mark.parametrize("precision", ["f16", "int8"])
def test_on_a_cpu_pytorch_does_not_compute_in(precision: Any, model: Model) -> None:
    with pytest.raises(ConfigError, match=f"f32 or bf16.*not in {precision}"):
        TorchEngine(model, precision, "cpu", 1).open()


def test_an_engine_that_is_not_open_says_so(model: Model, pictures: Pictures) -> None:
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        TorchEngine(model, "f32", "cpu", 5).run(pictures)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
def test_cuda_graphs_change_no_numbers(
    precision: Any, model: Model, pictures: Pictures, truth: Callable[..., Any], network: type[nn.Module]
) -> None:
    (expected,) = truth(network(), pictures, model.input)
    with (
        TorchEngine(model, precision, "cuda:0", 5, graphs=True) as recorded,
        TorchEngine(model, precision, "cuda:0", 5, graphs=False) as eager,
    ):
        for count in (5, 1, 3, 2, 5):
            (heatmaps,) = recorded.run(pictures[:count])
            assert np.abs(heatmaps - eager.run(pictures[:count])[0]).max() <= 1e-2 * np.abs(expected).max()
            tolerance = 1e-4 if precision == "f32" else 0.02 * np.abs(expected).max()
            assert np.abs(heatmaps - expected[:count]).max() <= tolerance


# Memory


class Exhausted(nn.Module):
    """Says what a library says when memory ran out."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, pictures: Tensor) -> Tensor:
        if torch.is_inference_mode_enabled():
            raise self.error
        return pictures


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), id="PyTorch"),
        pytest.param(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), id="cuBLAS"),
        pytest.param(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), id="the host"),
    ],
)
def test_running_out_of_memory_has_one_name(error: Exception, model: Model, pictures: Pictures) -> None:
    engine = TorchEngine(Model(model.weights, model.input, lambda: Exhausted(error)), "f32", "cpu", 5)
    with (
        engine,
        pytest.raises(OutOfMemory, match="a batch of 5 pictures does not fit into the memory of cpu") as caught,
    ):
        engine.run(pictures)
    assert type(caught.value.__cause__) is type(error)


def test_other_errors_pass_as_they_are(model: Model, pictures: Pictures) -> None:
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    engine = TorchEngine(Model(model.weights, model.input, lambda: Exhausted(error)), "f32", "cpu", 5)
    with engine, pytest.raises(RuntimeError, match="illegal memory access"):
        engine.run(pictures)


def test_memory_that_ran_out_while_a_graph_was_recorded_is_seen() -> None:
    def record() -> None:
        try:
            msg = "CUDA out of memory"
            raise torch.OutOfMemoryError(msg)
        finally:
            msg = "CUDA error: operation failed due to a previous error during capture"
            raise RuntimeError(msg)

    with pytest.raises(OutOfMemory), out_of_memory_named(8, "cuda:0"):
        record()


# OpenVINO


def test_a_request_that_never_answers_does_not_hold_the_process(
    model: Model, pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.engines.openvino._ANSWER_SECONDS", 0.0)

    class Silent:
        def __init__(self, request: Any) -> None:
            self.request = request

        def start_async(self) -> None: ...

        def wait_for(self, milliseconds: int) -> bool:
            assert milliseconds == 0
            return False

    with OpenVinoEngine(model, "f32", "cpu", 5) as engine:
        for slot in engine._slots:
            slot.request = Silent(slot.request)
        with pytest.raises(TimeoutError, match="no answer within 0 s"):
            engine.run(pictures)


# Signatures


def graph(path: Path, *shapes: list[int]) -> Path:
    """Write a graph of OpenVINO with these inputs, and as output their sums."""
    inputs = [ops.parameter(shape, np.float32, name=f"in{number}") for number, shape in enumerate(shapes)]
    outputs = [ops.reduce_sum(part, np.array([1]), keep_dims=True) for part in inputs]
    openvino.save_model(openvino.Model(outputs, inputs), path)
    return path


@pytest.mark.parametrize("hidden", [None, "onnxruntime"], ids=["by onnxruntime", "by openvino"])
@pytest.mark.parametrize("batch", [None, 2], ids=["any batch", "two"])
def test_a_signature_says_what_a_file_takes_and_gives(
    hidden: str | None, batch: int | None, write_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_onnx(batch)
    if hidden:
        monkeypatch.setitem(__import__("sys").modules, hidden, None)
    signature = read_signature(path)
    taken = signature.pictures()
    assert (taken.name, taken.batch, taken.height, taken.width) == ("pictures", batch, 64, 48)
    assert [port.shape for port in signature.outputs] == [(batch, 5, 32, 24)]


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        pytest.param(
            [[1, 3, 8, 8], [1, 2, 2, 2]],
            r"takes in0 \(1, 3, 8, 8\), in1 \(1, 2, 2, 2\); expected one input",
            id="two inputs",
        ),
        pytest.param(
            [[1, 8, 8, 3]],
            r"takes in0 \(1, 8, 8, 3\); expected one input, pictures \(batch, 3, height, width\)",
            id="channels last",
        ),
        pytest.param([[-1, 3, 8]], r"takes in0 \(\?, 3, 8\)", id="a rank too few"),
    ],
)
def test_a_graph_that_takes_no_pictures_is_refused(shapes: list[list[int]], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        read_signature(graph(tmp_path / "odd.xml", *shapes)).pictures()


@pytest.mark.parametrize("name", ["gone.onnx", "gone.xml"])
def test_a_file_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=f"{name}' does not exist"):
        read_signature(tmp_path / name)
