"""`kinestream doctor`: what this machine has, what is missing, and the command that mends it."""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from stages.diagnosis.engines import look_at_engines
from stages.diagnosis.finding import Finding
from stages.diagnosis.gpu import look_at_gpu
from stages.diagnosis.installed import imported, install_command, loads, version_of
from stages.zoo.entries import lookup
from stages.zoo.store import Store

__all__ = ["app", "diagnose"]

_EMBEDDED_MODELS: Final = ("blazepose-detector", "blazepose-landmark-full")
_REQUIRED_PACKAGES: Final = {
    "numpy": "numpy",
    "scipy.optimize": "scipy",
    "ai_edge_litert.interpreter": "ai-edge-litert",
}
"""Module -> distribution; what the embedded preset computes with. `av` and `cv2` have findings of their own."""
_OPTIONAL_PACKAGES: Final = {
    "ultralytics": "YOLO detectors and pose models (AGPL-3.0)",
    "tensorrt": "the fast engine on an NVIDIA GPU",
    "onnx": "networks in ONNX files, and kinestream export",
    "nncf": "networks in 8 bits on a CPU",
    "gdown": "weights that are on Google Drive, as those of HRNet",
    "faster-coco-eval": "kinestream evaluate",
    "pyarrow": "Parquet tables",
}
_PULL: Final = "kinestream models pull"
_CPU_FEATURES: Final = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
_LEAST_MEMORY_BYTES: Final = 2 << 30


def diagnose() -> list[Finding]:
    """Look at this machine; fetches nothing and changes nothing."""
    return [*_system(), *_video(), *look_at_gpu(), *look_at_engines(), *_packages(), *_models()]


def _system() -> Iterator[Finding]:
    version = platform.python_version()
    modern = sys.version_info >= (3, 11)
    fix = "" if modern else "install Python 3.11 or newer, and Kinestream into it"
    yield Finding("system", "python", "ok" if modern else "missing", version, fix, required=True)
    yield Finding("system", "platform", "ok", platform.platform())
    yield _processor()
    yield _memory()


def _processor() -> Finding:
    lines = _fields(Path("/proc/cpuinfo"))
    features = set(lines.get("flags", "").split())
    known = " ".join(name for name in _CPU_FEATURES if name in features) or "no vector features known"
    detail = f"{_usable_cores()} cores, {lines.get('model name', platform.machine())}: {known}"
    slow = bool(features) and "avx2" not in features
    fix = "choose a machine, or a CPU type of the virtual machine, with AVX2" if slow else ""
    return Finding("system", "cpu", "warning" if slow else "ok", detail, fix)


