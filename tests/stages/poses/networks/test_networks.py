"""The layouts are those of the official networks, and the sums are those of the papers."""

from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import ConfigError
from stages.poses.networks.hrnet import HRNet
from stages.poses.networks.poseresnet import PoseResNet

Build = Callable[[], nn.Module]

OFFICIAL = {
    "pose_hrnet_w32_17": (lambda: HRNet(32, 17), 28_536_113, 1754),
    "pose_hrnet_w48_17": (lambda: HRNet(48, 17), 63_595_745, 1754),
    "pose_hrnet_w32_16": (lambda: HRNet(32, 16), 28_536_080, 1754),
    "pose_resnet_50": (lambda: PoseResNet(50), 33_999_697, 338),
    "pose_resnet_101": (lambda: PoseResNet(101), 52_991_825, 644),
    "pose_resnet_152": (lambda: PoseResNet(152), 68_635_473, 950),
}
"""Name of the official network -> ours, its parameters, and the entries of its state dict."""

SMALL = [pytest.param(lambda: HRNet(8, 5), id="HRNet-W8"), pytest.param(lambda: PoseResNet(50), id="PoseResNet-50")]


def without_memory(build: Build) -> nn.Module:
    with torch.device("meta"):
        return build()


# Layouts


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_network_has_as_many_parameters_as_the_official_one(name: str) -> None:
    build, parameters, entries = OFFICIAL[name]
    network = without_memory(build)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == entries


@pytest.mark.shared
@pytest.mark.parametrize("name", OFFICIAL)
def test_names_shapes_and_their_order_are_those_of_the_official_state_dict(
    name: str, official_layouts: Mapping[str, Mapping[str, list[int]]]
) -> None:
    network = without_memory(OFFICIAL[name][0])
    layout = {key: list(tensor.shape) for key, tensor in network.state_dict().items()}
    assert list(layout.items()) == list(official_layouts[name].items())


def test_hrnet_has_as_many_entries_in_each_part_as_the_official_one() -> None:
    parts = Counter(name.partition(".")[0] for name in without_memory(HRNet).state_dict())
    assert parts == {
        "conv1": 1, "bn1": 5, "conv2": 1, "bn2": 5, "layer1": 78, "transition1": 12, "stage2": 108,
        "transition2": 6, "stage3": 744, "transition3": 6, "stage4": 786, "final_layer": 2,
    }  # fmt: skip


def test_a_depth_that_there_is_not_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no PoseResNet of depth 34: expected one of 50, 101, 152"):
        PoseResNet(34)


# Sums: both networks once more, after the papers, with nothing but functions on a state dict


