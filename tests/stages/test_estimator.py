import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import detection_networks
import numpy as np
import pytest
import torch
from detection_networks import Graph

from pipeline.errors import ConfigError, UnknownPlugin, WeightsError
from pipeline.types import Frame, Instances
from stages.estimator import PoseEstimator
from stages.poses.networks.hrnet import HRNet

if TYPE_CHECKING:
    from numpy.typing import NDArray

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "from-simple-hrnet.md"
JOINTS = 17


def picture(width: int = 128, height: int = 64, *boxes: tuple[int, int, int, int]) -> "NDArray[np.uint8]":
    """Make noise, too dark for the detector, with red rectangles."""
    image = np.random.default_rng(width).integers(0, 100, (height, width, 3), np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = (0, 0, 255)
    return image


WIDE, TALL = picture(128, 64, (20, 16, 60, 48)), picture(64, 128, (8, 40, 32, 100))
NOBODY = picture(50, 40)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Write a pose network that takes every joint for where it is reddest, and a detector that finds what is red."""
    folder = tmp_path_factory.mktemp("weights")
    graph = Graph((64, 48), None)
    red = graph("Slice", "images", [0], [1], [1])
    heat = graph(
        "AveragePool", graph("Add", graph("Mul", red, 58.395 / 255), 123.675 / 255), kernel_shape=[4, 4], strides=[4, 4]
    )
    graph.output(graph("Tile", heat, [1, JOINTS, 1, 1]), "heatmaps", JOINTS, 16, 12)
    pose = graph.save(folder / "vitpose.onnx")
    return str(pose), str(detection_networks.save("yolox", folder / "yolox.onnx"))


@pytest.fixture(scope="module")
def make(files: tuple[str, str]) -> Callable[..., PoseEstimator]:
    def build(**arguments: Any) -> PoseEstimator:
        plain = {"detector": {"kind": "onnx", "weights": files[1], "engine": "onnxruntime"}, "engine": "onnxruntime"}
        return PoseEstimator(files[0], **plain | {"device": "cpu"} | arguments)

    return build


@pytest.fixture(scope="module")
def estimator(make: Callable[..., PoseEstimator]) -> Iterator[PoseEstimator]:
    with make() as opened:
        yield opened


def same(one: Instances, other: Instances) -> None:
    np.testing.assert_allclose(one.xyxy, other.xyxy)
    assert one.keypoints is not None
    assert other.keypoints is not None
    np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


# What it gives


def test_of_one_picture_it_gives_one_table_with_boxes_and_joints(estimator: PoseEstimator) -> None:
    people = estimator.predict(WIDE)
    np.testing.assert_allclose(people.xyxy, [[20, 16, 60, 48], [60, 16, 100, 48]], atol=0.01)
    assert people.keypoints.shape == (2, JOINTS, 2)
    assert people.keypoint_score.shape == (2, JOINTS)
    assert people.skeleton.name == "coco-17"


def test_joints_lie_in_the_picture_where_the_network_sees_them(estimator: PoseEstimator) -> None:
    people = estimator.predict(TALL)
    assert (people.keypoints[0] >= [8, 40]).all()
    assert (people.keypoints[0] <= [32, 100]).all()
    np.testing.assert_allclose(people.keypoint_score[0], 1, atol=0.01)


@pytest.mark.slow
@pytest.mark.timeout(300)  # PyTorch waits long for cores that others use
def test_a_checkpoint_of_hrnet_is_run_as_any_other_network(files: tuple[str, str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(HRNet(32, 16).state_dict(), tmp_path / "hrnet_64x64.pth")
    with PoseEstimator(
        str(tmp_path / "hrnet_64x64.pth"), files[1], flip_test=True, device="cpu", engine="torch"
    ) as estimator:
        people, nobody = estimator.predict([TALL, NOBODY])
    assert people.keypoints.shape == (2, 16, 2)
    assert people.skeleton.name == "mpii-16"
    assert nobody.keypoints.shape == (0, 16, 2)


def test_where_nobody_is_it_gives_no_rows_of_all_joints(estimator: PoseEstimator) -> None:
    people = estimator.predict(NOBODY)
    assert people.keypoints.shape == (0, JOINTS, 2)


def test_a_sequence_of_pictures_of_different_sizes_gives_what_each_gives_alone(estimator: PoseEstimator) -> None:
    together = estimator.predict([WIDE, NOBODY, TALL])
    assert [len(table) for table in together] == [2, 0, 2]
    for table, image in zip(together, (WIDE, NOBODY, TALL), strict=True):
        same(table, estimator.predict(image))


def test_a_stack_is_as_many_pictures_more_than_go_through_at_once(estimator: PoseEstimator) -> None:
    stack = np.stack([WIDE] * 11)
    tables = estimator.predict(stack)
    assert len(tables) == 11
    same(tables[0], tables[10])


@pytest.mark.parametrize("images", [[], (), np.empty((0, 4, 4, 3), np.uint8)], ids=["list", "tuple", "stack"])
def test_of_no_pictures_it_gives_nothing(images: Any, estimator: PoseEstimator) -> None:
    assert estimator.predict(images) == []


def test_a_picture_that_is_a_view_of_another_is_taken_as_it_looks(estimator: PoseEstimator) -> None:
    rgb = WIDE[..., ::-1].copy()
    same(estimator.predict(rgb[..., ::-1]), estimator.predict(WIDE))
    padded = np.zeros((70, 140, 3), np.uint8)
    padded[3:67, 5:133] = WIDE
    same(estimator.predict(padded[3:67, 5:133]), estimator.predict(WIDE))


def test_given_boxes_are_looked_at_in_their_order_and_nobody_else(estimator: PoseEstimator) -> None:
    boxes = [[5, 5, 30, 60], [0, 0, 0, 0], [20, 16, 60, 48]]
    people = estimator.predict(WIDE, boxes=boxes)
    np.testing.assert_array_equal(people.xyxy, boxes)
    np.testing.assert_array_equal(people.score, 1)
    np.testing.assert_allclose(people.keypoints[2], estimator.predict(WIDE).keypoints[0], atol=1e-3)


def test_boxes_of_several_pictures_are_one_array_each(estimator: PoseEstimator) -> None:
    first, second = estimator.predict([WIDE, TALL], boxes=[[], [[8, 40, 32, 100]]])
    assert len(first) == 0
    np.testing.assert_array_equal(second.xyxy, [[8, 40, 32, 100]])


def test_a_single_person_is_the_whole_picture_and_needs_no_detector(make: Callable[..., PoseEstimator]) -> None:
    with make(single_person=True, detector="nothing/like/that.pt") as single:
        wide, tall = single.predict([WIDE, TALL])
    np.testing.assert_array_equal(wide.xyxy, [[0, 0, 128, 64]])
    np.testing.assert_array_equal(tall.xyxy, [[0, 0, 64, 128]])
    np.testing.assert_array_equal(wide.score, 1)


def test_heat_maps_come_with_the_people_they_are_of(make: Callable[..., PoseEstimator]) -> None:
    with make(return_heatmaps=True) as with_maps:
        people, maps = with_maps.predict(WIDE)
        nobody, none = with_maps.predict(NOBODY)
        pairs = with_maps.predict([WIDE, TALL])
    assert maps.shape == (2, JOINTS, 16, 12)
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps.max(axis=(2, 3)), people.keypoint_score, atol=1e-5)
    assert len(nobody) == 0
    assert none.shape[:2] == (0, JOINTS)
    assert [maps.shape[0] for _, maps in pairs] == [2, 2]


def test_max_batch_size_changes_nothing_but_the_work_at_once(make: Callable[..., PoseEstimator]) -> None:
    boxes = [[[10 * n, 0, 10 * n + 30, 60] for n in range(7)]]
    with make(max_batch_size=2) as two, make() as many:
        same(two.predict([WIDE], boxes=boxes)[0], many.predict([WIDE], boxes=boxes)[0])


def test_the_examples_of_the_guide_run(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("street.jpg", WIDE)
    names: dict[str, Any] = {}
    blocks = re.findall(r"(?s)```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"))
    for block in blocks:
        here = block.replace("pose_hrnet_w48_384x288.pth", files[0]).replace("yolo11n.pt", files[1])
        exec(here, names)  # noqa: S102 - of our own guide
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert names["pts"].shape == (2, JOINTS, 3)
    np.testing.assert_array_equal(names["pts"][0, 0, :2], names["people"].keypoints[0, 0, ::-1])


# Its lifetime


class Counting:
    """A detector that writes down what happens to it, and finds one person in every picture."""

    max_batch = 2

    def __init__(self) -> None:
        self.log: list[Any] = []

    def open(self) -> None:
        self.log.append("open")

    def close(self) -> None:
        self.log.append("close")

    def detect(self, frames: Any) -> list[Instances]:
        assert all(isinstance(frame, Frame) for frame in frames)
        self.log.append(len(frames))
        return [Instances.of([[1, 2, 30, 40]], [0.5]) for _ in frames]


def test_it_opens_when_it_is_first_needed_once_and_again_after_it_was_closed(
    make: Callable[..., PoseEstimator],
) -> None:
    detector = Counting()
    lazy = make(detector=detector)
    assert detector.log == []
    assert len(lazy.predict([WIDE] * 3)) == 3
    lazy.predict(WIDE)
    lazy.close()
    lazy.close()
    with lazy:
        lazy.predict(WIDE)
    assert detector.log == ["open", 2, 1, 1, "close", "open", 1, "close"]


def test_wrong_arguments_of_predict_load_nothing(make: Callable[..., PoseEstimator]) -> None:
    detector = Counting()
    lazy = make(detector=detector)
    with pytest.raises(TypeError, match="the picture must be a numpy array"):
        lazy.predict(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"images\[1\] must be uint8, 0..255, got float64"):
        lazy.predict([WIDE, WIDE / 255])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="boxes must be one array for each of the 2 pictures, got 1"):
        lazy.predict([WIDE, WIDE], boxes=[[1, 2, 3, 4]])
    with pytest.raises(ValueError, match="boxes must be finite"):
        lazy.predict(WIDE, boxes=[[1, 2, 3, np.nan]])
    assert detector.log == []


def test_what_was_opened_is_closed_when_the_detector_fails_to(make: Callable[..., PoseEstimator]) -> None:
    class Stuck(Counting):
        def open(self) -> None:
            super().open()
            msg = "stuck"
            raise RuntimeError(msg)

    detector = Stuck()
    lazy = make(detector=detector)
    with pytest.raises(RuntimeError, match="stuck"):
        lazy.predict(WIDE)
    assert detector.log == ["open", "close"]
    assert lazy._pose._engines == []


def test_another_number_of_joints_than_the_weights_find_is_refused(make: Callable[..., PoseEstimator]) -> None:
    with pytest.raises(ConfigError, match="joints: 16"):
        make(joints=16).predict(WIDE)


# Its arguments


@pytest.mark.parametrize("detector", [None, "none"])
def test_without_a_detector_it_asks_for_boxes(detector: str | None, make: Callable[..., PoseEstimator]) -> None:
    bare = make(detector=detector)
    with pytest.raises(ConfigError, match=r"there is no detector, so predict needs boxes: .*single_person=True"):
        bare.predict(WIDE)
    with bare:
        assert len(bare.predict(WIDE, boxes=[[1, 2, 30, 40]])) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        pytest.param({"decoding": "soft"}, ConfigError, r"PoseEstimator\.decoding", id="decoding"),
        pytest.param({"max_batch_size": 0}, ConfigError, r"PoseEstimator\.max_batch: .*got 0", id="batch"),
        pytest.param({"device": "gpu"}, ConfigError, r"PoseEstimator\.device", id="device"),
        pytest.param({"kind": "hrnett"}, UnknownPlugin, "Did you mean 'hrnet'", id="kind"),
        pytest.param(
            {"kind": "ultralytics"}, ConfigError, "'ultralytics', which finds people by itself", id="one-stage"
        ),
        pytest.param({"detector": "blazepos"}, UnknownPlugin, "Did you mean 'blazepose'", id="detector"),
        pytest.param(
            {"detector": {"kind": "onnx", "weights": "a.onnx", "confidence": 7}},
            ConfigError,
            r"PoseEstimator\.detector\.confidence: .*got 7",
            id="option of the detector",
        ),
        pytest.param({"detector": {"weights": "a.onnx"}}, UnknownPlugin, "Known: blazepose, onnx", id="no kind"),
    ],
)
def test_a_wrong_argument_is_refused_at_once(
    arguments: dict[str, Any], error: type[Exception], message: str, make: Callable[..., PoseEstimator]
) -> None:
    with pytest.raises(error, match=message):
        make(**arguments)


def test_weights_of_a_one_stage_network_are_refused_with_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"'yolo11n-pose.pt' is taken for the plug-in 'ultralytics'"):
        PoseEstimator("yolo11n-pose.pt")


def test_weights_that_are_not_there_are_missed_when_it_opens(tmp_path: Path) -> None:
    absent = PoseEstimator(str(tmp_path / "hrnet.pth"), None, device="cpu")
    with pytest.raises(WeightsError, match="do not exist"):
        absent.open()


def test_the_device_is_that_of_the_detector_too_unless_it_has_one_of_its_own(files: tuple[str, str]) -> None:
    one = PoseEstimator(files[0], files[1], device="cpu")
    own = PoseEstimator(files[0], {"kind": "onnx", "weights": files[1], "device": "cuda:1"}, device="cpu")
    none = PoseEstimator(files[0], "blazepose", device="cpu")
    assert [made._detector.options.device for made in (one, own)] == ["cpu", "cuda:1"]  # type: ignore[union-attr]
    assert not hasattr(none._detector.options, "device")  # type: ignore[union-attr]


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = ("torch", "cv2", "openvino", "onnxruntime", "onnx", "ultralytics")
    code = f"import sys, stages.estimator; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
