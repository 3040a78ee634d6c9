"""`kinestream export` on real files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from pipeline.errors import ConfigError
from stages.engines import EngineOptions, InputFormat, Model, open_engines
from stages.engines.calibration import calibration_pictures
from stages.engines.commands import app
from stages.engines.machine import Machine

main = typer.Typer()
main.add_typer(app, name="export")
main.command("other")(lambda: None)
runner = CliRunner()


def export(*words: Any) -> Any:
    return runner.invoke(main, ["export", *map(str, words)])


def exported(*words: Any) -> dict[str, Any]:
    result = export(*words, "--json")
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A PoseResNet-50 with random weights in an official file."""
    from stages.poses.networks.poseresnet import PoseResNet  # noqa: PLC0415 - only here

    torch.manual_seed(0)
    module = PoseResNet(50)
    for part in module.modules():
        if isinstance(part, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.kaiming_normal_(part.weight, mode="fan_out")
    path = tmp_path / "pose_resnet_50_64x32.pth"
    torch.save(module.state_dict(), path)
    return path


@pytest.fixture
def crops(tmp_path: Path, pictures: NDArray[np.uint8]) -> Path:
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(folder / f"{number}.png"), cv2.resize(picture, (100, 60)))
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_an_onnx_file_becomes_a_graph_where_the_next_run_finds_it(
    write_onnx: Callable[..., Path], own_cache: Path
) -> None:
    facts = exported(write_onnx(), "--format", "openvino")
    assert Path(facts["path"]).parent == own_cache
    assert (facts["height"], facts["width"], facts["precision"]) == (64, 48, "f32")
    assert facts["difference"] <= 1e-4 < facts["peak"]
    assert len(facts["sha256"]) == 64
    files = [Path(facts["path"]), Path(facts["path"]).with_suffix(".bin")]
    assert facts["size_bytes"] == sum(file.stat().st_size for file in files)


def test_what_it_prints_is_the_path_and_what_it_did_to_the_numbers(write_onnx: Callable[..., Path]) -> None:
    lines = export(write_onnx()).stdout.splitlines()
    assert len(lines) == 3
    assert Path(lines[0]).is_file()
    assert "openvino f32, 64x48 (height x width)" in lines[1]
    assert "differs from" in lines[2]


