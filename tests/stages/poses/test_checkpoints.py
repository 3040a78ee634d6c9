"""A network of our trainer is used as its file says; what a user asks for wins, or is refused."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import pytest
import spots
import torch
from trained_networks import HORSE, trained, write_trained

from pipeline.errors import ConfigError
from pipeline.skeletons import COCO_17, MPII_16, skeleton_of
from pipeline.types import Instances
from stages.engines.base import Model
from stages.engines.export import model_of
from stages.poses.hrnet import HRNetPose
from stages.poses.hrnet import Options as HRNetOptions
from stages.poses.poseresnet import Options as PoseResNetOptions
from stages.poses.poseresnet import PoseResNetPose
from stages.poses.topdown import Network, TopDown, trained_network
from stages.topdown.options import TopDownOptions

PEOPLE = Instances.of([[5, 5, 50, 70], [20, 30, 70, 100]], [0.9, 0.5])


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINESTREAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def horse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its name states another size than the file."""
    return write_trained(tmp_path_factory.mktemp("weights") / "pose_hrnet_w4_256x192.pth", trained())


def pose(path: Path, **options: Any) -> HRNetPose:
    plain = {"device": "cpu", "engine": "torch", "precision": "f32", "weights": str(path)}
    return HRNetPose(HRNetOptions.model_validate(plain | options))


def test_everything_is_as_the_file_says(horse: Path, caplog: pytest.LogCaptureFixture) -> None:
    network = pose(horse).load()
    assert (network.model.input.height, network.model.input.width) == (96, 64)
    assert network.skeleton == HORSE
    assert network.udp
    assert (network.sigma, network.decoding, network.padding) == (1.5, "dark", 1.5)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_official_file_is_used_as_ever(tmp_path: Path) -> None:
    network = pose(checkpoints.write_hrnet(tmp_path / "pose_hrnet_w4_384x288.pth")).load()
    assert (network.model.input.height, network.model.input.width) == (384, 288)
    assert network.skeleton is COCO_17
    assert not network.udp
    assert (network.sigma, network.decoding, network.padding) == (None, "quarter", 1.25)


@pytest.mark.parametrize("skeleton", [HORSE, COCO_17, MPII_16], ids=lambda skeleton: skeleton.name)
def test_joints_come_out_under_the_names_of_the_file(skeleton: Any, tmp_path: Path) -> None:
    path = write_trained(tmp_path / "network.pth", trained(skeleton=skeleton))
    with pose(path, flip_test=True, joints=len(skeleton)) as model:
        (table,) = model.estimate([spots.frame_of(spots.paint(90, 110, [(40, 40)]))], [PEOPLE])
        assert skeleton.name in model.description
    assert table.skeleton == skeleton
    assert table.keypoints is not None
    assert table.keypoints.shape == (2, len(skeleton), 2)
    assert np.isfinite(table.keypoints).all()


def test_seventeen_joints_that_are_not_those_of_coco_keep_their_names(tmp_path: Path) -> None:
    animal = skeleton_of([f"joint_{number}" for number in range(16)] + ["tail"])
    network = pose(write_trained(tmp_path / "animal.pth", trained(skeleton=animal))).load()
    assert network.skeleton == animal


class Spots(TopDown):
    """A network whose answer is known, with a note on how it was trained."""

    what = trained()

    def load(self) -> Network:
        return trained_network("spots", Model(Path("spots"), spots.FORM, spots.SpotNetwork), self.what)


