import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.errors import ConfigError, MissingPackage
from stages.engines import EngineOptions, InputFormat, Model, open_engines
from stages.engines.base import Precision
from stages.engines.choose import choose
from stages.engines.machine import Machine

EVERYTHING = frozenset({"torch", "openvino", "onnxruntime", "onnx", "onnxscript"})


class Described(Machine):
    """A machine as a test describes it."""

    def __init__(
        self,
        packages: frozenset[str] = EVERYTHING,
        *,
        gpus: int = 0,
        torch_gpus: int | None = None,
        providers: frozenset[str] = frozenset(),
        precisions: frozenset[Precision] = frozenset({"f32", "bf16", "int8"}),
        old_gpus: bool = False,
    ) -> None:
        self.packages = packages
        self.gpus = gpus
        self.torch_gpus = gpus if torch_gpus is None else torch_gpus
        self.providers = providers
        self.openvino_precisions = precisions
        self.old_gpus = old_gpus

    def has(self, package: str) -> bool:
        return package in self.packages

    def torch_multiplies_bf16(self, index: int) -> bool:
        assert index < self.gpus
        return not self.old_gpus


BARE = Described()
GPU = Described(gpus=2, providers=frozenset({"CUDAExecutionProvider", "TensorrtExecutionProvider"}))


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Model]:
    """Makes a model of a file with that suffix; a .pth is a PyTorch network."""

    def make(suffix: str) -> Model:
        weights = tmp_path / f"weights{suffix}"
        weights.write_bytes(b"1")
        return Model(weights, InputFormat(48, 64), (lambda: pytest.fail("built")) if suffix == ".pth" else None)

    return make


@pytest.mark.parametrize(
    ("suffix", "options", "machine", "expected"),
    [
        pytest.param(".pth", {}, BARE, "openvino bf16 cpu", id="CPU: openvino, bf16"),
        pytest.param(".pth", {}, Described(precisions=frozenset({"f32"})), "openvino f32 cpu", id="CPU without bf16"),
        pytest.param(".onnx", {}, Described(frozenset({"openvino"})), "openvino bf16 cpu", id="only openvino"),
        pytest.param(".xml", {}, Described(frozenset({"openvino"})), "openvino bf16 cpu", id="a graph of openvino"),
        pytest.param(".pth", {}, Described(EVERYTHING - {"openvino"}), "onnxruntime f32 cpu", id="no openvino"),
        pytest.param(".pth", {}, Described(frozenset({"torch", "onnxruntime"})), "torch f32 cpu", id="no exporter"),
        pytest.param(".pth", {}, Described(frozenset({"torch"})), "torch f32 cpu", id="only torch"),
        pytest.param(".onnx", {}, Described(frozenset({"onnxruntime"})), "onnxruntime f32 cpu", id="only onnxruntime"),
        pytest.param(".pth", {}, GPU, "torch bf16 cuda:0", id="GPU: torch, bf16"),
        pytest.param(".pth", {}, Described(gpus=1, old_gpus=True), "torch f16 cuda:0", id="an old GPU: f16"),
        pytest.param(".onnx", {}, GPU, "onnxruntime f32 cuda:0", id="GPU: onnxruntime for ONNX"),
        pytest.param(".onnx", {"precision": "f16"}, GPU, "tensorrt f16 cuda:0", id="GPU: ONNX in f16"),
        pytest.param(".xml", {}, GPU, "openvino bf16 cpu", id="GPU, but a graph of openvino"),
        pytest.param(".pth", {"precision": "int8"}, GPU, "openvino int8 cpu", id="GPU, but int8"),
        pytest.param(".pth", {"engine": "openvino"}, GPU, "openvino bf16 cpu", id="GPU, but openvino"),
        pytest.param(".pth", {}, Described(gpus=1, torch_gpus=0), "openvino bf16 cpu", id="torch cannot use the GPU"),
        pytest.param(".onnx", {}, Described(gpus=1), "openvino bf16 cpu", id="onnxruntime cannot use the GPU"),
        pytest.param(".pth", {"device": "cuda:1"}, GPU, "torch bf16 cuda:1", id="the second GPU"),
        pytest.param(".pth", {"device": "cuda:1,0,1"}, GPU, "torch bf16 cuda:1, torch bf16 cuda:0", id="two GPUs"),
        pytest.param(".pth", {"engine": "tensorrt"}, GPU, "tensorrt f16 cuda:0", id="tensorrt"),
        pytest.param(".pth", {"device": "cuda", "precision": "f32"}, GPU, "torch f32 cuda:0", id="GPU in f32"),
        pytest.param(".pth", {"engine": "torch", "precision": "bf16"}, BARE, "torch bf16 cpu", id="as asked"),
    ],
)
def test_auto_picks(
    suffix: str, options: dict[str, str], machine: Machine, expected: str, made: Callable[[str], Model]
) -> None:
    choices, _ = choose(made(suffix), EngineOptions.model_validate(options), machine)
    assert ", ".join(" ".join(choice) for choice in choices) == expected


