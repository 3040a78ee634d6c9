import logging
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import spots
from onnx import TensorProto, helper, save
from pydantic import ValidationError

from pipeline.errors import ConfigError, WeightsError
from pipeline.registry import resolve
from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.poses.onnx import OnnxPose, Options

PLACES = [(60.0, 40.0), (50.0, 62.0), (72.0, 75.0)]
BOX = [34.0, 25.0, 82.0, 91.0]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))


def pose(weights: Path, **options: Any) -> OnnxPose:
    plain = {"mean": (0, 0, 0), "std": (255, 255, 255), "device": "cpu", "precision": "f32", "decoding": "dark"}
    return OnnxPose(Options.model_validate(plain | {"weights": str(weights)} | options))


def points(model: OnnxPose, width: int = 130, places: Any = PLACES, box: Any = BOX) -> Any:
    people = Instances.of([box], [0.5])
    (table,) = model.estimate([spots.frame_of(spots.paint(width, 120, places))], [people])
    return table.keypoints


def write_graph(path: Path, inputs: list[list[Any]], outputs: list[list[Any]], value: float = 0.5) -> Path:
    """Write a network that copies constants of any shapes to its outputs."""
    ports = [helper.make_tensor_value_info(f"in{n}", TensorProto.FLOAT, shape) for n, shape in enumerate(inputs)]
    given = [helper.make_tensor_value_info(f"out{n}", TensorProto.FLOAT, shape) for n, shape in enumerate(outputs)]
    nodes = [
        helper.make_node(
            "ConstantOfShape",
            [f"shape{n}"],
            [f"out{n}"],
            value=helper.make_tensor("v", TensorProto.FLOAT, [1], [value]),
        )
        for n in range(len(outputs))
    ]
    shapes = [
        helper.make_tensor(f"shape{n}", TensorProto.INT64, [len(shape)], shape) for n, shape in enumerate(outputs)
    ]
    graph = helper.make_graph(nodes, "any", ports, given, shapes)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def test_the_registry_knows_it() -> None:
    assert resolve("pose", "onnx") is OnnxPose
    assert OnnxPose.boxes == "needed"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("output", ["heatmap", "simcc"])
@pytest.mark.parametrize("asked", ["auto", "said"])
def test_spots_are_found_whatever_the_network_gives(
    tmp_path: Path, engine: str, output: spots.Output, asked: str
) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx", output)
    with pose(file, engine=engine, output=output if asked == "said" else "auto") as model:
        assert model.skeleton.name == "joints-3"
        assert (model.input.height, model.input.width) == spots.SIZE
        assert np.abs(points(model) - PLACES).max() < 1


def test_a_graph_of_openvino_is_read_too(tmp_path: Path) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx")
    openvino.save_model(openvino.Core().read_model(file), tmp_path / "net.xml", compress_to_fp16=False)
    with pose(tmp_path / "net.xml") as model:
        assert np.abs(points(model) - PLACES).max() < 1


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_file_that_takes_one_picture_at_a_time_is_no_trouble(tmp_path: Path, engine: str) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx", sides=(1, 3, *spots.SIZE))
    with pose(file, engine=engine, max_batch=8) as model:
        people = Instances.of([BOX] * 3, [0.5] * 3)
        (table,) = model.estimate([spots.frame_of(spots.paint(130, 120, PLACES))], [people])
        assert np.abs(table.keypoints - np.array(PLACES)).max() < 1


@pytest.mark.parametrize(
    ("channels", "joint"), [pytest.param("rgb", 0, id="red is first"), pytest.param("bgr", 2, id="red is last")]
)
def test_colours_come_in_the_networks_order(tmp_path: Path, channels: str, joint: int) -> None:
    with pose(spots.write_onnx(tmp_path / "net.onnx"), channels=channels) as model:
        assert np.abs(points(model)[0, joint] - PLACES[0]).max() < 1


@pytest.mark.parametrize("udp", [False, True], ids=["official pixels", "udp"])
@pytest.mark.parametrize("output", ["heatmap", "simcc"])
def test_a_flip_test_of_17_joints_finds_the_same_spot(tmp_path: Path, output: spots.Output, *, udp: bool) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx", output, joints=17, grey=True)
    with pose(file, flip_test=True, udp=udp) as model:
        assert model.skeleton is COCO_17
        found = points(model, places=[(58.0, 60.0)])
        assert np.abs(found - [58.0, 60.0]).max() < 5 / 2  # half a cell of 5 pixels: a mirrored crop is a pixel off


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        pytest.param("net.onnx", {}, (256, 192), id="nothing said"),
        pytest.param("rtmpose_64x48.onnx", {}, (64, 48), id="the name of the file"),
        pytest.param("rtmpose_64x48.onnx", {"image_size": (96, 64)}, (96, 64), id="the option comes first"),
    ],
)
def test_where_the_file_leaves_the_size_open_it_is(
    tmp_path: Path, name: str, options: dict[str, Any], size: tuple[int, int]
) -> None:
    file = spots.write_onnx(tmp_path / name, sides=("n", 3, "h", "w"))
    with pose(file, **options) as model:
        assert (model.input.height, model.input.width) == size
        assert np.abs(points(model) - PLACES).max() < 1.5


