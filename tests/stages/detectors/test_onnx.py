import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import detection_networks
import fakes
import numpy as np
import onnx
import openvino
import pytest
from detection_networks import SCORE

from pipeline.errors import ConfigError, WeightsError
from pipeline.registry import resolve, shorthand
from pipeline.types import Frame, HostPixels
from stages.detectors.onnx import OnnxDetector, Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

RED = (0, 0, 255)
ENGINES = ("onnxruntime", "openvino")
WITHOUT_SUPPRESSION = ("dets", "detr", "rf-detr", "four classes", "scored")


def make_frame(width: int, height: int, *boxes: tuple[int, int, int, int], colour: Any = RED) -> Frame:
    """Make a black frame with bright rectangles."""
    image: NDArray[np.uint8] = np.zeros((height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = colour
    return replace(fakes.make_frame(), pixels=HostPixels(image))


WIDE, TALL = make_frame(128, 64, (20, 16, 60, 48)), make_frame(64, 128, (8, 40, 32, 100))
WIDE_BOXES, TALL_BOXES = [[20, 16, 60, 48], [60, 16, 100, 48]], [[8, 40, 32, 100], [32, 40, 56, 100]]


@pytest.fixture
def network(tmp_path: Path) -> Callable[..., Path]:
    def make(family: str, name: str = "net.onnx", **settings: Any) -> Path:
        return detection_networks.save(family, tmp_path / name, **settings)

    return make


def options(path: Path, **more: Any) -> Options:
    return Options.model_validate({"weights": str(path), "device": "cpu", "engine": "onnxruntime", **more})


def test_the_registry_knows_it() -> None:
    assert resolve("detector", "onnx") is OnnxDetector
    assert shorthand("detector", "models/yolox_s.onnx")["kind"] == "onnx"


def test_before_open_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"OnnxDetector is not open: call open\(\) first"):
        OnnxDetector(Options(weights="a.onnx")).detect([WIDE])


# What it finds


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("family", detection_networks.FAMILIES)
def test_boxes_lie_where_the_people_are_in_wide_and_tall_frames(
    family: str, engine: str, network: Callable[..., Path]
) -> None:
    more = {"classes": [0]} if family == "four classes" else {}
    with OnnxDetector(options(network(family), engine=engine, **more)) as detector:
        wide, tall = detector.detect([WIDE, TALL])
    np.testing.assert_allclose(wide.xyxy, WIDE_BOXES, atol=0.01)
    np.testing.assert_allclose(tall.xyxy, TALL_BOXES, atol=0.01)
    for table in (wide, tall):
        np.testing.assert_allclose(table.score, [SCORE, SCORE / 2], atol=1e-4)
        assert table.class_id.tolist() == [0, 0]
        assert table.track_id is None


@pytest.mark.parametrize("family", detection_networks.FAMILIES)
def test_nothing_is_found_where_nothing_is(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family))) as detector:
        assert [len(table) for table in detector.detect([make_frame(33, 200), make_frame(1, 1)])] == [0, 0]


@pytest.mark.parametrize("family", detection_networks.FAMILIES)
def test_a_file_for_two_pictures_at_once_takes_three_frames(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family, batch=2))) as detector:
        wide, tall, again = detector.detect([WIDE, TALL, WIDE])
    np.testing.assert_allclose(wide.xyxy, WIDE_BOXES, atol=0.01)
    np.testing.assert_allclose(tall.xyxy, TALL_BOXES, atol=0.01)
    np.testing.assert_array_equal(again.xyxy, wide.xyxy)


@pytest.mark.parametrize("family", ["yolox", "detr", "anchor-free"])
def test_a_picture_need_not_be_square(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family, size=(64, 128)))) as detector:
        wide, tall = detector.detect([WIDE, make_frame(64, 64, (8, 16, 32, 40))])
    np.testing.assert_allclose(wide.xyxy, WIDE_BOXES, atol=0.01)
    np.testing.assert_allclose(tall.xyxy[0], [8, 16, 32, 40], atol=0.5)


def test_a_box_never_leaves_its_frame(network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network("dets"))) as detector:
        (table,) = detector.detect([make_frame(100, 50, (70, 0, 100, 50))])
    assert table.xyxy[:, 2:].max(axis=0).tolist() == [100, 50]
    assert table.xyxy.min() >= 0
    assert table.xyxy[1, 0] == table.xyxy[1, 2] == 100


