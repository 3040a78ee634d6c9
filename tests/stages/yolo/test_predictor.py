import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pytest
from pydantic import ValidationError

from pipeline.errors import ConfigError, OutOfMemory, WeightsError
from pipeline.types import Frame, HostPixels, Instances
from stages.yolo.model import Network, load
from stages.yolo.options import ModelOptions
from stages.yolo.predictor import out_of_memory_named, predict_arguments
from stages.yolo.weights import Task

pytestmark = pytest.mark.slow

Untrained = Callable[..., Path]
SHAPES = [(120, 160, 3), (160, 120, 3), (120, 160, 3), (90, 160, 3), (48, 48, 3)]


def noise(shapes: Sequence[tuple[int, ...]] = SHAPES) -> list[Frame]:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    return [replace(fakes.make_frame(i), pixels=HostPixels(image)) for i, image in enumerate(images)]


def task_of(name: str) -> Task:
    return "pose" if "pose" in name else "detect"


def assert_as_ultralytics_says(found: Sequence[Instances], frames: Sequence[Frame], model: Any, **options: Any) -> None:
    """Look for each row among the other's. Untrained boxes lie at random: some on the very edge of being suppressed."""
    for people, frame in zip(found, frames, strict=True):
        (result,) = model.predict(frame.image, verbose=False, **options)
        ours = [people.xyxy, people.score[:, None] * 1000]  # 1e-5 of a score weighs as much as 0.01 px
        theirs = [result.boxes.xyxy, result.boxes.conf[:, None] * 1000]
        if people.keypoints is not None:
            assert people.keypoint_score is not None
            ours += [people.keypoints.reshape(len(people), -1), people.keypoint_score * 1000]
            theirs += [result.keypoints.xy.reshape(len(result), -1), result.keypoints.conf * 1000]
        same = np.abs(np.hstack(ours)[:, None] - np.hstack(theirs)).max(axis=2) <= 0.01
        assert same.any(axis=1).mean() >= 0.97
        assert same.any(axis=0).mean() >= 0.97


@pytest.mark.parametrize(
    ("name", "kind", "settings", "runner"),
    [
        pytest.param("yolo11n", "pt", {}, "PredictorNetwork", id="detector, .pt"),
        pytest.param("yolo11n-pose", "pt", {}, "PredictorNetwork", id="pose, .pt"),
        pytest.param("yolo26n-pose", "pt", {}, "PredictorNetwork", id="pose without suppression, .pt"),
        pytest.param("yolo11n-pose", "torchscript", {}, "PredictorNetwork", id="pose, TorchScript"),
        pytest.param("yolo11n", "openvino", {"batch": 2}, "PredictorNetwork", id="detector, OpenVINO for pairs"),
        pytest.param("yolo11n-pose", "openvino", {"dynamic": True}, "OpenVinoNetwork", id="pose, dynamic OpenVINO"),
        pytest.param("yolo26n-pose", "openvino", {"nms": True}, "OpenVinoNetwork", id="pose with suppression inside"),
    ],
)
def test_a_batch_of_mixed_sizes_gives_what_ultralytics_says_of_each_frame(
    name: str, kind: str, settings: dict[str, Any], runner: str, untrained: Untrained, ultralytics: Any
) -> None:
    path, task, frames = untrained(name, kind, **settings), task_of(name), noise()
    image_size = 160 if kind == "pt" or settings.get("dynamic") else None
    network = load(
        task, ModelOptions(weights=str(path), confidence=0.3, classes=tuple(range(80)), image_size=image_size)
    )
    assert type(network).__name__ == runner
    found = network.find(frames)
    network.close()
    model = ultralytics.YOLO(path, task=task)
    assert_as_ultralytics_says(found, frames, model, conf=0.3, classes=list(range(80)), imgsz=160)


@pytest.fixture
def detector_file(untrained: Untrained) -> bytes:
    return untrained("yolo11n").read_bytes()


