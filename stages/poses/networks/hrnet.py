"""HRNet (Sun, Xiao, Liu, Wang: Deep High-Resolution Representation Learning for Human Pose Estimation, CVPR 2019).

A branch at a quarter of the input's resolution is kept from beginning to end. Each stage adds a branch of half the
resolution and twice the channels, and every branch keeps hearing from all others (section 3, figures 1 and 3).

Attributes are named as in the official state dicts, so that those load as they are.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from stages.poses.networks.blocks import (
    EXPANSION,
    BasicBlock,
    bottlenecks,
    conv,
    conv_norm,
    conv_norm_relu,
    initialise,
)

__all__ = ["HRNet"]

STEM_WIDTH: Final = 64
"""Channels of the stem's two convolutions, and in the middle of the first stage's bottlenecks."""

BLOCKS: Final = 4
"""Residual blocks in a row, in the first stage and on every branch of a module."""


class Transition(nn.ModuleList):
    """Hands the branches of a stage to the next one, with one more: the coarsest, halved."""

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        """Build it between branches of so many channels, finest first."""
        pairs = zip(before, after, strict=False)  # all but the new one
        kept = (nn.Identity() if old == new else conv_norm_relu(old, new, 3) for old, new in pairs)
        # A list in a list: the official code could halve several times here, and never does.
        added = nn.Sequential(conv_norm_relu(before[-1], after[-1], 3, stride=2))
        super().__init__([*kept, added])

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Take the feature maps of the branches, finest first, and give one more."""
        return [step(branch) for step, branch in zip(self, [*branches, branches[-1]], strict=True)]


def path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    """Make the way of features from one branch to another (figure 3).

    Upwards: a 1x1 convolution, then nearest-neighbour upsampling. Downwards: a 3x3 convolution of stride 2 for each
    halving; the last one changes the channels, and has no ReLU because the sum of all ways gets one.
    """
    if source == target:
        return nn.Identity()
    if source > target:
        doubled = nn.Upsample(scale_factor=2 ** (source - target), mode="nearest")
        return nn.Sequential(*conv_norm(widths[source], widths[target], 1), doubled)
    halvings = (conv_norm_relu(widths[source], widths[source], 3, stride=2) for _ in range(target - source - 1))
    return nn.Sequential(*halvings, conv_norm(widths[source], widths[target], 3, stride=2))


class Fusion(nn.ModuleList):
    """Gives one branch the ReLU of the sum over all branches, each brought to its channels and resolution."""

    def __init__(self, widths: Sequence[int], target: int) -> None:
        """Build it for the branch `target` of branches of so many channels, finest first."""
        super().__init__(path(widths, source, target) for source in range(len(widths)))

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """Take the feature maps of all branches, finest first; give those of the target."""
        brought = (way(branch) for way, branch in zip(self, branches, strict=True))
        return functional.relu(reduce(add, brought), inplace=True)


class Exchange(nn.Module):
    """Residual blocks on every branch, then an exchange between the branches (figure 3)."""

    def __init__(self, widths: Sequence[int], outputs: int) -> None:
        """Build it on branches of so many channels, finest first; it gives the first `outputs` of them."""
        super().__init__()
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(width) for _ in range(BLOCKS))) for width in widths)
        self.fuse_layers = nn.ModuleList(Fusion(widths, target) for target in range(outputs))

    def forward(self, branches: Sequence[Tensor]) -> list[Tensor]:
        """Take the feature maps of all branches, finest first; give those of the outputs."""
        refined = [blocks(branch) for blocks, branch in zip(self.branches, branches, strict=True)]
        return [fuse(refined) for fuse in self.fuse_layers]


def stage(widths: Sequence[int], modules: int, *, single_output: bool = False) -> nn.Sequential:
    """Make a row of exchanges; with `single_output`, the last one gives only the finest branch."""
    outputs = [len(widths)] * (modules - 1) + [1 if single_output else len(widths)]
    return nn.Sequential(*(Exchange(widths, count) for count in outputs))


class HRNet(nn.Module):
    """HRNet for pose: HRNet-W32, HRNet-W48, or any other width.

    Args:
        width: Channels of the finest branch; every further one has twice those of the one before.
        joints: How many heat maps it gives.
    """

    def __init__(self, width: int = 32, joints: int = 17) -> None:
        """Build it with the weights that training begins with."""
        super().__init__()
        two, three, four = (tuple(width << branch for branch in range(count)) for count in (2, 3, 4))
        self.conv1 = conv(3, STEM_WIDTH, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(STEM_WIDTH)
        self.conv2 = conv(STEM_WIDTH, STEM_WIDTH, 3, stride=2)
        self.bn2 = nn.BatchNorm2d(STEM_WIDTH)
        self.layer1 = bottlenecks(BLOCKS, STEM_WIDTH, STEM_WIDTH)
        self.transition1 = Transition((STEM_WIDTH * EXPANSION,), two)
        self.stage2 = stage(two, modules=1)
        self.transition2 = Transition(two, three)
        self.stage3 = stage(three, modules=4)
        self.transition3 = Transition(three, four)
        self.stage4 = stage(four, modules=3, single_output=True)
        self.final_layer = nn.Conv2d(width, joints, 1)
        initialise(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """Find joints.

        Args:
            pictures: Shape (n, 3, height, width), RGB, normalised with ImageNet's mean and deviation; sides are
                multiples of 32 (`sizes.check_size`).

        Returns:
            Heat maps, shape (n, joints, height / 4, width / 4).
        """
        stem = functional.relu(self.bn1(self.conv1(pictures)), inplace=True)
        stem = functional.relu(self.bn2(self.conv2(stem)), inplace=True)
        branches = self.stage2(self.transition1([self.layer1(stem)]))
        branches = self.stage3(self.transition2(branches))
        (finest,) = self.stage4(self.transition3(branches))
        heatmaps: Tensor = self.final_layer(finest)
        return heatmaps