def test_a_frame_that_grows_is_found_to_the_pixel_or_so(network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network("detr"))) as detector:
        (table,) = detector.detect([make_frame(16, 24, (4, 6, 12, 18))])
    np.testing.assert_allclose(table.xyxy[0], [4, 6, 12, 18], atol=0.5)


def test_an_openvino_graph_gives_the_same(network: Callable[..., Path], tmp_path: Path) -> None:
    openvino.save_model(openvino.convert_model(network("yolox")), tmp_path / "net.xml", compress_to_fp16=False)
    with OnnxDetector(options(tmp_path / "net.xml", engine="openvino")) as detector:
        (wide,) = detector.detect([WIDE])
    np.testing.assert_allclose(wide.xyxy, WIDE_BOXES, atol=0.01)


def test_a_network_of_mmdeploy_named_after_yolox_wants_its_picture_unchanged(tmp_path: Path) -> None:
    graph = detection_networks.Graph((64, 64), None)
    detection_networks.write_dets(graph, ((0, 0, 0), (1, 1, 1)))
    with OnnxDetector(options(graph.save(tmp_path / "YOLOX_m_humanart.onnx"))) as detector:
        (wide,) = detector.detect([WIDE])
    np.testing.assert_allclose(wide.score, [SCORE, SCORE / 2], atol=1e-4)


# Options


@pytest.mark.parametrize("family", ["yolox", "dets", "detr", "scored", "anchor-free"])
def test_classes_are_those_of_the_network(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family), classes=[0, 2])) as detector:
        (both,) = detector.detect([WIDE])
    with OnnxDetector(options(network(family), classes=[2])) as detector:
        (other,) = detector.detect([WIDE])
    assert both.class_id.tolist() == [0, 2, 0]
    np.testing.assert_allclose(both.score, [SCORE, SCORE * 0.9, SCORE / 2], atol=1e-4)
    assert other.class_id.tolist() == [2]
    np.testing.assert_allclose(other.xyxy, WIDE_BOXES[:1], atol=0.01)


def test_a_network_with_the_ids_of_coco_finds_people_as_its_class_1(network: Callable[..., Path]) -> None:
    path = network("rf-detr")
    with OnnxDetector(options(path)) as detector, OnnxDetector(options(path, classes=[1, 2])) as by_number:
        (people,), (numbered,) = detector.detect([WIDE]), by_number.detect([WIDE])
    assert people.class_id.tolist() == [0, 0]
    assert numbered.class_id.tolist() == [1, 2, 1]


@pytest.mark.parametrize("family", ["yolox", "detr", "anchor-free"])
def test_a_class_that_is_not_there_is_refused(family: str, network: Callable[..., Path]) -> None:
    with (
        OnnxDetector(options(network(family), classes=[0, 80])) as detector,
        pytest.raises(WeightsError, match=r"has the classes 0 to \d+, got classes \[0, 80\]"),
    ):
        detector.detect([WIDE])


@pytest.mark.parametrize("family", detection_networks.FAMILIES)
def test_what_scores_no_more_than_confidence_is_left_out(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family), confidence=0.5, classes=_people(family))) as detector:
        (table,) = detector.detect([WIDE])
    assert len(table) == 1


@pytest.mark.parametrize("family", detection_networks.FAMILIES)
def test_at_most_max_people_are_found_the_best_ones(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family), max_people=1, classes=_people(family))) as detector:
        (table,) = detector.detect([WIDE])
    np.testing.assert_allclose(table.score, [SCORE], atol=1e-4)


def _people(family: str) -> list[int]:
    return [1] if family == "rf-detr" else [0]


@pytest.mark.parametrize("family", ["yolox", "decoded yolox", "anchor-free"])
def test_of_boxes_that_overlap_no_more_than_iou_all_are_kept(family: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network(family), iou=1.0)) as detector:
        (table,) = detector.detect([WIDE])
    np.testing.assert_allclose(table.score, [SCORE] * 3 + [SCORE / 2], atol=1e-4)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param({}, 2, id="as its kind"),
        pytest.param({"channels": "rgb"}, 0, id="other channels"),
        pytest.param({"mean": [255, 255, 255]}, 0, id="another mean"),
        pytest.param({"std": [2, 2, 2]}, 0, id="another deviation"),
    ],
)
def test_the_picture_can_be_set_by_hand(more: dict[str, Any], found: int, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network("yolox"), **more)) as detector:
        assert len(detector.detect([WIDE])[0]) == found


