from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import ConfigError
from pipeline.skeletons import MPII_16, Skeleton, skeleton_of
from training.datasets import PeopleFiles, ValidationFiles
from training.targets import TargetOptions
from training.validation import Validation

Trees = Callable[..., dict[str, Any]]
Files = Callable[..., PeopleFiles]


class DotFinder(nn.Module):
    """Knows where the dots are: every joint but the right wrist is the blue one, that is the red one."""

    def __init__(self, joints: int = 17) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, joints, 1, bias=False)
        with torch.no_grad():
            self.colours.weight.zero_()
            self.colours.weight[:, 2] = 1
            self.colours.weight[10, 2], self.colours.weight[10, 0] = 0, 1

    def forward(self, pictures: Tensor) -> Tensor:
        if self.training:
            return torch.zeros_like(pictures[:, :1])
        found: Tensor = self.colours(pictures)[..., ::4, ::4] * 0.1 + 0.3
        return found


@pytest.fixture
def files(tree: Trees, people_files: Files) -> ValidationFiles:
    keypoints = [180, 100, 2] * 10 + [150, 140, 2] + [180, 100, 2] * 6
    written = people_files(tree(2, keypoints=keypoints, num_keypoints=17))
    return ValidationFiles(annotations=written.annotations, images=written.images)


@pytest.mark.parametrize("encoding", ["plain", "dark", "udp"])
def test_a_network_in_memory_is_measured_as_finished_weights_are(files: ValidationFiles, encoding: Any) -> None:
    validation = Validation(files, TargetOptions(encoding=encoding), device="cpu", flip_test=False)
    network = DotFinder().train()

    first, second = (validation.measure(network, "dots") for _ in range(2))

    assert validation.main == "AP"
    assert first == second
    assert first["AP"] == pytest.approx(1.0)
    assert network.training


def test_a_network_that_finds_nothing_right_has_no_precision(files: ValidationFiles) -> None:
    network = DotFinder()
    with torch.no_grad():
        network.colours.weight.neg_()

    metrics = Validation(files, TargetOptions(), device="cpu", flip_test=False).measure(network, "dots")

    assert metrics["AP"] == pytest.approx(0, abs=0.2)


def test_other_joints_than_the_annotated_ones_are_an_error(files: ValidationFiles) -> None:
    validation = Validation(files, TargetOptions(), device="cpu", flip_test=False)

    with pytest.raises(ConfigError, match="'dots' finds 16 joints, expected the 17 of coco-17"):
        validation.measure(DotFinder(16), "dots")


def test_files_are_checked_before_anything_is_trained(files: ValidationFiles, tmp_path: Path) -> None:
    (files.images / "0.png").unlink()
    with pytest.raises(ConfigError, match="images are not in"):
        Validation(files, TargetOptions())
    with pytest.raises(ConfigError, match="cannot read the annotations"):
        Validation(files.model_copy(update={"annotations": tmp_path / "gone.json"}), TargetOptions())


# Other joints


SPINE = skeleton_of([f"vertebra_{number}" for number in range(11)])


def annotated(tree: Trees, people_files: Files, skeleton: Skeleton) -> ValidationFiles:
    """Annotate joints of any skeleton: number 10 is the red dot, all others the blue one."""
    keypoints = [value for row in range(len(skeleton)) for value in ([150, 140, 2] if row == 10 else [180, 100, 2])]
    made = tree(2, keypoints=keypoints, num_keypoints=len(skeleton))
    bones = [(a + 1, b + 1) for a, b in skeleton.bones]
    made["categories"] = [{"id": 1, "name": "horse", "keypoints": skeleton.joints, "skeleton": bones}]
    written = people_files(made)
    return ValidationFiles(annotations=written.annotations, images=written.images)


@pytest.mark.parametrize("skeleton", [SPINE, MPII_16], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("encoding", ["plain", "udp"])
def test_any_joints_of_a_coco_file_are_measured(
    tree: Trees, people_files: Files, skeleton: Skeleton, encoding: Any
) -> None:
    files = annotated(tree, people_files, skeleton)
    validation = Validation(files, TargetOptions(encoding=encoding), device="cpu", flip_test=False)

    metrics = validation.measure(DotFinder(len(skeleton)), "dots")

    assert (validation.skeleton, validation.joints, validation.main) == (skeleton, len(skeleton), "AP")
    assert validation.title == "keypoints of 'horse'"
    assert metrics["AP"] == pytest.approx(1.0)


def test_without_left_and_right_nobody_is_looked_at_mirrored(
    tree: Trees, people_files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    validation = Validation(annotated(tree, people_files, SPINE), TargetOptions(), device="cpu", flip_test=True)

    assert "no joint is called left or right, so nobody is looked at mirrored" in caplog.text
    assert validation.measure(DotFinder(len(SPINE)), "dots")["AP"] == pytest.approx(1.0)


def test_a_network_for_other_joints_is_refused_with_both_numbers(tree: Trees, people_files: Files) -> None:
    validation = Validation(annotated(tree, people_files, SPINE), TargetOptions(), device="cpu", flip_test=False)

    with pytest.raises(ConfigError, match="'dots' finds 17 joints, expected the 11 of joints-11"):
        validation.measure(DotFinder(), "dots")
