"""What every engine promises, asked of each of them."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.errors import ConfigError, WeightsError
from stages.engines import EngineOptions, InputFormat, Model, open_engines
from stages.engines.base import Engine, EngineName, Precision
from stages.engines.machine import Machine

Pictures = NDArray[np.uint8]
Truth = Callable[..., list[NDArray[np.float32]]]

ENGINES: tuple[EngineName, ...] = ("torch", "openvino", "onnxruntime")
EVERY = pytest.mark.parametrize("name", ENGINES)
GRAPHS = pytest.mark.parametrize("name", ["openvino", "onnxruntime"])


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests here: the small network is converted once."""
    cache = tmp_path_factory.getbasetemp() / "engines-cache"
    monkeypatch.setenv("KINESTREAM_CACHE", str(cache))
    return cache / "engines"


def start(model: Model, name: EngineName, precision: Precision = "f32", max_batch: int = 5) -> Engine:
    options = EngineOptions(engine=name, precision=precision, device="cpu")
    (engine,) = open_engines(model, options, max_batch)
    return engine


def run(model: Model, name: EngineName, pictures: Pictures, precision: Precision = "f32") -> list[NDArray[np.float32]]:
    engine = start(model, name, precision)
    try:
        return engine.run(pictures)
    finally:
        engine.close()


@EVERY
def test_no_pictures_give_no_rows(name: EngineName, model: Model, pictures: Pictures) -> None:
    (heatmaps,) = run(model, name, pictures[:0])
    assert heatmaps.shape == (0, 5, 32, 24)
    assert heatmaps.dtype == np.float32


@EVERY
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(InputFormat(48, 64), id="rgb of ImageNet"),
        pytest.param(InputFormat(48, 64, (1.0, 2.0, 3.0), (50.0, 60.0, 70.0), "bgr"), id="bgr of its own"),
    ],
)
def test_in_f32_the_numbers_are_those_of_pytorch(
    name: EngineName, wanted: InputFormat, model: Model, pictures: Pictures, truth: Truth, network: type[nn.Module]
) -> None:
    (heatmaps,) = run(replace(model, input=wanted), name, pictures)
    (expected,) = truth(network(), pictures, wanted)
    assert expected.std() > 0.1
    assert np.abs(heatmaps - expected).max() <= 1e-4


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_in_bf16_they_are_within_two_hundredths_of_the_largest(
    name: EngineName, model: Model, pictures: Pictures, truth: Truth, network: type[nn.Module]
) -> None:
    """Numbers in bf16 have 8 bits: each step rounds by up to 0.4 %, and this network has six."""
    if name == "openvino" and "bf16" not in Machine().openvino_precisions:
        pytest.skip("this CPU does not compute in bf16")
    (heatmaps,) = run(model, name, pictures, "bf16")
    (expected,) = truth(network(), pictures, model.input)
    assert 1e-4 < np.abs(heatmaps - expected).max() <= 0.02 * np.abs(expected).max()


@EVERY
def test_alone_and_in_a_batch_a_picture_gives_the_same_numbers(
    name: EngineName, model: Model, pictures: Pictures
) -> None:
    engine = start(model, name)
    together = engine.run(pictures)[0]
    alone = np.concatenate([engine.run(pictures[row : row + 1])[0] for row in range(len(pictures))])
    engine.close()
    assert np.abs(together - alone).max() <= (1e-6 if name == "torch" else 0.0)


@EVERY
def test_what_an_engine_gave_stays_when_it_runs_again(name: EngineName, model: Model, pictures: Pictures) -> None:
    engine = start(model, name)
    (first,) = engine.run(pictures)
    kept = first.copy()
    engine.run(pictures[::-1])
    engine.close()
    assert np.array_equal(first, kept)


@EVERY
def test_pictures_may_be_read_only_or_a_view(name: EngineName, model: Model, pictures: Pictures) -> None:
    frozen = pictures.copy()
    frozen.flags.writeable = False
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    engine = start(model, name)
    assert np.array_equal(engine.run(frozen)[0], engine.run(pictures)[0])
    assert np.array_equal(engine.run(pictures[:, :, ::-1])[0], engine.run(mirrored)[0])
    engine.close()


@EVERY
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(np.zeros((1, 48, 64, 3), np.uint8), id="sides swapped"),
        pytest.param(np.zeros((1, 64, 48, 3), np.float32), id="no bytes"),
        pytest.param(np.zeros((64, 48, 3), np.uint8), id="one picture without a batch"),
    ],
)
def test_other_pictures_are_refused(name: EngineName, wrong: Pictures, model: Model) -> None:
    engine = start(model, name)
    with pytest.raises(ValueError, match=r"expected uint8 \(n, 64, 48, 3\)"):
        engine.run(wrong)
    engine.close()