class Paper:
    """The parts that both papers use."""

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        self.state = state

    def conv(self, x: Tensor, conv: str, norm: str, stride: int = 1) -> Tensor:
        weight = self.state[f"{conv}.weight"]
        x = functional.conv2d(x, weight, stride=stride, padding=(weight.shape[-1] - 1) // 2)
        return self.norm(x, norm)

    def norm(self, x: Tensor, name: str) -> Tensor:
        mean, var, gain, shift = (
            self.state[f"{name}.{part}"].reshape(1, -1, 1, 1)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / (var + 1e-5).sqrt() * gain + shift

    def basic(self, x: Tensor, name: str) -> Tensor:
        y = self.conv(x, f"{name}.conv1", f"{name}.bn1").relu()
        return (self.conv(y, f"{name}.conv2", f"{name}.bn2") + x).relu()

    def bottleneck(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self.conv(x, f"{name}.conv1", f"{name}.bn1").relu()
        y = self.conv(y, f"{name}.conv2", f"{name}.bn2", stride).relu()
        y = self.conv(y, f"{name}.conv3", f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.state:
            x = self.conv(x, f"{name}.downsample.0", f"{name}.downsample.1", stride)
        return (x + y).relu()

    def layer(self, x: Tensor, name: str, stride: int) -> Tensor:
        for block in count():
            if f"{name}.{block}.conv1.weight" not in self.state:
                return x
            x = self.bottleneck(x, f"{name}.{block}", stride if block == 0 else 1)
        raise AssertionError

    def head(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.state["final_layer.weight"], self.state["final_layer.bias"])


def poseresnet_of_the_paper(state: Mapping[str, Tensor], pictures: Tensor) -> Tensor:
    paper = Paper(state)
    x = paper.conv(pictures, "conv1", "bn1", stride=2).relu()
    x = functional.max_pool2d(x, 3, stride=2, padding=1)
    for number, stride in enumerate((1, 2, 2, 2), start=1):
        x = paper.layer(x, f"layer{number}", stride)
    for position in (0, 3, 6):
        x = functional.conv_transpose2d(x, state[f"deconv_layers.{position}.weight"], stride=2, padding=1)
        x = paper.norm(x, f"deconv_layers.{position + 1}").relu()
    return paper.head(x)


def hrnet_of_the_paper(state: Mapping[str, Tensor], pictures: Tensor) -> Tensor:
    paper = Paper(state)
    x = paper.conv(pictures, "conv1", "bn1", stride=2).relu()
    x = paper.conv(x, "conv2", "bn2", stride=2).relu()
    x = paper.layer(x, "layer1", 1)
    fine = paper.conv(x, "transition1.0.0", "transition1.0.1").relu()
    branches = [fine, paper.conv(x, "transition1.1.0.0", "transition1.1.0.1", stride=2).relu()]
    branches = exchange(paper, "stage2.0", branches, 2)
    for number, modules in ((3, 4), (4, 3)):
        added = f"transition{number - 1}.{number - 1}.0"
        branches.append(paper.conv(branches[-1], f"{added}.0", f"{added}.1", stride=2).relu())
        for module in range(modules):
            is_last = (number, module) == (4, 2)
            branches = exchange(paper, f"stage{number}.{module}", branches, 1 if is_last else number)
    return paper.head(branches[0])


def exchange(paper: Paper, name: str, branches: list[Tensor], outputs: int) -> list[Tensor]:
    for branch, block in ((branch, block) for branch in range(len(branches)) for block in range(4)):
        branches[branch] = paper.basic(branches[branch], f"{name}.branches.{branch}.{block}")
    results = []
    for i in range(outputs):
        total = torch.zeros_like(branches[i])
        for j, x in enumerate(branches):
            fuse = f"{name}.fuse_layers.{i}.{j}"
            if j > i:
                x = paper.conv(x, f"{fuse}.0", f"{fuse}.1")  # noqa: PLW2901 - the paper's x walks through the layers
                total += x.repeat_interleave(2 ** (j - i), 2).repeat_interleave(2 ** (j - i), 3)
                continue
            for k in range(i - j):
                x = paper.conv(x, f"{fuse}.{k}.0", f"{fuse}.{k}.1", stride=2)  # noqa: PLW2901 - as above
                x = x if k == i - j - 1 else x.relu()  # noqa: PLW2901 - as above
            total += x
        results.append(total.relu())
    return results


@pytest.mark.parametrize(
    ("build", "of_the_paper"),
    [
        pytest.param(lambda: HRNet(32, 17), hrnet_of_the_paper, id="HRNet-W32"),
        pytest.param(lambda: HRNet(4, 3), hrnet_of_the_paper, id="HRNet-W4"),
        pytest.param(lambda: PoseResNet(50), poseresnet_of_the_paper, id="PoseResNet-50"),
    ],
)
def test_a_network_computes_what_its_paper_says(
    build: Build,
    of_the_paper: Callable[[Mapping[str, Tensor], Tensor], Tensor],
    randomised: Callable[[nn.Module], nn.Module],
) -> None:
    network = randomised(build()).double()
    pictures = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)).double()
    with torch.inference_mode():
        heatmaps, expected = network(pictures), of_the_paper(network.state_dict(), pictures)
    assert expected.std() > 1e-3
    torch.testing.assert_close(heatmaps, expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


# Shapes and behaviour


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 32), (96, 160)])
@pytest.mark.parametrize("build", SMALL)
def test_heat_maps_have_a_quarter_of_the_input_s_sides(build: Build, height: int, width: int) -> None:
    network = without_memory(build).eval()
    heatmaps = network(torch.empty(2, 3, height, width, device="meta"))
    assert heatmaps.shape == (2, network.get_submodule("final_layer").out_channels, height // 4, width // 4)


@pytest.mark.parametrize("build", SMALL)
def test_the_same_pictures_give_the_same_heat_maps_and_stay_as_they_were(
    build: Build, randomised: Callable[[nn.Module], nn.Module]
) -> None:
    network = randomised(build())
    pictures = torch.randn(2, 3, 32, 64)
    before = pictures.clone()
    with torch.inference_mode():
        assert torch.equal(network(pictures), network(pictures))
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("build", SMALL)
def test_training_reaches_every_parameter(build: Build, randomised: Callable[[nn.Module], nn.Module]) -> None:
    network = randomised(build()).train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("build", SMALL)
def test_training_begins_with_small_convolutions_and_neutral_normalisations(build: Build) -> None:
    torch.manual_seed(0)
    network = build()
    for name, parameter in network.named_parameters():
        if parameter.ndim == 4:
            assert parameter.abs().max() < 0.0065, name
        else:
            assert (parameter == float(name.endswith("weight"))).all(), name
    largest = max(network.parameters(), key=Tensor.numel)
    assert largest.std().item() == pytest.approx(0.001, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("build", SMALL)
def test_a_network_can_be_exported_for_batches_of_any_size(
    build: Build, randomised: Callable[[nn.Module], nn.Module]
) -> None:
    network = randomised(build())
    batch = torch.export.Dim("batch", min=1, max=64)
    with torch.inference_mode():
        program = torch.export.export(network, (torch.randn(2, 3, 64, 32),), dynamic_shapes=({0: batch},))
        pictures = torch.randn(3, 3, 64, 32)
        torch.testing.assert_close(program.module()(pictures), network(pictures))