@pytest.mark.parametrize(
    ("file_name", "cut"),
    [
        pytest.param("empty.pt", lambda _: b"", id="empty"),
        pytest.param("short.pt", lambda content: content[: len(content) // 2], id="cut short"),
        pytest.param("noise.pt", lambda _: b"these are no weights" * 100, id="no weights at all"),
        pytest.param("clip.mp4", lambda _: b"\0\0\0\x18ftypmp42", id="a video"),
        pytest.param("noise.torchscript", lambda _: b"PK nothing", id="no TorchScript"),
    ],
)
def test_files_that_are_no_weights_are_said_so(
    file_name: str, cut: Callable[[bytes], bytes], detector_file: bytes, tmp_path: Path
) -> None:
    path = tmp_path / file_name
    path.write_bytes(cut(detector_file))
    with pytest.raises(WeightsError, match="is damaged, or no weights that ultralytics can load"):
        load("detect", ModelOptions(weights=str(path)))
    assert list(tmp_path.iterdir()) == [path], "nothing was downloaded in its place"


def test_a_description_of_a_network_is_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "yolo11n.yaml"
    path.write_text("nc: 80")
    with pytest.raises(WeightsError, match="holds no weights"):
        load("detect", ModelOptions(weights=str(path)))


@pytest.mark.parametrize(
    ("name", "task", "words"),
    [
        pytest.param("yolo11n", "pose", "made for the task 'detect', expected 'pose'", id="detector as pose"),
        pytest.param("yolo11n-pose", "detect", "made for the task 'pose', expected 'detect'", id="pose as detector"),
        pytest.param("yolo11n-seg", "detect", "made for the task 'segment', expected 'detect'", id="segmentation"),
    ],
)
def test_weights_of_another_task_are_refused(name: str, task: Task, words: str, untrained: Untrained) -> None:
    with pytest.raises(WeightsError, match=words):
        load(task, ModelOptions(weights=str(untrained(name))))


def test_a_class_that_the_network_does_not_know_is_refused(untrained: Untrained) -> None:
    with pytest.raises(WeightsError, match=r"knows no class \[80\]"):
        load("detect", ModelOptions(weights=str(untrained("yolo11n")), classes=(0, 80)))


def test_a_gpu_that_is_not_there_is_refused(untrained: Untrained) -> None:
    with pytest.raises(ConfigError, match="'cuda:99' is not there"):
        load("detect", ModelOptions(weights=str(untrained("yolo11n")), device="cuda:99"))


def test_of_several_gpus_the_first_is_used(untrained: Untrained) -> None:
    with pytest.raises(ConfigError, match="'cuda:99,0' is not there"):
        load("detect", ModelOptions(weights=str(untrained("yolo11n")), device="cuda:99,0"))


@pytest.mark.parametrize("device", ["cuda:0,1", "cuda:1", "cuda", "cpu", "auto"])
def test_ultralytics_is_told_one_device(device: str, ultralytics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: PLC0415 - once the quiet import is done

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    told = predict_arguments(ultralytics, ModelOptions(weights="a.pt", device=device))["device"]
    assert told == {"cuda:0,1": "cuda:0", "auto": None}.get(device, device)


@pytest.mark.parametrize("device", ["cuda:", "cuda:0,", "cuda,1", "cuda:0,cuda:1", "gpu", "cpu:0"])
def test_a_device_that_is_none_is_refused(device: str) -> None:
    with pytest.raises(ValidationError, match="device"):
        ModelOptions(weights="a.pt", device=device)


def test_a_file_that_runs_code_when_it_is_read_is_refused(tmp_path: Path, untrained: Untrained) -> None:
    trap = tmp_path / "sprung"
    harmless = zipfile.ZipFile(untrained("yolo11n"))
    with zipfile.ZipFile(tmp_path / "trap.pt", "w") as archive:
        for name in harmless.namelist():
            content = harmless.read(name)
            if name.endswith("data.pkl"):
                content = f"cpathlib\nPath.touch\n(cpathlib\nPosixPath\n(V{trap}\ntRtR.".encode()
            archive.writestr(name, content)
    with pytest.raises(WeightsError):
        load("detect", ModelOptions(weights=str(tmp_path / "trap.pt")))
    assert not trap.exists()


@pytest.mark.parametrize(
    "error",
    [
        pytest.param("CUDA out of memory. Tried to allocate 2.00 GiB", id="PyTorch"),
        pytest.param("CUDA error: CUBLAS_STATUS_ALLOC_FAILED", id="cuBLAS"),
    ],
)
def test_a_batch_that_does_not_fit_is_told_to_the_engine(error: str) -> None:
    with pytest.raises(OutOfMemory, match="batch of 8 frames") as caught, out_of_memory_named(8):
        raise RuntimeError(error)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_pytorch_says_that_it_is_out_of_memory_in_words_that_are_understood(ultralytics: Any) -> None:
    import torch  # noqa: PLC0415 - once the quiet import is done

    error = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    with pytest.raises(OutOfMemory), out_of_memory_named(1):
        raise error
    assert ultralytics is not None


def test_other_errors_stay_what_they_are() -> None:
    error = "shapes differ"
    with pytest.raises(RuntimeError, match=error), out_of_memory_named(1):
        raise RuntimeError(error)


QUIET = """
import sys
from stages.detectors.ultralytics import Options, UltralyticsDetector
assert not {"torch", "ultralytics", "openvino"} & set(sys.modules)
with UltralyticsDetector(Options(weights=sys.argv[1])):
    import ultralytics.utils as used
assert not used.ONLINE and not used.AUTOINSTALL and used.SAFE_LOAD
"""


def test_ultralytics_prints_nothing_and_leaves_nothing_in_the_home(untrained: Untrained, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path / "home"), "KINESTREAM_CACHE": str(tmp_path / "cache")}
    (tmp_path / "home").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(untrained("yolo11n"))],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list((tmp_path / "home").iterdir())


def test_a_closed_network_may_be_closed_again(untrained: Untrained) -> None:
    network: Network = load("detect", ModelOptions(weights=str(untrained("yolo11n"))))
    network.close()
    network.close()
