from collections.abc import Callable
from pathlib import Path

import fakes
import numpy as np
import pytest

from pipeline.errors import WeightsError
from pipeline.registry import resolve
from pipeline.types import Frame
from stages.detectors.ultralytics import Options, UltralyticsDetector
from stages.yolo.predictor import quiet_ultralytics

Clip = Callable[[Path, int], list[Frame]]
POSE, DETECTOR = "models/yolov8n-pose_int8_openvino_model", "models/yolo11n_int8_openvino_model"


def test_the_registry_knows_it() -> None:
    assert resolve("detector", "ultralytics") is UltralyticsDetector


def test_before_open_it_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"UltralyticsDetector is not open: call open\(\) first"):
        UltralyticsDetector(Options(weights="a.pt")).detect([fakes.make_frame()])


def test_it_may_be_closed_twice_and_before_it_was_open() -> None:
    model = UltralyticsDetector(Options(weights="a.pt", batch=3))
    model.close()
    model.close()
    assert model.max_batch == 3


@pytest.mark.shared
def test_a_pose_model_is_no_detector(shared: Path) -> None:
    with (
        pytest.raises(WeightsError, match="made for the task 'pose', expected 'detect'"),
        UltralyticsDetector(Options(weights=str(shared / POSE))),
    ):
        pass


@pytest.mark.shared
@pytest.mark.slow
def test_people_of_a_clip_are_those_of_ultralytics(shared: Path, clip: Clip) -> None:
    wide, small = clip(shared / "video/people.mp4", 12), clip(shared / "video/one-by-one.mp4", 4)
    frames = [*wide[:6], *small, *wide[6:]]
    with UltralyticsDetector(Options(weights=str(shared / DETECTOR), confidence=0.1)) as model:
        found = model.detect(frames)
    reference = quiet_ultralytics().YOLO(shared / DETECTOR, task="detect")
    for people, frame in zip(found, frames, strict=True):
        (result,) = reference.predict(frame.image, conf=0.1, classes=[0], verbose=False)
        np.testing.assert_allclose(people.xyxy, result.boxes.xyxy, atol=0.1)
        np.testing.assert_allclose(people.score, result.boxes.conf, atol=1e-4)
        assert not people.class_id.any()
    assert sum(map(len, found)) > 5 * len(wide)
