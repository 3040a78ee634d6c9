import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from stages import doctor
from stages.diagnosis.finding import Finding
from stages.doctor import app, diagnose

main = typer.Typer()
main.add_typer(app, name="doctor")
runner = CliRunner()


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("KINESTREAM_MODELS", "KINESTREAM_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


def found(name: str) -> Finding:
    (finding,) = [finding for finding in diagnose() if finding.name == name]
    return finding


def test_whatever_is_not_well_has_a_way_to_mend_it() -> None:
    findings = diagnose()
    assert {finding.area for finding in findings} == {"system", "video", "gpu", "engines", "packages", "models"}
    assert [finding for finding in findings if finding.state != "ok" and not finding.fix] == []
    assert [finding for finding in findings if finding.state == "ok" and finding.fix] == []


def test_looking_changes_nothing(own_cache: Path) -> None:
    diagnose()
    assert not own_cache.parent.exists()


def test_models_that_can_still_be_fetched_are_no_failure() -> None:
    result = runner.invoke(main, ["doctor"])
    assert result.exit_code == 0
    assert "warning  blazepose-detector: not here" in result.stdout
    assert "kinestream models pull blazepose-detector" in result.stdout


def test_models_that_may_not_be_fetched_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_OFFLINE", "1")
    result = runner.invoke(main, ["doctor", "--json"])
    assert result.exit_code == 1
    broken = [row["name"] for row in json.loads(result.stdout) if row["required"] and row["state"] == "missing"]
    assert broken == ["blazepose-detector", "blazepose-landmark-full"]


def test_a_damaged_file_in_the_offline_folder_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_MODELS", str(tmp_path))
    (tmp_path / "pose_detection.tflite").write_bytes(b"half")
    finding = found("blazepose-detector")
    assert finding.state == "missing"
    assert "is damaged" in finding.detail
    assert str(tmp_path / "pose_detection.tflite") in finding.fix


def test_an_offline_folder_that_does_not_exist_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_MODELS", str(tmp_path / "usb"))
    assert found("offline folder").state == "warning"


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "file"))
    assert found("cache").state == "warning"
    assert "KINESTREAM_CACHE" in found("cache").fix


@pytest.mark.parametrize(
    ("module", "name", "fix"),
    [
        pytest.param("av", "PyAV", "pip install --force-reinstall av", id="PyAV"),
        pytest.param("cv2", "OpenCV", "pip install --force-reinstall opencv-python", id="OpenCV"),
        pytest.param(
            "ai_edge_litert.interpreter", "ai-edge-litert", "pip install --force-reinstall ai-edge-litert", id="LiteRT"
        ),
    ],
)
def test_a_required_package_that_does_not_import_is_a_failure(
    module: str, name: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert found(name).fix == fix
    assert runner.invoke(main, ["doctor"]).exit_code == 1


def test_opencv_without_its_system_libraries_gets_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def broken(name: str, package: str | None = None) -> ModuleType:
        if name == "cv2":
            msg = "libGL.so.1: cannot open shared object file: No such file or directory"
            raise ImportError(msg)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", broken)
    monkeypatch.setattr(doctor, "loads", lambda library: library not in {"libGL.so.1", "libglib-2.0.so.0"})
    assert found("OpenCV").fix == "apt-get install -y libgl1 libglib2.0-0"


@pytest.mark.parametrize(
    ("distribution", "fix"),
    [
        ("ultralytics", "pip install 'kinestream[ultralytics]'"),
        ("pyarrow", "pip install 'kinestream[parquet]'"),
        ("tensorrt", "pip install tensorrt"),
        ("onnx", "pip install 'kinestream[onnx]'"),
        ("nncf", "pip install 'kinestream[int8]'"),
        ("gdown", "pip install 'kinestream[drive]'"),
        ("faster-coco-eval", "pip install 'kinestream[evaluate]'"),
        ("torch", "pip install 'kinestream[torch]'"),
    ],
)
def test_an_optional_package_that_is_absent_is_no_failure(
    distribution: str, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == distribution:
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert (found(distribution).state, found(distribution).fix) == ("missing", fix)
    assert not found(distribution).required


def test_ffmpeg_is_looked_for_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert found("ffmpeg").fix == "apt-get install -y ffmpeg"
    (tmp_path / "ffmpeg").touch(0o755)
    assert found("ffmpeg").detail == str(tmp_path / "ffmpeg")


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        pytest.param({"flags": "fpu sse4_2", "model name": "Old"}, "warning", id="a CPU without AVX2"),
        pytest.param({"flags": "avx2 avx512f amx_bf16", "model name": "New"}, "ok", id="a CPU with AMX"),
        pytest.param({}, "ok", id="no /proc: nothing is claimed"),
    ],
)
def test_the_processor_is_judged_by_its_vector_features(
    flags: dict[str, str], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_fields", lambda _file: flags)
    assert found("cpu").state == state


def test_scarce_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_fields", lambda _file: {"MemTotal": "4194304 kB", "MemAvailable": "1048576 kB"})
    assert found("memory").state == "warning"
    assert found("memory").detail == "1.0 GiB of 4.0 GiB free"


@pytest.mark.parametrize(
    ("devices", "libraries", "state", "words"),
    [
        pytest.param([], [], "missing", "knows only the CPU", id="FFmpeg without CUDA"),
        pytest.param(["cuda"], [], "missing", "no NVIDIA driver", id="no driver"),
        pytest.param(["cuda"], ["libcuda.so.1"], "missing", "libnvcuvid.so.1", id="container without video"),
        pytest.param(["cuda"], ["libcuda.so.1", "libnvcuvid.so.1"], "ok", "video part", id="all of it"),
    ],
)
def test_nvdec_needs_ffmpeg_and_both_libraries_of_the_driver(
    devices: list[str], libraries: list[str], state: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "loads", libraries.__contains__)
    finding = doctor._nvdec(devices)
    assert finding.state == state
    assert words in finding.detail


def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "how to mend it" in runner.invoke(main, ["doctor"]).stdout


def test_wrong_usage_exits_with_2() -> None:
    assert runner.invoke(main, ["doctor", "--loud"]).exit_code == 2
