"""What the engines say of this machine, and of machines that are described."""

import importlib.metadata
import sys

import pytest

from stages.diagnosis.engines import look_at_engines
from stages.diagnosis.finding import Finding
from stages.engines.base import Precision
from stages.engines.machine import Machine


class Described(Machine):
    """A machine as a test says it is."""

    def __init__(self, gpus: int = 0, precisions: tuple[Precision, ...] = ("f32",), providers: str = "CPU") -> None:
        self.__dict__["gpus"] = gpus
        self.__dict__["openvino_precisions"] = frozenset(precisions)
        self.__dict__["providers"] = frozenset(f"{name}ExecutionProvider" for name in providers.split())


def found(name: str, machine: Machine | None = None) -> Finding:
    (finding,) = [finding for finding in look_at_engines(machine) if finding.name == name]
    return finding


def test_the_engines_that_are_installed_here_are_well() -> None:
    assert [finding.state for finding in look_at_engines()] == ["ok", "ok"]
    assert "f32" in found("openvino").detail
    assert "CPUExecutionProvider" in found("onnxruntime").detail


@pytest.mark.parametrize(
    ("precisions", "detail"),
    [
        pytest.param(("f32", "bf16"), r"computes in bf16, f32", id="with bf16"),
        pytest.param(("f32",), r"computes in f32; one with AVX512-BF16 or AMX also does bf16", id="without bf16"),
    ],
)
def test_openvino_says_in_what_the_processor_computes(precisions: tuple[Precision, ...], detail: str) -> None:
    finding = found("openvino", Described(precisions=precisions))
    assert finding.state == "ok"
    assert detail in finding.detail


@pytest.mark.parametrize(
    ("machine", "state", "fix"),
    [
        pytest.param(Described(), "ok", "", id="no GPU"),
        pytest.param(Described(gpus=1, providers="CUDA CPU"), "ok", "", id="a GPU that is used"),
        pytest.param(
            Described(gpus=1), "warning", "pip uninstall -y onnxruntime && pip install onnxruntime-gpu", id="unused GPU"
        ),
    ],
)
def test_onnxruntime_is_compared_with_the_gpus(machine: Machine, state: str, fix: str) -> None:
    assert (found("onnxruntime", machine).state, found("onnxruntime", machine).fix) == (state, fix)


@pytest.mark.parametrize(
    ("name", "is_installed", "fix"),
    [
        pytest.param("openvino", False, "pip install 'kinestream[openvino]'", id="no OpenVINO"),
        pytest.param("openvino", True, "pip install --force-reinstall openvino", id="broken OpenVINO"),
        pytest.param("onnxruntime", False, "pip install 'kinestream[onnx]'", id="no ONNX Runtime"),
        pytest.param("onnxruntime", True, "pip install --force-reinstall onnxruntime", id="broken ONNX Runtime"),
    ],
)
def test_an_engine_that_does_not_import_is_no_failure(
    name: str, fix: str, monkeypatch: pytest.MonkeyPatch, *, is_installed: bool
) -> None:
    def version(distribution: str) -> str:
        if is_installed and distribution == name:
            return "1.0"
        raise importlib.metadata.PackageNotFoundError(distribution)

    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(importlib.metadata, "version", version)
    finding = found(name, Described())
    assert (finding.state, finding.fix, finding.required) == ("missing", fix, False)
