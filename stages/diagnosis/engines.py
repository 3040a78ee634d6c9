"""The engines that run networks from files: in what they compute here, and on what."""

from collections.abc import Iterator

from stages.diagnosis.finding import Finding
from stages.diagnosis.installed import imported, install_command, version_of
from stages.engines.machine import Machine

__all__ = ["look_at_engines"]


def look_at_engines(machine: Machine | None = None) -> Iterator[Finding]:
    """Ask OpenVINO and ONNX Runtime what they can do on a machine; this one if left out."""
    machine = machine or Machine()
    yield _openvino(machine)
    yield _onnxruntime(machine)


def _openvino(machine: Machine) -> Finding:
    found, fault = imported("openvino")
    if found is None:
        return _absent("openvino", ("openvino",), fault, "the fast engine on a CPU")
    precisions = machine.openvino_precisions
    rest = "" if "bf16" in precisions else "; one with AVX512-BF16 or AMX also does bf16, about twice as fast"
    detail = f"{version_of('openvino')}: this CPU computes in {', '.join(sorted(precisions))}{rest}"
    return Finding("engines", "openvino", "ok", detail)


def _onnxruntime(machine: Machine) -> Finding:
    distributions = ("onnxruntime-gpu", "onnxruntime")
    found, fault = imported("onnxruntime")
    if found is None:
        return _absent("onnxruntime", distributions, fault, "networks in ONNX files")
    providers = machine.providers
    version = next((version for name in distributions if (version := version_of(name))), found.__version__)
    detail = f"{version} with {', '.join(sorted(providers))}"
    if machine.gpus and "CUDAExecutionProvider" not in providers:
        fix = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
        return Finding("engines", "onnxruntime", "warning", f"{detail}: ONNX files run on the CPU, not on the GPU", fix)
    return Finding("engines", "onnxruntime", "ok", detail)


def _absent(name: str, distributions: tuple[str, ...], fault: str, purpose: str) -> Finding:
    """Tell what is not installed from what is broken."""
    installed = next((distribution for distribution in distributions if version_of(distribution)), None)
    if installed is None:
        return Finding("engines", name, "missing", f"not installed: {purpose}", install_command(name))
    return Finding("engines", name, "missing", fault, f"pip install --force-reinstall {installed}")
