import pytest
import torch

from pipeline.errors import ConfigError
from training.losses import LossOptions, heatmap_loss


def test_a_perfect_map_costs_nothing() -> None:
    maps = torch.rand(2, 3, 8, 6)

    assert heatmap_loss(maps, maps, torch.ones(2, 3), LossOptions()) == 0


def test_the_loss_is_half_the_mean_of_squares() -> None:
    loss = heatmap_loss(torch.full((2, 3, 8, 6), 0.5), torch.zeros(2, 3, 8, 6), torch.ones(2, 3), LossOptions())

    assert loss.item() == pytest.approx(0.125)


def test_a_joint_without_weight_has_no_say() -> None:
    predicted = torch.rand(1, 2, 8, 6, requires_grad=True)
    heatmap_loss(predicted, torch.zeros(1, 2, 8, 6), torch.tensor([[1.0, 0.0]]), LossOptions()).backward()  # type: ignore[no-untyped-call]

    assert predicted.grad is not None
    assert predicted.grad[0, 0].abs().sum() > 0
    assert predicted.grad[0, 1].abs().sum() == 0


def test_only_the_hardest_joints_of_each_person_count() -> None:
    errors = torch.tensor([[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]])
    predicted = errors[..., None, None].sqrt().expand(2, 3, 8, 6)
    zeros, ones = torch.zeros(2, 3, 8, 6), torch.ones(2, 3)

    assert heatmap_loss(predicted, zeros, ones, LossOptions(hardest_joints=1)).item() == pytest.approx(9 / 4)
    assert heatmap_loss(predicted, zeros, ones, LossOptions(hardest_joints=2)).item() == pytest.approx(16 / 8)
    everything = heatmap_loss(predicted, zeros, ones, LossOptions())
    assert torch.isclose(heatmap_loss(predicted, zeros, ones, LossOptions(hardest_joints=3)), everything)


def test_half_precision_is_summed_in_full() -> None:
    loss = heatmap_loss(
        torch.full((1, 1, 64, 48), 300.0, dtype=torch.float16),
        torch.zeros(1, 1, 64, 48),
        torch.ones(1, 1),
        LossOptions(),
    )

    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(45_000)


def test_more_hard_joints_than_joints_are_an_error() -> None:
    LossOptions(hardest_joints=17).check(17)
    with pytest.raises(ConfigError, match="at most the 16 joints of the data set, got 17"):
        LossOptions(hardest_joints=17).check(16)
