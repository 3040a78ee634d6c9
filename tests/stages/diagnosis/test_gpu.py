import ctypes
from types import SimpleNamespace

import pytest

from stages.diagnosis.gpu import Driver, compare


@pytest.mark.parametrize(
    ("cuda", "driver", "state", "words"),
    [
        pytest.param("13.2", None, "ok", "no NVIDIA driver", id="no driver"),
        pytest.param("13.2", Driver((13, 0), ["H200"]), "ok", "CUDA 13.2: H200", id="same major version"),
        pytest.param("12.9", Driver((13, 0), ["A", "B"]), "ok", "A, B", id="newer driver, two GPUs"),
        pytest.param("13.2", Driver((12, 8), ["T4"]), "warning", "driver is for CUDA 12.8", id="older driver"),
        pytest.param(None, Driver((13, 0), ["T4"]), "warning", "built for the CPU", id="torch for the CPU"),
        pytest.param("13.2", Driver((13, 0), []), "warning", "devices: none", id="no device visible"),
    ],
)
def test_torch_is_compared_with_the_driver(cuda: str | None, driver: Driver | None, state: str, words: str) -> None:
    finding = compare("2.15.0", cuda, driver)
    assert finding.state == state
    assert words in finding.detail


@pytest.mark.parametrize(("init", "devices"), [(0, ["GPU 0", "GPU 1"]), (100, [])], ids=["two GPUs", "no GPU"])
def test_the_driver_is_asked_through_its_own_library(
    init: int, devices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = SimpleNamespace(
        cuDriverGetVersion=lambda version: setattr(version._obj, "value", 13020),
        cuInit=lambda _flags: init,
        cuDeviceGetCount=lambda count: setattr(count._obj, "value", 2),
        cuDeviceGet=lambda device, ordinal: setattr(device._obj, "value", ordinal),
        cuDeviceGetName=lambda name, _size, device: setattr(name, "value", f"GPU {device.value}".encode()),
    )
    monkeypatch.setattr(ctypes, "CDLL", {"libcuda.so.1": library}.__getitem__)
    assert Driver.read() == Driver((13, 2), devices)
