"""PoseResNet (Xiao, Wu, Wei: Simple Baselines for Human Pose Estimation and Tracking, ECCV 2018).

A ResNet without its classifier, then three transposed convolutions that bring its coarse features up to a quarter of
the input's resolution (section 2, figure 1).

Attributes and positions in containers are named as in the official state dicts, so that those load as they are.
"""

from collections.abc import Iterator
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from pipeline.errors import ConfigError
from stages.poses.networks.blocks import EXPANSION, bottlenecks, initialise

__all__ = ["LAYERS", "PoseResNet"]

LAYERS: Final = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
"""Depth -> how many bottlenecks each of the four layers has (He et al., CVPR 2016, table 1)."""

HEAD_WIDTH: Final = 256
"""Channels of the transposed convolutions (Simple Baselines, section 2)."""


def _doubling(inputs: int) -> Iterator[nn.Module]:
    """Make a transposed convolution that doubles the resolution, its normalisation and a ReLU."""
    yield nn.ConvTranspose2d(inputs, HEAD_WIDTH, 4, stride=2, padding=1, bias=False)
    yield nn.BatchNorm2d(HEAD_WIDTH)
    yield nn.ReLU(inplace=True)


class PoseResNet(nn.Module):
    """PoseResNet-50, -101 or -152.

    Args:
        depth: 50, 101 or 152.
        joints: How many heat maps it gives.

    Raises:
        ConfigError: There is no such depth.
    """

    def __init__(self, depth: int = 50, joints: int = 17) -> None:
        """Build it with the weights that training begins with; its authors begin with ResNet's of ImageNet."""
        super().__init__()
        if depth not in LAYERS:
            msg = f"there is no PoseResNet of depth {depth}: expected one of {', '.join(map(str, LAYERS))}"
            raise ConfigError(msg)
        first, second, third, fourth = LAYERS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = bottlenecks(first, 64, 64)
        self.layer2 = bottlenecks(second, 64 * EXPANSION, 128, stride=2)
        self.layer3 = bottlenecks(third, 128 * EXPANSION, 256, stride=2)
        self.layer4 = bottlenecks(fourth, 256 * EXPANSION, 512, stride=2)
        self.deconv_layers = nn.Sequential(*_doubling(512 * EXPANSION), *_doubling(HEAD_WIDTH), *_doubling(HEAD_WIDTH))
        self.final_layer = nn.Conv2d(HEAD_WIDTH, joints, 1)
        initialise(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """Find joints.

        Args:
            pictures: Shape (n, 3, height, width), normalised with ImageNet's mean and deviation; sides are multiples of
                32 (`sizes.check_size`). In the order of colours of the training: official weights want BGR.

        Returns:
            Heat maps, shape (n, joints, height / 4, width / 4).
        """
        x = self.maxpool(functional.relu(self.bn1(self.conv1(pictures)), inplace=True))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        heatmaps: Tensor = self.final_layer(self.deconv_layers(x))
        return heatmaps
