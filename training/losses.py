"""How far heat maps are from what they should be."""

from typing import Annotated

from pydantic import Field
from torch import Tensor

from pipeline import plugin
from pipeline.errors import ConfigError

__all__ = ["LossOptions", "heatmap_loss"]


class LossOptions(plugin.Options):
    """What is made small."""

    hardest_joints: Annotated[int, Field(ge=1)] | None = None
    """Only the joints of each person that are furthest off count, so many of them (online hard keypoint mining, Chen et
    al., "Cascaded Pyramid Network", CVPR 2018, section 3.2; there 8 of 17). None: all of them."""

    def check(self, joints: int) -> None:
        """See that there are so many joints.

        Raises:
            ConfigError: There are fewer.
        """
        if self.hardest_joints is not None and self.hardest_joints > joints:
            msg = f"loss.hardest_joints must be at most the {joints} joints of the data set, got {self.hardest_joints}"
            raise ConfigError(msg)


def heatmap_loss(predicted: Tensor, targets: Tensor, weights: Tensor, options: LossOptions) -> Tensor:
    """Take half of the mean squared error, as the official code does (lib/core/loss.py), in float32.

    Weights multiply both maps, so they act by their square. A joint of weight 0 counts as one without error.

    Args:
        predicted: Shape (n, k, h, w), of any floating-point type.
        targets: Shape (n, k, h, w).
        weights: How much each joint counts, shape (n, k).
        options: Which joints count.

    Returns:
        One number; the mean over people and joints, or over the hardest joints of each person.
    """
    away = (predicted.float() - targets) ** 2
    errors = 0.5 * away.mean(dim=(2, 3)) * weights**2
    if options.hardest_joints is not None:
        errors = errors.topk(options.hardest_joints, dim=1).values
    return errors.mean()
