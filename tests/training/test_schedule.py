import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn, optim

from training.optimising import OptimiserOptions, make_optimiser
from training.schedule import ScheduleOptions, rate_factor


def test_the_rate_falls_at_each_milestone() -> None:
    options = ScheduleOptions(milestones=(2, 4))

    assert [rate_factor(options, epoch, 5) for epoch in (0, 1.99, 2, 4)] == pytest.approx([1, 1, 0.1, 0.01])


def test_the_rate_follows_half_a_wave_down_to_the_floor() -> None:
    options = ScheduleOptions(kind="cosine", floor=0.2)

    assert [rate_factor(options, epoch, 10) for epoch in (0, 5, 10)] == pytest.approx([1, 0.6, 0.2])


def test_the_rate_rises_in_a_straight_line_at_first() -> None:
    options = ScheduleOptions(warm_up_epochs=2)

    assert [rate_factor(options, epoch, 10) for epoch in (0, 1, 2, 3)] == pytest.approx([0.001, 0.5005, 1, 1])


@given(st.sampled_from(["step", "cosine"]), st.floats(0, 300), st.floats(0, 5), st.floats(0, 1))
def test_no_rate_is_negative_or_more_than_all(kind: str, epoch: float, warm_up: float, floor: float) -> None:
    options = ScheduleOptions.model_validate({"kind": kind, "warm_up_epochs": warm_up, "floor": floor})

    assert 0 <= rate_factor(options, epoch, 210) <= 1


@pytest.mark.parametrize(("kind", "expected"), [("adam", optim.Adam), ("adamw", optim.AdamW), ("sgd", optim.SGD)])
def test_filters_decay_and_biases_do_not(kind: str, expected: type[optim.Optimizer]) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    optimiser = make_optimiser(network, OptimiserOptions.model_validate({"kind": kind, "weight_decay": 0.1}))

    assert type(optimiser) is expected
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.1, 0.0]
    assert [len(group["params"]) for group in optimiser.param_groups] == [1, 3]