@EVERY
def test_several_outputs_come_in_their_order(
    name: EngineName, model: Model, pictures: Pictures, truth: Truth, network: Callable[..., nn.Module]
) -> None:
    expected = truth(network(outputs=2), pictures, model.input)
    model.weights.write_bytes(b"of a network with two outputs")
    outputs = run(replace(model, module=lambda: network(outputs=2)), name, pictures)
    assert [output.shape for output in outputs] == [(5, 5, 32, 24), (5,)]
    assert all(np.abs(one - other).max() <= 1e-4 for one, other in zip(outputs, expected, strict=True))


@GRAPHS
@pytest.mark.parametrize("batch", [None, 1, 3], ids=["any", "one", "three"])
def test_an_onnx_file_runs_whatever_its_batch(
    name: EngineName,
    batch: int | None,
    model: Model,
    pictures: Pictures,
    truth: Truth,
    network: type[nn.Module],
    write_onnx: Callable[..., Path],
) -> None:
    (heatmaps,) = run(Model(write_onnx(batch), model.input), name, pictures)
    assert np.abs(heatmaps - truth(network(), pictures, model.input)[0]).max() <= 1e-4


@GRAPHS
def test_an_onnx_file_in_half_precision_gets_its_input_in_half(
    name: EngineName,
    model: Model,
    pictures: Pictures,
    truth: Truth,
    network: type[nn.Module],
    write_onnx: Callable[..., Path],
) -> None:
    (heatmaps,) = run(Model(write_onnx(kind=torch.float16), model.input), name, pictures)
    (expected,) = truth(network(), pictures, model.input)
    assert heatmaps.dtype == np.float32
    assert np.abs(heatmaps - expected).max() <= 5e-3 * np.abs(expected).max()


@GRAPHS
def test_an_onnx_file_for_another_size_is_refused(
    name: EngineName, model: Model, write_onnx: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError, match=r"takes pictures of 64x48 \(height x width\), but is to get 32x96"):
        start(replace(Model(write_onnx(), model.input), input=InputFormat(96, 32)), name)


@GRAPHS
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda whole: whole[:0], id="empty"),
        pytest.param(lambda whole: whole[:500], id="cut off"),
        pytest.param(lambda whole: b"\0" * len(whole), id="zeros"),
    ],
)
def test_a_damaged_onnx_file_is_named(
    name: EngineName, damage: Callable[[bytes], bytes], model: Model, write_onnx: Callable[..., Path]
) -> None:
    path = write_onnx()
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(WeightsError, match=r"tiny\.onnx"):
        start(Model(path, model.input), name)


@EVERY
def test_an_engine_is_closed_twice_without_harm(name: EngineName, model: Model) -> None:
    engine = start(model, name)
    engine.close()
    engine.close()


@EVERY
def test_an_engine_says_what_it_is(name: EngineName, model: Model) -> None:
    engine = start(model, name)
    assert str(engine) == f"{name} f32 on cpu"
    engine.close()


@pytest.mark.slow
@EVERY
def test_a_real_network_agrees(name: EngineName, tmp_path: Path, truth: Truth, pictures: Pictures) -> None:
    from stages.poses.networks.hrnet import HRNet  # noqa: PLC0415 - only here

    torch.manual_seed(0)
    module = HRNet(32).eval()
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.constant_(part.weight, 0.5)  # so that sums of branches do not grow without end
    weights = tmp_path / "real.pth"
    weights.write_bytes(b"real")
    model = Model(weights, InputFormat(64, 64), lambda: module)
    crops = np.resize(pictures, (3, 64, 64, 3))
    engine = start(model, name)
    (heatmaps,) = engine.run(crops)
    (alone,) = engine.run(crops[1:2])
    engine.close()
    (expected,) = truth(module, crops, model.input)
    scale = np.abs(expected).max()
    assert scale > 1e-3
    assert np.abs(heatmaps - expected).max() <= 1e-4 * scale
    assert np.abs(heatmaps[1:2] - alone).max() <= (5e-6 * scale if name == "torch" else 0.0)


def test_importing_the_room_loads_no_engine() -> None:
    heavy = {"torch", "openvino", "onnxruntime", "onnx", "nncf"}
    program = f"import sys, stages.engines, stages.engines.commands; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
