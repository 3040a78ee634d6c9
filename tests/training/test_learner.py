from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from training.accuracy import found_joints
from training.config import read_config
from training.datasets import read_people
from training.learner import Diverged, Learner
from training.loading import Batch, open_loader
from training.peers import Peers
from training.starting import begin

Make = Callable[..., tuple[Learner, list[Batch]]]
pytestmark = pytest.mark.usefixtures("one_thread")

PEERS = Peers(torch.device("cpu"))


@pytest.fixture
def make(training_file: Callable[..., Path]) -> Make:
    def learner_and_batches(*overrides: str) -> tuple[Learner, list[Batch]]:
        config = read_config(training_file(4), overrides)
        people = read_people(config.data.train_files())
        with open_loader(people, config.target, config.augmentation, config.loading, seed=1) as loader:
            batches = list(loader.epoch(0))
        return Learner(begin(config.network, people, 1).network, config, PEERS), batches

    return learner_and_batches


def weights(learner: Learner) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in learner.network.parameters()]


@pytest.mark.parametrize("precision", ["f32", "bf16", "f16"])
def test_the_loss_falls_in_any_precision(make: Make, precision: str) -> None:
    learner, batches = make(f"precision={precision}")

    losses = [learner.step(batches[:1], 1e-3).loss for _ in range(8)]

    assert min(losses[4:]) < losses[0]


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_every_optimiser_moves_the_weights(make: Make, kind: str) -> None:
    learner, batches = make(f"optimiser.kind={kind}")
    before = weights(learner)

    learner.step(batches[:1], 1e-2)

    assert any(not torch.equal(old, new) for old, new in zip(before, weights(learner), strict=True))


def test_two_batches_together_give_the_mean_of_their_losses(make: Make) -> None:
    first, second = (make()[0].step([batch], 0).loss for batch in make()[1])
    learner, batches = make()

    # At the rate 0 nothing moves, but normalisation sees each batch by itself, so the losses are exact.
    assert learner.step(batches, 0).loss == pytest.approx((first + second) / 2, rel=1e-6)


def test_gradients_are_cut_down_to_a_norm(make: Make) -> None:
    learner, batches = make("optimiser.clip=1e-3")

    told = learner.step(batches[:1], 1e-3).gradient

    norms = [weight.grad.norm() for weight in learner.network.parameters() if weight.grad is not None]
    assert told > 1e-3
    assert torch.stack(norms).norm() == pytest.approx(1e-3, rel=1e-2)


def test_a_loss_that_is_no_number_leaves_the_weights_as_they_are(make: Make) -> None:
    learner, batches = make("ema=0.9")
    before = weights(learner)
    broken = batches[0]._replace(weights=torch.full_like(batches[0].weights, torch.inf))

    with pytest.raises(Diverged, match="loss is"):
        learner.step([broken], 1e-3)

    assert all(torch.equal(old, new) for old, new in zip(before, weights(learner), strict=True))


def test_the_mean_of_the_weights_follows_them_and_is_what_is_kept(make: Make) -> None:
    learner, batches = make("ema=0.999")
    for _ in range(3):
        learner.step(batches[:1], 1e-2)

    own, mean = learner.network.state_dict(), learner.state()["state_dict"]

    assert own.keys() == mean.keys()
    assert not torch.equal(own["conv2.weight"], mean["conv2.weight"])
    assert not torch.equal(own["bn1.running_mean"], mean["bn1.running_mean"])
    assert mean["bn1.num_batches_tracked"] == 3


@pytest.mark.parametrize("overrides", [(), ("ema=0.9",), ("precision=f16",), ("optimiser.kind=sgd",)])
def test_a_restored_learner_goes_on_to_the_last_bit(make: Make, tmp_path: Path, overrides: tuple[str, ...]) -> None:
    learner, batches = make(*overrides)
    learner.step(batches[:1], 1e-2)
    torch.save(learner.state(), tmp_path / "state")
    other, _ = make(*overrides)
    other.restore(torch.load(tmp_path / "state", weights_only=True))

    expected = [learner.step(batches[1:], 1e-2) for _ in range(3)]

    assert [other.step(batches[1:], 1e-2) for _ in range(3)] == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_compiled_network_learns_the_same(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced and taken apart as for any device; only C++, which takes minutes here, is not made of it."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    learner, batches = make("compile=true")
    plain, _ = make()

    assert learner.step(batches[:1], 1e-3).loss == pytest.approx(plain.step(batches[:1], 1e-3).loss, rel=1e-3)
    assert all(
        name.startswith(("conv", "bn", "layer", "trans", "stage", "final")) for name in learner.state()["state_dict"]
    )


def test_joints_are_found_where_the_peak_is_near() -> None:
    cells = torch.tensor([[[10.0, 20.0], [30.0, 5.0], [1.0, 1.0]]])
    maps = torch.zeros(1, 3, 64, 48)
    maps[0, 0, 20, 11] = maps[0, 1, 5, 33] = 1  # one cell away, and three: 48 / 20 is in between

    assert found_joints(maps, cells, torch.tensor([[1.0, 1.0, 0.0]])) == 0.5
    assert found_joints(maps, cells, torch.zeros(1, 3)) == 0
