"""Every trainer's file gives the same network; what is another network says what it is."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from stages.poses.networks.checkpoint import read_checkpoint
from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.poseresnet import PoseResNet

Save = Callable[..., Path]
State = dict[str, Tensor]

COUNTER = "num_batches_tracked"
PICTURES = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def state(tiny: nn.Module) -> State:
    """The state dict of an HRNet-W4 for 5 joints, to be changed by a test."""
    return {name: tensor.clone() for name, tensor in tiny.state_dict().items()}


@pytest.fixture(scope="session")
def resnet(randomised: Callable[[nn.Module], nn.Module]) -> nn.Module:
    return randomised(PoseResNet(50, 3))


def heatmaps(network: nn.Module) -> Tensor:
    with torch.inference_mode():
        output: Tensor = network(PICTURES)
    return output


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def without_counters(state: Mapping[str, Tensor]) -> State:
    return {name: tensor for name, tensor in state.items() if not name.endswith(COUNTER)}


def empty(network: Callable[[], nn.Module]) -> State:
    """Give a state dict of zeros that costs no memory and next to no disk."""
    with torch.device("meta"):
        shapes = network().state_dict()
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in shapes.items()}


# Dialects


def of_mmpose(head: str) -> Callable[[State], Any]:
    def write(state: State) -> Any:
        parts = {f"{head}.": ("final_layer", "deconv_layers")}
        names = {name: f"{head}.{name}" if name.startswith(parts[f"{head}."]) else f"backbone.{name}" for name in state}
        meta = {"mmpose_version": "1.1.0", "dataset_meta": {"sigmas": np.array([0.026, 0.1])}}
        return {"meta": meta, "state_dict": OrderedDict((names[name], tensor) for name, tensor in state.items())}

    return write


def of_the_official_trainer(state: State) -> Any:
    return {
        "epoch": 210,
        "model": "pose_hrnet",
        "state_dict": prefixed("module.", state),
        "best_state_dict": state,
        "perf": np.float64(0.744),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.001}]},
    }


DIALECTS: dict[str, Callable[[State], Any]] = {
    "official, published": OrderedDict,
    "official, in training": of_the_official_trainer,
    "simple-HRNet": lambda state: {"epoch": 3, "model": state, "optimizer": {}, "params": ["lr: 0.001\n"]},
    "mmpose 1": of_mmpose("head"),
    "mmpose 0": of_mmpose("keypoint_head"),
    "DataParallel": lambda state: prefixed("module.", state),
    "DataParallel within mmpose": lambda state: {"state_dict": prefixed("backbone.module.", state)},
    "DataParallel around mmpose": lambda state: {"state_dict": prefixed("module.backbone.", state)},
    "compiled": lambda state: {"model": prefixed("_orig_mod.", state)},
    "without counters": without_counters,
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_whoever_wrote_a_file_it_gives_the_same_heat_maps(dialect: str, tiny: nn.Module, save: Save) -> None:
    path = save(DIALECTS[dialect](dict(tiny.state_dict())))
    checkpoint = read_checkpoint(path)
    assert (checkpoint.path, checkpoint.architecture, checkpoint.size, checkpoint.joints) == (path, "hrnet", 4, 5)
    assert list(checkpoint.state) == list(tiny.state_dict())
    assert torch.equal(heatmaps(checkpoint.module()), heatmaps(tiny))


@pytest.mark.parametrize("dialect", ["official, published", "mmpose 1", "mmpose 0"])
def test_a_poseresnet_gives_the_same_heat_maps(dialect: str, resnet: nn.Module, save: Save) -> None:
    checkpoint = read_checkpoint(save(DIALECTS[dialect](dict(resnet.state_dict()))))
    assert (checkpoint.architecture, checkpoint.size, checkpoint.joints) == ("poseresnet", 50, 3)
    assert torch.equal(heatmaps(checkpoint.module()), heatmaps(resnet))


def test_a_file_of_the_years_of_the_papers_gives_the_same_heat_maps(tiny: nn.Module, save: Save) -> None:
    path = save(without_counters(tiny.state_dict()), legacy=True)
    assert torch.equal(heatmaps(read_checkpoint(path).module()), heatmaps(tiny))


def test_the_best_network_in_a_file_goes_before_the_last(state: State, save: Save) -> None:
    last = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    checkpoint = read_checkpoint(save({"state_dict": last, "best_state_dict": state}))
    assert all(torch.equal(checkpoint.state[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("counters", [True, False], ids=["as they are", "zero where they lack"])
def test_the_counters_of_training_are(state: State, save: Save, *, counters: bool) -> None:
    checkpoint = read_checkpoint(save(state if counters else without_counters(state)))
    found = {tensor.item() for name, tensor in checkpoint.state.items() if name.endswith(COUNTER)}
    assert found == {7 if counters else 0}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_weights_of_another_precision_become_float32(dtype: torch.dtype, state: State, save: Save) -> None:
    rounded = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    checkpoint = read_checkpoint(save(rounded))
    for name, parameter in checkpoint.module().named_parameters():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, rounded[name].float())


# What comes of a file

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "HRNet-W32 17": lambda: HRNet(32, 17),
    "HRNet-W18 1": lambda: HRNet(18, 1),
    "PoseResNet-50 17": lambda: PoseResNet(50),
    "PoseResNet-101 16": lambda: PoseResNet(101, 16),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_names_and_shapes_say_which_network_it_is(name: str, save: Save) -> None:
    checkpoint = read_checkpoint(save(empty(NETWORKS[name])))
    assert f"{checkpoint.name} {checkpoint.joints}" == name


@pytest.mark.shared
@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("pose_hrnet_w32_17", "HRNet-W32"),
        ("pose_hrnet_w48_17", "HRNet-W48"),
        ("pose_hrnet_w32_16", "HRNet-W32"),
        ("pose_resnet_50", "PoseResNet-50"),
        ("pose_resnet_101", "PoseResNet-101"),
        ("pose_resnet_152", "PoseResNet-152"),
    ],
)
def test_the_official_layout_is_taken_whole(
    layout: str, name: str, save: Save, official_layouts: Mapping[str, Mapping[str, list[int]]]
) -> None:
    shapes = official_layouts[layout]
    checkpoint = read_checkpoint(save({key: torch.zeros(()).expand(shape) for key, shape in shapes.items()}))
    assert checkpoint.name == name
    assert {key: list(tensor.shape) for key, tensor in checkpoint.module().state_dict().items()} == shapes


def test_a_network_is_ready_for_inference_and_has_tensors_of_its_own(state: State, save: Save) -> None:
    checkpoint = read_checkpoint(save(state))
    one, other = checkpoint.module(), checkpoint.module()
    assert not any(part.training for part in one.modules())
    for tensor in one.state_dict().values():
        tensor.zero_()
    assert torch.equal(heatmaps(other), heatmaps(checkpoint.module()))
    assert heatmaps(other).abs().sum() > 0


def test_a_file_may_be_overwritten_once_it_is_read(tiny: nn.Module, state: State, save: Save) -> None:
    path = save(state)
    checkpoint = read_checkpoint(path)
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(heatmaps(checkpoint.module()), heatmaps(tiny))


def test_a_checkpoint_shows_itself_in_one_line(state: State, save: Save) -> None:
    assert len(repr(read_checkpoint(save(state)))) < 300


# What is no checkpoint of these networks


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    message = str(caught.value)
    assert message.startswith(f"weights '{path}'")
    return message


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        pytest.param([1, 2], "hold a list, expected a state dict: names and tensors", id="a list"),
        pytest.param(torch.zeros(3), "hold a Tensor, expected a state dict", id="a tensor"),
        pytest.param({}, "hold no tensors, but nothing. Expected a state dict", id="nothing"),
        pytest.param({"state_dict": {}}, "hold no tensors, but nothing", id="nothing under state_dict"),
        pytest.param(
            {"epoch": 3, "model": "pose_hrnet"},
            "hold no tensors, but epoch (int), model (str). Expected a state dict, or one under 'best_state_dict' or "
            "'state_dict' or 'model'",
            id="no tensors",
        ),
        pytest.param(
            {"conv1.weight": torch.zeros(1), "version": 2}, "hold more than tensors: version (int)", id="a number"
        ),
        pytest.param(
            {"module.a": torch.zeros(1), "a": torch.zeros(1)}, "hold two tensors for a: give the", id="two networks"
        ),
        pytest.param(
            {f"patch_embed.{n}": torch.zeros(1) for n in range(9)},
            "are of a network that is not known here: its 9 tensors are patch_embed.0, patch_embed.1, patch_embed.2 "
            "and 6 more. Give",
            id="a transformer",
        ),
        pytest.param(
            {"layer4.0.conv1.weight": torch.zeros(1), "fc.weight": torch.zeros(1)},
            "are of a ResNet without a pose head: there is no final_layer.weight, so it finds no joints. Give weights "
            "of HRNet or PoseResNet",
            id="a ResNet",
        ),
    ],
)
def test_what_holds_no_such_network_says_what_it_holds(saved: Any, message: str, save: Save) -> None:
    assert message in refusal(save(saved))


def test_an_hrnet_of_imagenet_is_told_from_one_for_pose(state: State, save: Save) -> None:
    backbone = {name: tensor for name, tensor in state.items() if not name.startswith("final_layer")}
    path = save(backbone | {"incre_modules.0.0.conv1.weight": torch.zeros(1), "classifier.weight": torch.zeros(1)})
    said = "are of an HRNet that was trained on ImageNet, without a pose head: there is no final_layer.weight"
    assert said in refusal(path)
    assert "are of an HRNet without a pose head: there is no final_layer.weight" in refusal(save(backbone))


def test_a_resnet_of_another_depth_says_how_many_blocks_it_has(resnet: nn.Module, save: Save) -> None:
    kept = {name: tensor for name, tensor in resnet.state_dict().items() if not name.startswith("layer3.5")}
    said = refusal(save({name: torch.zeros(()).expand(tensor.shape) for name, tensor in kept.items()}))
    assert "are of a PoseResNet with (3, 4, 5, 3) blocks in its four layers, expected (3, 4, 6, 3) for depth 50" in said


@pytest.mark.parametrize("shape", [(), (5,), (0, 4, 1, 1), (5, 4, 1)], ids=str)
def test_a_head_without_four_sides_is_an_error(shape: tuple[int, ...], state: State, save: Save) -> None:
    state["final_layer.weight"] = torch.zeros(shape)
    assert f"final_layer.weight has the shape {shape}, expected four sides" in refusal(save(state))


def test_every_kind_of_fault_is_counted_and_the_first_are_named(state: State, save: Save) -> None:
    for name in [name for name in state if name.startswith("stage4.1.branches.3.")]:
        del state[name]
    state["extra.weight"] = torch.zeros(1)
    state["conv1.weight"] = torch.zeros(64, 1, 3, 3)
    said = refusal(save(state))
    assert (
        "look like HRNet-W4 for 5 joints, but of 1754 tensors are 40 missing (stage4.1.branches.3.0.conv1.weight, "
        "stage4.1.branches.3.0.bn1.weight, stage4.1.branches.3.0.bn1.bias and 37 more), 1 unknown (extra.weight), 1 "
        "of another shape (conv1.weight is (64, 1, 3, 3), expected (64, 3, 3, 3)). Give weights"
    ) in said


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")], ids=str)
def test_values_that_are_no_numbers_are_counted_and_their_tensor_is_named(
    value: float, state: State, save: Save
) -> None:
    state["stage3.0.branches.1.0.bn1.running_var"][1:3] = value
    said = refusal(save(state))
    assert "2 of the 8 values of stage3.0.branches.1.0.bn1.running_var are not finite numbers" in said


def test_whole_numbers_are_no_weights(state: State, save: Save) -> None:
    state["conv2.weight"] = state["conv2.weight"].to(torch.int8)
    assert "conv2.weight is torch.int8, expected a floating-point type: give unquantised ones" in refusal(save(state))
