from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoints import write_hrnet, write_poseresnet

from pipeline.errors import ConfigError, WeightsError
from training.config import NetworkOptions
from training.datasets import People, PeopleFiles, read_people
from training.starting import begin

Trees = Callable[..., dict[str, Any]]


@pytest.fixture
def people(tree: Trees, people_files: Callable[..., PeopleFiles]) -> People:
    return read_people(people_files(tree()))


def test_random_weights_depend_on_the_seed_alone(people: People) -> None:
    first, again, other = (begin(NetworkOptions(size=2), people, seed).network.state_dict() for seed in (1, 1, 2))

    assert torch.equal(first["conv1.weight"], again["conv1.weight"])
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


def test_all_of_a_pose_network_is_taken_up(tmp_path: Path, people: People) -> None:
    path = write_hrnet(tmp_path / "w4.pth", 4)

    started = begin(NetworkOptions(size=4, start=str(path)), people, 1)

    assert not started.fresh
    assert not started.unused
    saved = torch.load(path, weights_only=True)
    assert all(torch.equal(saved[name], tensor) for name, tensor in started.network.state_dict().items())


def test_a_classifier_of_imagenet_lacks_the_last_layer_and_has_others(tmp_path: Path, people: People) -> None:
    path = write_hrnet(tmp_path / "w4.pth", 4)
    state = torch.load(path, weights_only=True)
    state = {name: tensor for name, tensor in state.items() if not name.startswith("final_layer")}
    torch.save(state | {"classifier.weight": torch.zeros(1000, 8), "classifier.bias": torch.zeros(1000)}, path)

    started = begin(NetworkOptions(size=4, start=str(path)), people, 1)

    assert started.fresh == ("final_layer.weight", "final_layer.bias")
    assert started.unused == ("classifier.weight", "classifier.bias")
    assert "begun anew: final_layer.weight" in started.report()
    assert "not used: classifier.weight" in started.report()


def test_another_number_of_joints_is_an_error_unless_the_last_layer_is_begun_anew(
    tmp_path: Path, people: People
) -> None:
    path = write_hrnet(tmp_path / "w4.pth", 4, joints=16)
    options = NetworkOptions(size=4, start=str(path))

    with pytest.raises(ConfigError, match=r"w4\.pth' is for 16 joints, .* have 17.*new_head=true"):
        begin(options, people, 1)
    started = begin(options.model_copy(update={"new_head": True}), people, 1)

    assert started.fresh == ("final_layer.weight", "final_layer.bias")


def test_another_width_is_an_error(tmp_path: Path, people: People) -> None:
    path = write_hrnet(tmp_path / "w4.pth", 4)

    with pytest.raises(WeightsError, match="does not fit HRNet-W8, its tensors are of another size"):
        begin(NetworkOptions(size=8, start=str(path)), people, 1)


def test_another_network_is_an_error(tmp_path: Path, people: People) -> None:
    path = tmp_path / "other.pth"
    torch.save({"backbone.features.weight": torch.zeros(2)}, path)

    with pytest.raises(WeightsError, match="of another network: features"):
        begin(NetworkOptions(size=2, start=str(path)), people, 1)


def test_values_that_are_no_numbers_are_an_error(tmp_path: Path, people: People) -> None:
    path = write_hrnet(tmp_path / "w4.pth", 4)
    state = torch.load(path, weights_only=True)
    state["conv2.weight"][0] = torch.nan
    torch.save(state, path)

    with pytest.raises(WeightsError, match=r"no finite numbers, in conv2\.weight"):
        begin(NetworkOptions(size=4, start=str(path)), people, 1)


@pytest.mark.slow
def test_the_first_layer_gets_its_colours_in_the_order_that_the_network_sees(tmp_path: Path, people: People) -> None:
    path = write_poseresnet(tmp_path / "pose_resnet_50.pth")
    state = torch.load(path, weights_only=True)
    options = NetworkOptions(architecture="poseresnet", size=50, start=str(path))

    official = begin(options, people, 1).network.state_dict()["conv1.weight"]
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("final_layer")}, path)
    imagenet = begin(options, people, 1).network.state_dict()["conv1.weight"]

    assert torch.equal(official, state["conv1.weight"])
    assert torch.equal(imagenet, state["conv1.weight"].flip(1))