def test_options_may_stand_before_the_weights(write_onnx: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = export("--out", out, write_onnx(), "--json")
    assert result.exit_code == 0
    assert sorted(file.suffix for file in out.iterdir()) == [".bin", ".xml"]


def test_a_file_that_is_there_is_only_written_anew_by_force(write_onnx: Callable[..., Path], tmp_path: Path) -> None:
    words = (write_onnx(), "--out", tmp_path / "out")
    first = exported(*words)
    refused = export(*words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert exported(*words, "--force")["path"] == first["path"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("to", "precision", "bound"), [("onnx", "f32", 1e-4), ("openvino", "f32", 1e-4), ("openvino", "bf16", 0.05)]
)
def test_a_checkpoint_is_exported_and_compared_with_pytorch(
    to: str, precision: str, bound: float, checkpoint: Path
) -> None:
    if precision not in Machine().openvino_precisions:
        pytest.skip(f"this CPU does not compute in {precision}")
    facts = exported(checkpoint, "--format", to, "--precision", precision)
    assert facts["reference"] == "torch f32 on cpu"
    assert (facts["height"], facts["width"]) == (64, 32)
    assert facts["difference"] <= bound * facts["peak"]
    path, weights = Path(facts["path"]), Path(facts["path"]).with_suffix(".bin")
    if to == "onnx":
        weights.write_bytes(b"of a graph in the same folder")
        assert exported(checkpoint, "--format", to)["size_bytes"] == path.stat().st_size
    else:
        assert facts["size_bytes"] == path.stat().st_size + weights.stat().st_size


def test_in_int8_it_is_found_by_the_engine(
    write_onnx: Callable[..., Path], crops: Path, pictures: NDArray[np.uint8]
) -> None:
    weights = write_onnx()
    facts = exported(weights, "--precision", "int8", "--calibrate", crops)
    assert 1e-4 < facts["difference"] <= 0.2 * facts["peak"]
    assert b"FakeQuantize" in Path(facts["path"]).read_bytes()
    options = EngineOptions(engine="openvino", precision="int8")
    (engine,) = open_engines(Model(weights, InputFormat(48, 64)), options, 4)
    together = engine.run(pictures[:3])[0]
    assert np.array_equal(together[1:2], engine.run(pictures[1:2])[0])
    engine.close()


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        pytest.param(["gone.onnx"], 1, "neither a file nor a model of the zoo", id="no such file"),
        pytest.param(["WEIGHTS", "--precision", "f16"], 2, "f32 or bf16 or int8, got f16", id="no such precision"),
        pytest.param(["WEIGHTS", "--precision", "int8"], 2, "--calibrate FOLDER", id="int8 without pictures"),
        pytest.param(
            ["WEIGHTS", "--precision", "int8", "--calibrate", "EMPTY"], 2, "no pictures to calibrate", id="none there"
        ),
        pytest.param(["WEIGHTS", "--image-size", "64"], 2, "expected HEIGHTxWIDTH", id="no size"),
        pytest.param(["WEIGHTS", "--image-size", "32x32"], 2, "takes pictures of 64x48", id="another size"),
        pytest.param(["WEIGHTS", "--format", "onnx"], 2, "is a graph already", id="ONNX to ONNX"),
        pytest.param(["WEIGHTS", "--format", "tensorrt", "--out", "x"], 2, "leave --out out", id="TensorRT elsewhere"),
        pytest.param(["WEIGHTS", "--format", "tflite"], 2, "tflite", id="no such format"),
        pytest.param(["DAMAGED"], 1, "is damaged", id="damaged"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], exit_code: int, said: str, write_onnx: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged.onnx").write_bytes(b"\0" * 100)
    places = {"WEIGHTS": str(write_onnx()), "EMPTY": str(tmp_path / "empty"), "DAMAGED": str(tmp_path / "damaged.onnx")}
    result = export(*(places.get(word, word) for word in words))
    assert result.exit_code == exit_code
    assert said in " ".join(result.stderr.split())


@pytest.mark.skipif(Machine().gpus > 0, reason="there is a GPU")
def test_without_a_gpu_tensorrt_is_refused(write_onnx: Callable[..., Path]) -> None:
    result = export(write_onnx(), "--format", "tensorrt", "--precision", "f16")
    assert result.exit_code == 2
    assert "device 'cuda:0': cuda:0 is not there" in result.stderr


def test_without_nncf_its_extra_is_named(
    write_onnx: Callable[..., Path], crops: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    result = export(write_onnx(), "--precision", "int8", "--calibrate", crops)
    assert result.exit_code == 2
    assert "pip install 'kinestream[int8]'" in result.stderr


@pytest.mark.parametrize("size", [(60, 100), (100, 60), (1, 500), (64, 48)], ids=["wide", "tall", "flat", "as it is"])
def test_calibration_keeps_the_aspect_and_the_middle(size: tuple[int, int], tmp_path: Path) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[height // 2, width // 2 - 1 : width // 2 + 1] = 255
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    (fitted,) = calibration_pictures(tmp_path, InputFormat(48, 64))
    assert fitted.shape == (64, 48, 3)
    assert fitted[26:38, 18:30].max() > 0


def test_of_many_pictures_three_hundred_are_taken(tmp_path: Path) -> None:
    for number in range(310):
        cv2.imwrite(str(tmp_path / f"{number:03}.png"), np.full((4, 3, 3), number % 256, np.uint8))
    taken = calibration_pictures(tmp_path, InputFormat(3, 4))
    assert len(taken) == 300
    assert (taken[0].max(), taken[-1].max()) == (0, 309 % 256)


def test_no_pictures_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pictures to calibrate with"):
        calibration_pictures(tmp_path / "gone", InputFormat(3, 4))
