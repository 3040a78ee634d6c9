from collections.abc import Callable
from pathlib import Path

import fakes
import numpy as np
import pytest

from pipeline.errors import WeightsError
from pipeline.registry import resolve
from pipeline.skeletons import COCO_17
from pipeline.types import Frame
from stages.poses.ultralytics import Options, UltralyticsPose
from stages.yolo.predictor import quiet_ultralytics

Clip = Callable[[Path, int], list[Frame]]
POSE, DETECTOR = "models/yolov8n-pose_int8_openvino_model", "models/yolo11n_int8_openvino_model"


def test_the_registry_knows_it() -> None:
    assert resolve("pose", "ultralytics") is UltralyticsPose
    assert UltralyticsPose.boxes == "unused"


def test_before_open_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"UltralyticsPose is not open: call open\(\) first"):
        UltralyticsPose(Options(weights="a.pt")).estimate([fakes.make_frame()], [None])


def test_it_may_be_closed_twice_and_before_it_was_open() -> None:
    model = UltralyticsPose(Options(weights="a.pt", batch=3))
    model.close()
    model.close()
    assert model.max_batch == 3


@pytest.mark.shared
def test_a_detector_is_no_pose_model(shared: Path) -> None:
    with (
        pytest.raises(WeightsError, match="made for the task 'detect', expected 'pose'"),
        UltralyticsPose(Options(weights=str(shared / DETECTOR))),
    ):
        pass


@pytest.mark.shared
@pytest.mark.slow
def test_people_and_joints_of_a_clip_are_those_of_ultralytics(shared: Path, clip: Clip) -> None:
    wide, small = clip(shared / "video/people.mp4", 12), clip(shared / "video/one-by-one.mp4", 4)
    frames = [*wide[:6], *small, *wide[6:]]
    with UltralyticsPose(Options(weights=str(shared / POSE), confidence=0.1)) as model:
        found = model.estimate(frames, [None] * len(frames))
    reference = quiet_ultralytics().YOLO(shared / POSE, task="pose")
    for people, frame in zip(found, frames, strict=True):
        (result,) = reference.predict(frame.image, conf=0.1, classes=[0], verbose=False)
        assert people.skeleton is COCO_17
        assert people.keypoints is not None
        assert people.keypoint_score is not None
        np.testing.assert_allclose(people.xyxy, result.boxes.xyxy, atol=0.1)
        np.testing.assert_allclose(people.score, result.boxes.conf, atol=1e-4)
        np.testing.assert_allclose(people.keypoints, result.keypoints.xy, atol=0.1)
        np.testing.assert_allclose(people.keypoint_score, result.keypoints.conf, atol=1e-4)
    assert sum(map(len, found)) > 5 * len(wide)
