from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
import spots
import torch

from pipeline.errors import ConfigError, WeightsError
from pipeline.registry import resolve
from pipeline.skeletons import COCO_17
from pipeline.types import Instances
from stages.poses.networks.dialects import is_trained_on_rgb
from stages.poses.networks.poseresnet import PoseResNet
from stages.poses.poseresnet import Options, PoseResNetPose


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_poseresnet(tmp_path_factory.mktemp("weights") / "pose_resnet_50_64x64.pth")


def pose(path: Path, **options: Any) -> PoseResNetPose:
    plain = {"device": "cpu", "engine": "torch", "precision": "f32", "weights": str(path)}
    return PoseResNetPose(Options.model_validate(plain | options))


def test_the_registry_knows_it() -> None:
    assert resolve("pose", "poseresnet") is PoseResNetPose
    assert PoseResNetPose.boxes == "needed"


def test_joints_come_out_and_depend_on_the_order_of_the_colours(file: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)
    people = Instances.of([[5, 5, 50, 70]], [0.9])
    turned = spots.frame_of(picture[..., ::-1].copy())
    with pose(file, depth=50) as model:
        assert model.input.channels == "bgr"
        (bgr,) = model.estimate([spots.frame_of(picture)], [people])
        (other,) = model.estimate([turned], [people])
    with pose(file, channels="rgb") as model:
        (rgb,) = model.estimate([turned], [people])
    assert bgr.skeleton is COCO_17
    scores = [np.asarray(table.keypoint_score) for table in (bgr, rgb, other)]
    assert np.allclose(scores[0], scores[1], atol=1e-5)
    assert not np.allclose(scores[0], scores[2], atol=1e-3)


@pytest.mark.parametrize(
    ("saved", "rgb"),
    [
        pytest.param({"conv1.weight": 0}, False, id="official"),
        pytest.param({"epoch": 1, "model": "pose_resnet", "state_dict": {"conv1.weight": 0}}, False, id="in training"),
        pytest.param({"epoch": 1, "model": {"conv1.weight": 0}, "params": {}}, True, id="simple-HRNet"),
        pytest.param({"meta": {}, "state_dict": {"backbone.conv1.weight": 0}}, True, id="mmpose"),
        pytest.param({"state_dict": {"backbone.conv1.weight": 0}}, True, id="mmpose without meta"),
        pytest.param({"backbone.conv1.weight": 0}, True, id="the network of mmpose alone"),
        pytest.param({"module.backbone.conv1.weight": 0}, True, id="the network of mmpose alone, wrapped"),
    ],
)
def test_the_trainer_tells_the_order_of_the_colours(saved: dict[str, Any], *, rgb: bool) -> None:
    assert is_trained_on_rgb(saved) == rgb


def test_a_file_of_mmpose_is_read_as_rgb(tmp_path: Path) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in PoseResNet(50, 17).state_dict().items()}
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "res50_coco_256x192.pth")
    network = pose(tmp_path / "res50_coco_256x192.pth").load()
    assert network.model.input.channels == "rgb"
    assert (network.model.input.height, network.model.input.width) == (256, 192)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"depth": 101}, "holds a PoseResNet-50, got depth: 101", id="another depth"),
        pytest.param({"joints": 16}, "finds 17 joints, got joints: 16", id="other joints"),
        pytest.param({"image_size": (64, 50)}, "multiples of 32", id="odd size"),
    ],
)
def test_what_does_not_fit_is_refused(file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said), pose(file, **options):
        pytest.fail("it opened")


def test_an_hrnet_is_refused_with_its_kind(tmp_path: Path) -> None:
    path = checkpoints.write_hrnet(tmp_path / "hrnet.pth")
    with (
        pytest.raises(WeightsError, match="holds an HRNet-W4, expected a PoseResNet: use kind: hrnet"),
        pose(path),
    ):
        pytest.fail("it opened")
