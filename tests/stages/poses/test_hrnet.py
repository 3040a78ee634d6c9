import logging
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
import spots

from pipeline.errors import ConfigError, WeightsError
from pipeline.registry import resolve
from pipeline.skeletons import COCO_17, MPII_16
from pipeline.types import Frame, Instances
from stages.poses.hrnet import HRNetPose, Options

WEIGHTS = "pose_hrnet_64x64.pth"


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINESTREAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    checkpoints.write_hrnet(folder / WEIGHTS)
    checkpoints.write_hrnet(folder / "plain.pth")
    checkpoints.write_hrnet(folder / "mpii.pth", joints=16)
    checkpoints.write_poseresnet(folder / "resnet.pth")
    (folder / "page.pth").write_text("<!doctype html><html>quota exceeded</html>")
    return folder


def pose(path: Path, **options: Any) -> HRNetPose:
    plain = {"device": "cpu", "engine": "torch", "precision": "f32", "weights": str(path)}
    return HRNetPose(Options.model_validate(plain | options))


def noise(seed: int, width: int = 90, height: int = 110) -> Frame:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return spots.frame_of(picture, seed)


def crowd(count: int, seed: int = 0) -> Instances:
    random = np.random.default_rng(seed)
    corner = random.uniform(-20, 60, (count, 2))
    return Instances.of(np.hstack([corner, corner + random.uniform(10, 80, (count, 2))]), random.uniform(0.3, 1, count))


def estimate(model: HRNetPose, frames: list[Frame], tables: list[Instances]) -> tuple[Any, Any]:
    found = model.estimate(frames, tables)
    return np.concatenate([table.keypoints for table in found]), np.concatenate(
        [table.keypoint_score for table in found]
    )


def test_the_registry_knows_it() -> None:
    assert resolve("pose", "hrnet") is HRNetPose
    assert HRNetPose.boxes == "needed"


@pytest.mark.slow
@pytest.mark.timeout(400)  # converting takes half a minute of a core that is not shared
@pytest.mark.parametrize(
    ("engine", "width"), [pytest.param("openvino", 32, id="w32 openvino"), pytest.param("onnxruntime", 4, id="w4 onnx")]
)
def test_every_engine_says_the_same(tmp_path: Path, engine: str, width: int) -> None:
    file = checkpoints.write_hrnet(tmp_path / f"pose_hrnet_w{width}_64x64.pth", width)
    frames, tables = [noise(0), noise(1, 60, 40)], [crowd(3), crowd(2, 1)]
    for flip_test in (False, True):
        with pose(file, decoding="plain", flip_test=flip_test, width=width, joints=17) as model:
            expected, expected_score = estimate(model, frames, tables)
        with pose(file, decoding="plain", flip_test=flip_test, engine=engine) as model:
            points, score = estimate(model, frames, tables)
        assert np.abs(score - expected_score).max() < 1e-3
        assert (np.abs(points - expected).max(axis=-1) < 1e-3).mean() > 0.95  # noise has peaks that are nearly as high
        assert len(np.unique(points.round(2))) > 20


def test_alone_or_among_others_a_person_has_the_same_joints(files: Path) -> None:
    frames, tables = [noise(0), noise(1, 60, 40), noise(2)], [crowd(3), crowd(2, 1), crowd(1, 2)]
    with pose(files / WEIGHTS, max_batch=4) as model:
        together, _ = estimate(model, frames, tables)
        pairs = list(zip(frames, tables, strict=True))
        singles = [(frame, table[[row]]) for frame, table in pairs for row in range(len(table))]
        alone = np.concatenate([estimate(model, [frame], [row])[0] for frame, row in singles])
        backwards, _ = estimate(model, frames[::-1], tables[::-1])
    assert np.abs(together - alone).max() < 1e-4
    assert np.abs(together - backwards[[3, 4, 5, 1, 2, 0]]).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "options", "size", "skeleton"),
    [
        pytest.param("plain.pth", {}, (256, 192), COCO_17, id="17 joints"),
        pytest.param("mpii.pth", {}, (256, 256), MPII_16, id="16 joints"),
        pytest.param(WEIGHTS, {}, (64, 64), COCO_17, id="the name of the file"),
        pytest.param(WEIGHTS, {"image_size": [96, 64]}, (96, 64), COCO_17, id="the option"),
    ],
)
def test_size_and_skeleton_are_those_of_the_file(
    files: Path, name: str, options: dict[str, Any], size: tuple[int, int], skeleton: Any
) -> None:
    model = pose(files / name, **options)
    network = model.load()
    assert (network.model.input.height, network.model.input.width) == size
    assert network.model.input.channels == "rgb"
    assert network.skeleton is skeleton
    assert network.name == "HRNet-W4"


def test_what_was_loaded_is_logged(files: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), pose(files / WEIGHTS) as model:
        assert model.skeleton is COCO_17
        assert model.description == "HRNet-W4 64x64 (height x width), coco-17, torch f32 on cpu"
    assert model.description in caplog.text


@pytest.mark.parametrize(
    ("kind", "name", "options", "said"),
    [
        pytest.param(WeightsError, "gone.pth", {}, "do not exist", id="no file"),
        pytest.param(WeightsError, "page.pth", {}, "web page", id="a web page"),
        pytest.param(
            WeightsError,
            "resnet.pth",
            {},
            r"resnet.pth' holds a PoseResNet-50, expected an HRNet: use kind: poseresnet",
            id="another network",
        ),
        pytest.param(ConfigError, WEIGHTS, {"width": 32}, "holds an HRNet-W4, got width: 32", id="another width"),
        pytest.param(ConfigError, WEIGHTS, {"joints": 16}, "finds 17 joints, got joints: 16", id="other joints"),
        pytest.param(ConfigError, WEIGHTS, {"image_size": (250, 192)}, r"250 x 192.*multiples of 32", id="odd size"),
    ],
)
def test_what_does_not_fit_is_refused(
    files: Path, kind: type[Exception], name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(kind, match=said), pose(files / name, **options):
        pytest.fail("it opened")