@pytest.mark.parametrize(
    ("encoding", "read_as"), [("plain", "quarter"), ("dark", "dark"), ("udp", "dark")], ids=["plain", "dark", "udp"]
)
def test_joints_are_read_as_they_were_drawn(encoding: str, read_as: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spots, "what", trained(encoding=encoding, skeleton=skeleton_of(["left", "middle", "right"])))
    frame = spots.frame_of(spots.paint(130, 120, [(60.3, 40.2), (50, 62), (72, 75)]))
    found = {}
    for decoding in (None, "plain", "quarter", "dark"):
        options = {"weights": "spots", "engine": "torch", "precision": "f32", "device": "cpu", "decoding": decoding}
        with Spots(TopDownOptions.model_validate(options)) as model:
            (table,) = model.estimate([frame], [Instances.of([[34, 25, 82, 91]], [1.0])])
        found[decoding] = np.asarray(table.keypoints)
    assert [decoding for decoding in found if np.array_equal(found[decoding], found[None])] == [None, read_as]


def test_the_rule_of_pixels_and_the_width_of_the_gaussians_are_those_of_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of them moves the joints a little."""
    three = skeleton_of(["left", "middle", "right"])
    frame, found = spots.frame_of(spots.paint(130, 120, [(60.3, 40.2), (50, 62), (72, 75)])), []
    for fields in ({"encoding": "dark"}, {"encoding": "udp"}, {"encoding": "dark", "sigma": 3.0}):
        monkeypatch.setattr(Spots, "what", trained(skeleton=three, **fields))
        options = {"weights": "spots", "engine": "torch", "precision": "f32", "device": "cpu"}
        with Spots(TopDownOptions.model_validate(options)) as model:
            (table,) = model.estimate([frame], [Instances.of([[34, 25, 82, 91]], [1.0])])
        found.append(np.asarray(table.keypoints))
    assert all(0.01 < np.abs(other - found[0]).max() < 10 for other in found[1:])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"image_size": (64, 64)}, r"trained with image_size: \(96, 64\), and is used with \(64, 64\)"),
        pytest.param({"padding": 1.1}, r"trained with padding: 1\.5, and is used with 1\.1"),
    ],
)
def test_what_is_asked_for_wins_and_the_log_says_that_the_file_says_otherwise(
    horse: Path, options: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pose(horse, **options) as model:
        assert (model.input.height, model.input.width) == options.get("image_size", (96, 64))
        assert model.padding == options.get("padding", 1.5)
    (warning,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(warning.getMessage())


def test_asking_for_what_the_file_says_is_no_warning(horse: Path, caplog: pytest.LogCaptureFixture) -> None:
    pose(horse, image_size=(96, 64), padding=1.5, joints=5, width=4).load()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_another_number_of_joints_is_refused_with_both(horse: Path) -> None:
    with pytest.raises(ConfigError, match="finds 5 joints, got joints: 17"), pose(horse, joints=17):
        pytest.fail("it opened")


def test_joints_of_which_none_is_left_or_right_cannot_be_looked_at_in_a_mirror(tmp_path: Path) -> None:
    path = write_trained(tmp_path / "spine.pth", trained(skeleton=skeleton_of(["nose", "withers", "tail"])))
    with pytest.raises(ConfigError, match=r"3 joints of no known skeleton.* leave flip_test out"):
        pose(path, flip_test=True).open()


def test_other_colours_than_the_file_says_are_refused(tmp_path: Path) -> None:
    path = write_trained(tmp_path / "pose_resnet_50.pth", trained(channels="rgb"), depth=50)

    def resnet(channels: str) -> PoseResNetPose:
        return PoseResNetPose(PoseResNetOptions.model_validate({"weights": str(path), "channels": channels}))

    assert [resnet(channels).load().model.input.channels for channels in ("auto", "rgb")] == ["rgb", "rgb"]
    with pytest.raises(ConfigError, match="was trained on rgb, as the file says, got channels: bgr"):
        resnet("bgr").load()


def test_an_export_has_the_size_that_the_network_was_trained_with(horse: Path) -> None:
    picture = model_of(horse).input
    assert (picture.height, picture.width, picture.channels) == (96, 64, "rgb")
    asked = model_of(horse, (128, 64)).input
    assert (asked.height, asked.width) == (128, 64)
