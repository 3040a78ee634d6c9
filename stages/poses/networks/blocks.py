"""What both networks are made of: residual blocks (He et al., CVPR 2016), and the weights that training begins with.

Attributes and positions in containers are named as in the official state dicts, so that those load as they are.
"""

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EXPANSION", "BasicBlock", "Bottleneck", "bottlenecks", "conv", "conv_norm", "conv_norm_relu", "initialise"]

EXPANSION: Final = 4
"""A bottleneck gives so many times the channels of its middle convolution."""


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution without bias that keeps the resolution, but for its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


def conv_norm(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Make a convolution and its batch normalisation."""
    return nn.Sequential(conv(inputs, outputs, size, stride), nn.BatchNorm2d(outputs))


def conv_norm_relu(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    """Make a convolution, its batch normalisation and a ReLU."""
    return nn.Sequential(*conv_norm(inputs, outputs, size, stride), nn.ReLU(inplace=True))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; channels and resolution stay."""

    def __init__(self, width: int) -> None:
        """Build it with `width` channels."""
        super().__init__()
        self.conv1 = conv(width, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Take and give (n, width, h, w)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = self.bn2(self.conv2(y))
        return functional.relu(y + x, inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside a shortcut. The 3x3 one has the stride, as in both official codes."""

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        """Build it with `width` channels in the middle and 4 * `width` at the end."""
        super().__init__()
        outputs = width * EXPANSION
        self.conv1 = conv(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        keeps_shape = stride == 1 and inputs == outputs
        self.downsample = nn.Identity() if keeps_shape else conv_norm(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Take (n, inputs, h, w), give (n, 4 * width, h / stride, w / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)), inplace=True)
        y = functional.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        return functional.relu(y + self.downsample(x), inplace=True)


def bottlenecks(count: int, inputs: int, width: int, stride: int = 1) -> nn.Sequential:
    """Make a row of bottlenecks; the first one changes channels and resolution."""
    rest = (Bottleneck(width * EXPANSION, width) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(inputs, width, stride), *rest)


def initialise(network: nn.Module) -> None:
    """Give the weights that training begins with: normal with deviation 0.001, biases 0, normalisations 1 and 0.

    The official codes of both papers begin so where they have no weights of ImageNet. Layers on the device `meta` have
    no weights, so there is nothing to do; PyTorch would load its symbolic algebra for it, for seconds.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and not layer.weight.is_meta:
            nn.init.normal_(layer.weight, std=0.001)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
