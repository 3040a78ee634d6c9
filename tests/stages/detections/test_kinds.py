from pathlib import Path

import pytest

from pipeline.errors import WeightsError
from stages.detections.kinds import KindName, arrange, cell_strides, recognise
from stages.engines.signature import Port, Signature

NET = Path("net.onnx")
Shape = tuple[int | None, ...] | None


def ports(**outputs: Shape) -> tuple[Port, ...]:
    return tuple(Port(name, shape) for name, shape in outputs.items())


def kind_of(**outputs: Shape) -> KindName:
    return recognise(Signature(NET, (), ports(**outputs)), 640, 640, NET)


@pytest.mark.parametrize(
    ("outputs", "kind"),
    [
        pytest.param({"output": (1, 8400, 85)}, "yolox", id="YOLOX"),
        pytest.param({"output": (None, 8400, 6)}, "yolox", id="YOLOX of one class"),
        pytest.param({"output": (1, None, 85)}, "yolox", id="YOLOX, boxes free"),
        pytest.param({"output0": (1, 84, 8400)}, "anchor-free", id="YOLOv8"),
        pytest.param({"output0": (1, 5, 8400)}, "anchor-free", id="YOLOv8 of one class"),
        pytest.param({"output0": (None, 84, None)}, "anchor-free", id="YOLOv8, boxes free"),
        pytest.param({"dets": (1, 100, 5), "labels": (1, 100)}, "dets", id="MMDeploy"),
        pytest.param({"dets": (None, None, 5), "labels": (None, None)}, "dets", id="MMDeploy, all free"),
        pytest.param({"dets": None, "labels": None}, "dets", id="MMDeploy, no shapes"),
        pytest.param({"dets": (1, 300, 4), "labels": (1, 300, 91)}, "rf-detr", id="RF-DETR"),
        pytest.param({"dets": (1, 300, 4), "labels": (1, 300, 4)}, "rf-detr", id="RF-DETR of three classes"),
        pytest.param({"logits": (1, 300, 80), "pred_boxes": (1, 300, 4)}, "detr", id="transformers"),
        pytest.param({"pred_logits": (1, 300, 4), "pred_boxes": (1, 300, 4)}, "detr", id="four classes, by name"),
        pytest.param({"a": (1, 300, 80), "b": (1, 300, 4)}, "detr", id="by shapes"),
        pytest.param({"labels": (1, 300), "boxes": (1, 300, 4), "scores": (1, 300)}, "scored", id="RT-DETR"),
        pytest.param({"labels": None, "boxes": None, "scores": None}, "scored", id="RT-DETR, no shapes"),
    ],
)
def test_a_kind_is_known_by_its_outputs(outputs: dict[str, Shape], kind: KindName) -> None:
    assert kind_of(**outputs) == kind


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param({"heatmaps": (1, 17, 64, 48)}, id="a pose network"),
        pytest.param({"output": (1, 1000)}, id="a classifier"),
        pytest.param({"output": None}, id="no shape at all"),
        pytest.param({"output": (1, None, None)}, id="nothing fixed"),
        pytest.param({"output": (1, 8401, 85)}, id="boxes of no cells"),
        pytest.param({"output": (1, 8400, 5)}, id="no class"),
        pytest.param({"output": (1, 300, 6)}, id="finished rows"),
        pytest.param({"a": (1, 8400, 85), "b": (1, 4)}, id="two of nothing known"),
        pytest.param({"labels": (1, 300), "boxes": (1, 300, 5), "scores": (1, 300)}, id="boxes of five values"),
    ],
)
def test_outputs_of_no_kind_are_shown_beside_those_of_all_kinds(outputs: dict[str, Shape]) -> None:
    with pytest.raises(WeightsError, match=r"cannot tell by the outputs of 'net.onnx'.*640x640") as raised:
        kind_of(**outputs)
    assert all(str(port) in str(raised.value) for port in ports(**outputs))


@pytest.mark.parametrize(("boxes", "strides"), [(8400, (8, 16, 32)), (8500, (8, 16, 32, 64)), (8399, None), (0, None)])
def test_boxes_count_the_cells_of_a_picture(boxes: int, strides: tuple[int, ...] | None) -> None:
    assert cell_strides(640, 640, boxes) == strides


@pytest.mark.parametrize(
    ("kind", "outputs", "places"),
    [
        pytest.param("detr", {"logits": (1, 9, 80), "pred_boxes": (1, 9, 4)}, (1, 0), id="by name"),
        pytest.param("detr", {"x": (1, 9, 80), "y": (1, 9, 4)}, (1, 0), id="by shape"),
        pytest.param("detr", {"logits": (1, 9, 4), "y": (1, 9, 4)}, (1, 0), id="one by name, one by shape"),
        pytest.param("dets", {"labels": (1, 9), "masks": (1, 9, 8, 8), "dets": (1, 9, 5)}, (2, 0), id="others between"),
        pytest.param("scored", {"scores": None, "labels": None, "boxes": None}, (2, 1, 0), id="no shapes"),
        pytest.param("yolox", {"whatever": None}, (0,), id="the only one"),
    ],
)
def test_outputs_are_found_wherever_they_stand(
    kind: KindName, outputs: dict[str, Shape], places: tuple[int, ...]
) -> None:
    assert arrange(kind, ports(**outputs), NET) == places


def test_an_output_that_is_missing_is_named_by_what_was_expected() -> None:
    with pytest.raises(
        WeightsError, match=r"has the outputs dets \(\?\), but output: dets means 'dets' \(n, boxes, 5\)"
    ):
        arrange("dets", ports(dets=None), NET)