@pytest.mark.parametrize("fit", ["corner", "centre", "stretch"])
def test_however_a_frame_is_laid_into_the_picture_boxes_come_back(fit: str, network: Callable[..., Path]) -> None:
    with OnnxDetector(options(network("yolox"), fit=fit)) as detector:
        wide, tall = detector.detect([WIDE, TALL])
    np.testing.assert_allclose(wide.xyxy, WIDE_BOXES, atol=0.01)
    np.testing.assert_allclose(tall.xyxy, TALL_BOXES, atol=0.01)


def test_boxes_are_not_rounded_to_bf16_unless_the_user_says_so(
    network: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = network("yolox")
    with caplog.at_level(logging.INFO), OnnxDetector(options(path, engine="openvino")):
        assert "net.onnx, read as 'yolox', 64x64 (height x width), openvino f32 on cpu" in caplog.text


# What is refused


def test_a_size_that_the_file_is_not_fixed_to_is_refused(network: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match=r"fixed to pictures of \[64, 64\] .*got image_size \[64, 32\]"):
        OnnxDetector(options(network("yolox"), image_size=[64, 32])).open()


@pytest.mark.parametrize(
    ("family", "output", "message"),
    [
        pytest.param("yolox", "dets", r"outputs output \(\?, 84, 8\), but output: dets means 'dets'", id="at open"),
        pytest.param("scored", "detr", "but output: detr means 'pred_boxes'", id="no logits"),
    ],
)
def test_outputs_that_are_not_of_the_stated_kind_are_refused(
    family: str, output: str, message: str, network: Callable[..., Path]
) -> None:
    with pytest.raises(WeightsError, match=message):
        OnnxDetector(options(network(family), output=output)).open()


def test_outputs_of_other_shapes_than_the_stated_kind_are_refused_when_they_come(network: Callable[..., Path]) -> None:
    message = r"pictures of 64x64 the network gives \(1, 7, 84\), but output: yolox means \(n, boxes, 5 \+ classes\)"
    detector = OnnxDetector(options(network("anchor-free"), output="yolox"))
    with detector, pytest.raises(WeightsError, match=message):
        detector.detect([WIDE])


def test_outputs_of_no_known_kind_are_refused_with_all_that_are_known(tmp_path: Path) -> None:
    graph = detection_networks.Graph((64, 64), None)
    graph.output("images", "heatmaps", 3, 64, 64)
    with pytest.raises(WeightsError, match=r"cannot tell by the outputs .*64x64: heatmaps \(\?, 3, 64, 64\)") as raised:
        OnnxDetector(options(graph.save(tmp_path / "net.onnx"))).open()
    assert all(f"\n  {kind}: " in str(raised.value) for kind in ("yolox", "dets", "detr", "rf-detr", "scored"))


def test_a_further_input_that_nobody_knows_is_refused(network: Callable[..., Path]) -> None:
    path = network("scored")
    model = onnx.load(path)
    for part in (*model.graph.input, *model.graph.node):
        if isinstance(part, onnx.NodeProto):
            part.input[:] = [name.replace("orig_target_sizes", "scale_factor") for name in part.input]
        else:
            part.name = part.name.replace("orig_target_sizes", "scale_factor")
    onnx.save(model, path)
    with pytest.raises(WeightsError, match=r"inputs images .*, scale_factor \(\?, 2\); expected one, .*'orig_target_"):
        OnnxDetector(options(path)).open()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("net.onnx", b"no network", "damaged, or no ONNX file", id="text"),
        pytest.param("net.onnx", b"", "damaged, or no ONNX file", id="empty"),
        pytest.param("net.xml", b"<net/>", "cannot be read by OpenVINO", id="xml"),
        pytest.param("net.pt", b"", "neither an ONNX file .* nor an OpenVINO graph", id="another format"),
    ],
)
def test_a_file_that_is_no_network_is_refused(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    detector = OnnxDetector(options(tmp_path / name))
    with pytest.raises(WeightsError, match=message):
        detector.open()
    detector.close()


def test_it_can_be_opened_again_after_it_was_closed(network: Callable[..., Path]) -> None:
    detector = OnnxDetector(options(network("scored")))
    for _ in range(2):
        with detector:
            assert len(detector.detect([WIDE])[0]) == 2