def test_what_was_loaded_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pose(spots.write_onnx(tmp_path / "net.onnx"), engine="onnxruntime"):
        assert "net.onnx 64x48 (height x width), joints-3, onnxruntime f32 on cpu" in caplog.text


# Refusals


def refused(kind: type[Exception], said: str, file: Path, **options: Any) -> None:
    with pytest.raises(kind, match=said), pose(file, **options):
        pytest.fail("it opened")


@pytest.mark.parametrize(
    ("outputs", "options", "said"),
    [
        pytest.param([[1, 1000]], {}, r"outputs of shape \(1, 1000\); expected one", id="a classifier"),
        pytest.param([[1, 3, 8, 8]] * 3, {}, r"\(1, 3, 8, 8\), \(1, 3, 8, 8\), \(1, 3, 8, 8\)", id="three maps"),
        pytest.param([[1, 84, 20], [1, 3, 20]], {}, r"\(1, 84, 20\), \(1, 3, 20\)", id="other joints in x than in y"),
        pytest.param([[1, 3, 8, 8]], {"output": "simcc"}, "or two, ", id="no simcc"),
        pytest.param([[1, 3, 96], [1, 3, 128]], {"output": "heatmap"}, r"\(1, 3, 96\); expected", id="no heat maps"),
    ],
)
def test_what_is_no_pose_network_is_refused_with_its_shapes(
    tmp_path: Path, outputs: list[list[int]], options: dict[str, Any], said: str
) -> None:
    file = write_graph(tmp_path / "any.onnx", [[1, 3, *spots.SIZE]], outputs)
    refused(WeightsError, said, file, engine="onnxruntime", max_batch=1, **options)


def test_simcc_for_another_size_of_picture_is_refused(tmp_path: Path) -> None:
    file = write_graph(tmp_path / "any.onnx", [[1, 3, *spots.SIZE]], [[1, 3, 96], [1, 3, 96]])
    refused(WeightsError, "96 columns and 96 rows for a picture of 48 x 64", file, engine="onnxruntime", max_batch=1)


@pytest.mark.parametrize(
    "inputs", [[[1, 3, 8, 8], [1, 2]], [[1, 10]], [[1, 64, 48, 3]]], ids=["two inputs", "no picture", "colours last"]
)
def test_a_network_that_takes_no_pictures_is_refused(tmp_path: Path, inputs: list[list[int]]) -> None:
    refused(ConfigError, "expected", write_graph(tmp_path / "any.onnx", inputs, [[1, 3, 8, 8]]))


def test_a_size_that_the_file_does_not_take_is_refused_with_both(tmp_path: Path) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx")
    refused(ConfigError, r"fixed to pictures of 64 x 48 .* got\s+image_size \[256, 192\]", file, image_size=(256, 192))


def test_another_number_of_joints_is_refused_with_both(tmp_path: Path) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx")
    refused(ConfigError, "finds 3 joints, got joints: 17", file, joints=17)


def test_a_flip_test_without_known_sides_is_refused(tmp_path: Path) -> None:
    file = spots.write_onnx(tmp_path / "net.onnx")
    refused(ConfigError, "flip_test needs to know .* finds 3 joints of no known skeleton", file, flip_test=True)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no graph" * 100)
    refused(WeightsError, "bad.onnx", tmp_path / "bad.onnx")
    refused(WeightsError, "gone.onnx' do not exist", tmp_path / "gone.onnx")


def test_a_network_that_gives_no_numbers_is_refused(tmp_path: Path) -> None:
    file = write_graph(tmp_path / "any.onnx", [[1, 3, *spots.SIZE]], [[1, 3, 16, 12]], float("nan"))
    refused(WeightsError, "gives NaN or infinity for a black picture", file, engine="onnxruntime", max_batch=1)


def test_a_deviation_of_0_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        Options.model_validate({"weights": "a.onnx", "std": (0, 1, 1)})


def test_simcc_has_no_heat_maps_to_show(tmp_path: Path) -> None:
    with (
        pose(spots.write_onnx(tmp_path / "net.onnx", "simcc")) as model,
        pytest.raises(ConfigError, match="gives SimCC vectors, no heat maps"),
    ):
        model.estimate_with_heatmaps([spots.frame_of(spots.paint(130, 120, PLACES))], [Instances.of([BOX], [0.5])])
