"""Which engine runs a model, on what, how exactly; and why."""

import importlib
import logging
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from pipeline.errors import ConfigError, MissingPackage
from stages.engines import artefacts
from stages.engines.base import Engine, EngineName, Model, Precision
from stages.engines.machine import Machine
from stages.engines.options import EngineOptions
from stages.engines.packages import install_command

__all__ = ["Choice", "choose", "open_engines"]

_log = logging.getLogger(__name__)

Kind: TypeAlias = Literal["cpu", "cuda"]

_CLASSES: Final[dict[EngineName, str]] = {
    "torch": "stages.engines.torch:TorchEngine",
    "openvino": "stages.engines.openvino:OpenVinoEngine",
    "onnxruntime": "stages.engines.onnxruntime:OnnxRuntimeEngine",
    "tensorrt": "stages.engines.onnxruntime:TensorRtEngine",
}
_PACKAGES: Final[dict[EngineName, str]] = {
    "torch": "torch",
    "openvino": "openvino",
    "onnxruntime": "onnxruntime",
    "tensorrt": "onnxruntime",
}
_PRECISIONS: Final[dict[tuple[EngineName, Kind], tuple[Precision, ...]]] = {
    ("torch", "cuda"): ("bf16", "f16", "f32"),
    ("onnxruntime", "cuda"): ("f32",),
    ("tensorrt", "cuda"): ("f16", "f32"),
    ("openvino", "cpu"): ("bf16", "f32", "f16", "int8"),
    ("onnxruntime", "cpu"): ("f32",),
    ("torch", "cpu"): ("f32", "bf16"),
}
"""What there is, best first: engines on a kind of device, and for each of them what `precision: auto` tries."""
_PROVIDERS: Final[dict[EngineName, str]] = {
    "onnxruntime": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class Choice(NamedTuple):
    """An engine on a device."""

    engine: EngineName
    precision: Precision
    device: str
    """`cpu` or `cuda:0`."""


class Objection(NamedTuple):
    """Why an engine cannot be taken."""

    reason: str
    package: str | None = None
    """What to install, where nothing else is in the way: a command."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.package}" if self.package else self.reason


def open_engines(model: Model, options: EngineOptions, max_batch: int, machine: Machine | None = None) -> list[Engine]:
    """Choose engines for a model, one a device, and open them. Close each of them in the end.

    Args:
        model: What to run.
        options: What the user asks for.
        max_batch: How many pictures an engine gets at once, at most.
        machine: What there is to compute with; this one if left out.

    Raises:
        ConfigError: What was asked for is not possible here; the message says what is.
        MissingPackage: It is, once a package is installed.
        WeightsError: The weights are damaged.
    """
    choices, why = choose(model, options, machine or Machine())
    engines = [_make(choice, model, max_batch) for choice in choices]
    _log.info("%s: %s (%s)", model.weights.name, ", ".join(map(str, engines)), why)
    try:
        for engine in engines:
            engine.open()
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def _make(choice: Choice, model: Model, max_batch: int) -> Engine:
    module, _, name = _CLASSES[choice.engine].partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)(model, choice.precision, choice.device, max_batch)
    return engine


def choose(model: Model, options: EngineOptions, machine: Machine) -> tuple[list[Choice], str]:
    """Take the first engine that nothing speaks against.

    Returns:
        One choice a device, and the reason in words.

    Raises:
        ConfigError: Something speaks against each of them.
        MissingPackage: The same, and a package is all that is missing.
    """
    against: dict[str, Objection] = {}
    for kind in _kinds(options, machine):
        for engine in _engines(options, kind):
            objection = _objection(engine, kind, model, options, machine)
            if objection is None:
                devices = _devices(options) if kind == "cuda" else ["cpu"]
                precision = _precision(engine, kind, options, machine)
                return [Choice(engine, precision, device) for device in devices], _why(options, machine, against)
            against[f"{engine} on {kind}"] = objection
    raise _impossible(model, options, against)


def _kinds(options: EngineOptions, machine: Machine) -> list[Kind]:
    """List the kinds of devices that come into question.

    Raises:
        ConfigError: A GPU was asked for that is not there.
    """
    if options.device == "cpu":
        return ["cpu"]
    if options.device == "auto":
        return ["cuda", "cpu"] if machine.gpus and options.engine != "openvino" else ["cpu"]
    absent = [device for device in _devices(options) if _index(device) >= machine.gpus]
    if absent:
        seen = ", ".join(f"cuda:{index}" for index in range(machine.gpus)) or "none"
        msg = (
            f"device '{options.device}': {', '.join(absent)} is not there. GPUs that the NVIDIA driver shows: {seen}. "
            "Give one of them, auto or cpu; kinestream doctor says more"
        )
        raise ConfigError(msg)
    return ["cuda"]


def _engines(options: EngineOptions, kind: Kind) -> Iterator[EngineName]:
    """List the engines that come into question, best first."""
    if options.engine != "auto":
        yield options.engine
        return
    yield from (engine for engine, place in _PRECISIONS if place == kind)


def _objection(
    engine: EngineName, kind: Kind, model: Model, options: EngineOptions, machine: Machine
) -> Objection | None:
    """Say what speaks against an engine; None if nothing does. Cheap questions come first."""
    possible = _PRECISIONS.get((engine, kind))
    if possible is None:
        where = " or ".join(place for name, place in _PRECISIONS if name == engine)
        return Objection(f"it runs on {where} only")
    if options.precision not in {"auto", *possible}:
        return Objection(f"there it computes in {' or '.join(possible)}, not in {options.precision}")
    return (
        _cannot_read(engine, model)
        or _not_installed(engine, machine)
        or _cannot_convert(engine, model, machine)
        or (_cannot_use_gpu(engine, options, machine) if kind == "cuda" else None)
        or _not_in_hardware(engine, kind, options, machine)
    )


def _cannot_read(engine: EngineName, model: Model) -> Objection | None:
    """See that the engine takes the format of the weights, or something made from them."""
    name = model.weights.name
    if model.module is not None or engine == "openvino":
        return None
    if engine == "torch":
        return Objection(f"it runs PyTorch checkpoints, and '{name}' is none")
    if model.weights.suffix.lower() == ".xml":
        return Objection(f"it runs ONNX files and PyTorch checkpoints, and '{name}' is a graph of OpenVINO")
    return None


def _not_installed(engine: EngineName, machine: Machine) -> Objection | None:
    package = _PACKAGES[engine]
    return None if machine.has(package) else Objection(f"{package} is not installed", install_command(package))


def _cannot_convert(engine: EngineName, model: Model, machine: Machine) -> Objection | None:
    """See that a checkpoint can become what the engine reads, or already has."""
    if model.module is None or engine == "torch":
        return None
    packages = ("torch",) if engine == "openvino" else ("torch", "onnx", "onnxscript")
    missing = [package for package in packages if not machine.has(package)]
    if not missing or artefacts.is_intact(artefacts.graph_path(model, ".xml" if engine == "openvino" else ".onnx")):
        return None
    reason = f"{', '.join(missing)}, which would convert '{model.weights.name}' once, is not installed"
    return Objection(reason, install_command(missing[0]))


def _cannot_use_gpu(engine: EngineName, options: EngineOptions, machine: Machine) -> Objection | None:
    if engine == "torch":
        wanted = max(map(_index, _devices(options))) + 1
        if machine.torch_gpus >= wanted:
            return None
        return Objection(f"PyTorch can use {machine.torch_gpus} GPUs; kinestream doctor says why")
    if _PROVIDERS[engine] in machine.providers:
        return None
    return Objection(f"onnxruntime was built without {_PROVIDERS[engine]}", "pip install onnxruntime-gpu")


def _not_in_hardware(engine: EngineName, kind: Kind, options: EngineOptions, machine: Machine) -> Objection | None:
    """See that the processor computes in the precision that was asked for."""
    asked = options.precision
    if engine == "openvino" and asked not in {"auto", *machine.openvino_precisions}:
        return Objection(f"this CPU computes in {' or '.join(sorted(machine.openvino_precisions))}, not in {asked}")
    if (engine, kind, asked) == ("torch", "cuda", "bf16"):
        old = [device for device in _devices(options) if not machine.torch_multiplies_bf16(_index(device))]
        return Objection(f"{', '.join(old)} does not compute in bf16; give f16") if old else None
    return None


def _precision(engine: EngineName, kind: Kind, options: EngineOptions, machine: Machine) -> Precision:
    """Settle `precision: auto`."""
    if options.precision != "auto":
        return options.precision
    best, *others = _PRECISIONS[engine, kind]
    if engine == "openvino":
        has_best = best in machine.openvino_precisions
    elif (engine, kind) == ("torch", "cuda"):
        has_best = all(machine.torch_multiplies_bf16(_index(device)) for device in _devices(options))
    else:
        has_best = True
    return best if has_best else others[0]


def _devices(options: EngineOptions) -> list[str]:
    """List the GPUs that are meant, each once."""
    indices = options.device.partition(":")[2] or "0"
    return list(dict.fromkeys(f"cuda:{int(index)}" for index in indices.split(",")))


def _index(device: str) -> int:
    return int(device.partition(":")[2])


def _why(options: EngineOptions, machine: Machine, against: dict[str, Objection]) -> str:
    """Say why this one was taken: what was passed over, and what was not looked for."""
    if "auto" not in {options.engine, options.device, options.precision}:
        return "as asked"
    passed = [f"not {name}, {objection}" for name, objection in against.items()]
    if options.device == "auto" and not machine.gpus:
        passed.insert(0, "no GPU")
    return "; ".join(passed) or "the best of what is here"


def _impossible(model: Model, options: EngineOptions, against: dict[str, Objection]) -> ConfigError:
    """Make the error that says what stands in the way of each engine."""
    asked = f"engine: {options.engine}, precision: {options.precision}, device: {options.device}"
    reasons = "; ".join(f"{name}: {objection}" for name, objection in against.items())
    msg = f"nothing here can run '{model.weights.name}' as asked ({asked}). {reasons}"
    missing = [objection for objection in against.values() if objection.package]
    return MissingPackage(msg) if missing else ConfigError(msg)