@pytest.mark.parametrize(
    ("suffix", "options", "machine", "error", "words"),
    [
        pytest.param(".pth", {"device": "cuda:7"}, GPU, ConfigError, "shows: cuda:0, cuda:1", id="absent GPU"),
        pytest.param(".pth", {"device": "cuda"}, BARE, ConfigError, "shows: none", id="no GPU"),
        pytest.param(".pth", {"device": "cuda:0,2"}, GPU, ConfigError, "cuda:2 is not there", id="one of two absent"),
        pytest.param(
            ".pth",
            {"engine": "openvino", "device": "cuda"},
            GPU,
            ConfigError,
            "runs on cpu only",
            id="openvino on cuda",
        ),
        pytest.param(
            ".pth", {"engine": "tensorrt", "device": "cpu"}, GPU, ConfigError, "runs on cuda only", id="tensorrt on cpu"
        ),
        pytest.param(".pth", {"engine": "tensorrt"}, BARE, ConfigError, "runs on cuda only", id="tensorrt, no GPU"),
        pytest.param(
            ".onnx", {"engine": "onnxruntime", "precision": "bf16"}, BARE, ConfigError, "in f32, not in bf16", id="bf16"
        ),
        pytest.param(
            ".pth",
            {"engine": "openvino", "precision": "bf16"},
            Described(precisions=frozenset({"f32", "int8"})),
            ConfigError,
            "this CPU computes in f32 or int8, not in bf16",
            id="a CPU without bf16",
        ),
        pytest.param(
            ".pth",
            {"device": "cuda", "precision": "bf16", "engine": "torch"},
            Described(gpus=1, old_gpus=True),
            ConfigError,
            "cuda:0 does not compute in bf16; give f16",
            id="a GPU without bf16",
        ),
        pytest.param(".onnx", {"engine": "torch"}, BARE, ConfigError, "PyTorch checkpoints", id="torch for ONNX"),
        pytest.param(".xml", {"engine": "onnxruntime"}, BARE, ConfigError, "a graph of OpenVINO", id="xml for ONNX"),
        pytest.param(
            ".pth",
            {"engine": "torch", "device": "cuda"},
            Described(gpus=1, torch_gpus=0),
            ConfigError,
            "PyTorch can use 0 GPUs",
            id="torch for the CPU",
        ),
        pytest.param(
            ".onnx",
            {"device": "cuda", "engine": "onnxruntime"},
            Described(gpus=1),
            MissingPackage,
            "pip install onnxruntime-gpu",
            id="onnxruntime for the CPU",
        ),
        pytest.param(
            ".pth",
            {"engine": "openvino"},
            Described(frozenset({"torch"})),
            MissingPackage,
            r"pip install 'kinestream\[openvino\]'",
            id="no openvino",
        ),
        pytest.param(
            ".pth",
            {"engine": "openvino"},
            Described(frozenset({"openvino"})),
            MissingPackage,
            r"torch, which would convert 'weights.pth' once, is not installed: pip install 'kinestream\[torch\]'",
            id="nothing that converts",
        ),
        pytest.param(
            ".onnx", {}, Described(frozenset()), MissingPackage, r"pip install 'kinestream\[onnx\]'", id="nothing"
        ),
    ],
)
def test_what_is_not_possible_is_explained(
    suffix: str,
    options: dict[str, str],
    machine: Machine,
    error: type[ConfigError],
    words: str,
    made: Callable[[str], Model],
) -> None:
    with pytest.raises(error, match=words) as caught:
        choose(made(suffix), EngineOptions.model_validate(options), machine)
    assert type(caught.value) is error


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:0,", "cuda:-1", "CPU", ""])
def test_a_device_is_spelt_right(device: str) -> None:
    with pytest.raises(ValidationError):
        EngineOptions(device=device)


def test_it_is_logged_what_was_picked_and_why(model: Model, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "stages.engines")
    (engine,) = open_engines(model, EngineOptions(engine="torch"), 1, Described())
    engine.close()
    assert caplog.messages == ["tiny_64x48.pth: torch f32 on cpu (no GPU)"]


@pytest.mark.parametrize("package", ["openvino", "onnxruntime", "torch"])
def test_a_package_that_is_not_installed_is_named(package: str, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys  # noqa: PLC0415 - the real machine is asked here, with one package hidden

    monkeypatch.setitem(sys.modules, package, None)
    options: dict[str, Any] = {"engine": package, "device": "cpu"}
    with pytest.raises(MissingPackage, match=rf"{package} is not installed: pip install 'kinestream\["):
        open_engines(model, EngineOptions.model_validate(options), 1)


def test_where_one_engine_does_not_open_all_are_closed(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from stages.engines import torch as torch_engine  # noqa: PLC0415 - only here

    opened: list[str] = []
    closed: list[str] = []

    class Fragile(torch_engine.TorchEngine):
        def open(self) -> None:
            opened.append(self.device)
            if self.device == "cuda:1":
                msg = "broken"
                raise ConfigError(msg)

        def close(self) -> None:
            closed.append(self.device)

    monkeypatch.setattr(torch_engine, "TorchEngine", Fragile)
    with pytest.raises(ConfigError, match="broken"):
        open_engines(model, EngineOptions(device="cuda:0,1"), 1, GPU)
    assert opened == closed == ["cuda:0", "cuda:1"]