def _memory() -> Finding:
    lines = _fields(Path("/proc/meminfo"))
    if "MemAvailable" not in lines:
        return Finding("system", "memory", "warning", "unknown: there is no /proc/meminfo here")
    total, free = (int(lines[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    scarce = free < _LEAST_MEMORY_BYTES
    fix = "end other programs, or give the container more memory" if scarce else ""
    detail = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} GiB free"
    return Finding("system", "memory", "warning" if scarce else "ok", detail, fix)


def _video() -> Iterator[Finding]:
    av, fault = imported("av")
    if av is None:
        yield Finding("video", "PyAV", "missing", fault, "pip install --force-reinstall av", required=True)
    else:
        yield Finding("video", "PyAV", "ok", f"{av.__version__} with FFmpeg {av.ffmpeg_version_info}", required=True)
        yield _nvdec(list(importlib.import_module("av.codec.hwaccel").hwdevices_available()))
    yield _opencv()
    yield _ffmpeg()


def _nvdec(devices: list[str]) -> Finding:
    """Say whether NVDEC decodes: FFmpeg knows it, and the two libraries of the driver it loads at run time are here."""
    if "cuda" not in devices:
        detail, fix = f"this FFmpeg knows only {', '.join(devices) or 'the CPU'}", "pip install --force-reinstall av"
        return Finding("video", "NVDEC", "missing", detail, fix)
    if not loads("libcuda.so.1"):
        detail, fix = (
            "no NVIDIA driver: video is decoded on the CPU",
            "apt-get install -y nvidia-driver (Ubuntu: ubuntu-drivers install); in a container: docker run --gpus all",
        )
        return Finding("video", "NVDEC", "missing", detail, fix)
    if not loads("libnvcuvid.so.1"):
        fix = "docker run --gpus all -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video"
        return Finding("video", "NVDEC", "missing", "the driver is here without its video part (libnvcuvid.so.1)", fix)
    return Finding("video", "NVDEC", "ok", "the NVIDIA driver has its video part")


def _opencv() -> Finding:
    cv2, fault = imported("cv2")
    if cv2 is not None:
        return Finding("video", "OpenCV", "ok", cv2.__version__, required=True)
    packages = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0", "libxcb.so.1": "libxcb1"}
    absent = [package for library, package in packages.items() if not loads(library)]
    linked = "cannot open shared object file" in fault and absent
    fix = f"apt-get install -y {' '.join(absent)}" if linked else "pip install --force-reinstall opencv-python"
    return Finding("video", "OpenCV", "missing", fault, fix, required=True)


def _ffmpeg() -> Finding:
    if found := shutil.which("ffmpeg"):
        return Finding("video", "ffmpeg", "ok", found)
    bundled, _ = imported("imageio_ffmpeg")
    if bundled is not None:
        return Finding("video", "ffmpeg", "ok", f"of the package imageio-ffmpeg {bundled.__version__}")
    detail = "no ffmpeg on PATH; only publishing streams needs it"
    return Finding("video", "ffmpeg", "missing", detail, "apt-get install -y ffmpeg")


def _packages() -> Iterator[Finding]:
    for module, distribution in _REQUIRED_PACKAGES.items():
        found, fault = imported(module)
        version = version_of(distribution) or "unknown version"
        fix = "" if found else f"pip install --force-reinstall {distribution}"
        yield Finding("packages", distribution, "ok" if found else "missing", fault or version, fix, required=True)
    for distribution, purpose in _OPTIONAL_PACKAGES.items():
        if installed := version_of(distribution):
            yield Finding("packages", distribution, "ok", f"{installed}: {purpose}")
            continue
        yield Finding("packages", distribution, "missing", f"not installed: {purpose}", install_command(distribution))


def _models() -> Iterator[Finding]:
    store = Store.from_environment()
    yield _cache(store.cache)
    if store.offline_folder and not store.offline_folder.is_dir():
        detail, fix = f"{store.offline_folder} is no folder", "unset KINESTREAM_MODELS, or make that folder"
        yield Finding("models", "offline folder", "warning", detail, fix)
    for name in _EMBEDDED_MODELS:
        yield _model(store, name)


def _cache(folder: Path) -> Finding:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        fix = "export KINESTREAM_CACHE=/a/folder/that/can/be/written"
        return Finding("models", "cache", "warning", f"{folder} cannot be written: nothing can be fetched", fix)
    used = sum(file.stat().st_size for file in folder.glob("*") if file.is_file())
    return Finding("models", "cache", "ok", f"{folder}, {used / 1e6:.1f} MB")


def _model(store: Store, name: str) -> Finding:
    model = lookup(name)
    copy = next(iter(store.copies(model)), None)
    fault = copy.damage() if copy else "not here"
    if copy and fault is None:
        return Finding("models", name, "ok", f"{copy.place}: {copy.path}", required=True)
    if copy and copy.place == "offline":
        return Finding("models", name, "missing", str(fault), f"replace or remove {copy.path}", required=True)
    if store.offline:
        detail, fix = f"{fault}, and KINESTREAM_OFFLINE forbids fetching it", f"KINESTREAM_OFFLINE=0 {_PULL} {name}"
        return Finding("models", name, "missing", detail, fix, required=True)
    return Finding("models", name, "warning", f"{fault}; fetched when first used", f"{_PULL} {name}", required=True)


def _fields(file: Path) -> dict[str, str]:
    """Read the `name : value` lines of a file in /proc; the first of each name, nothing where there is no such file."""
    found: dict[str, str] = {}
    if file.exists():
        for line in file.read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            found.setdefault(name.strip(), value.strip())
    return found


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


app = typer.Typer(help="Say what this machine has, what is missing, and the command that mends it.")


@app.callback(invoke_without_command=True, epilog="Example: kinestream doctor --json")
def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False) -> None:
    """Look at this machine; exit 0 when the embedded preset can run here, 1 when something it needs is missing."""
    findings = diagnose()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    if any(finding.required and finding.state == "missing" for finding in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    """Print a table in a terminal, and plain lines anywhere else."""
    console = Console()
    if console.is_terminal:
        console.print(_table(findings))
        return
    for finding in findings:
        typer.echo(f"{finding.state:8} {finding.name}: {finding.detail}")
        if finding.fix:
            typer.echo(f"{'':8} -> {finding.fix}")


def _table(findings: list[Finding]) -> Table:
    colours = {"ok": "green", "warning": "yellow", "missing": "red"}
    table = Table("area", "what", "state", Column("found, and how to mend it", overflow="fold"))
    for finding in findings:
        colour = colours[finding.state] if finding.required or finding.state == "ok" else "yellow"
        detail = Text(finding.detail)
        if finding.fix:
            detail.append(f"\n{finding.fix}", style="bold")
        table.add_row(finding.area, finding.name, Text(finding.state, style=colour), detail)
    return table
