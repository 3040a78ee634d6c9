from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from training.config import differences, read_config

Write = Callable[..., Path]


def test_what_is_not_written_down_is_as_in_the_official_training(tmp_path: Path) -> None:
    path = tmp_path / "coco.yaml"
    path.write_text("data: {coco: there}")

    config = read_config(path)

    assert config.network.title == "HRNet-W32"
    assert (config.epochs, config.optimiser.kind, config.optimiser.lr) == (210, "adam", 1e-3)
    assert config.out == Path("runs/train/coco")


def test_overrides_come_last(training_file: Write) -> None:
    config = read_config(training_file(), ["optimiser.lr=1e-4", "epochs=7", "schedule={kind: cosine}"])

    assert (config.optimiser.lr, config.epochs, config.schedule.kind) == (1e-4, 7, "cosine")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lr=1", "unknown option 'optimizer'. Did you mean 'optimiser'?"),
        ("optimiser.rate=1", "optimiser.rate: unknown option 'rate'"),
        ("data.train.pictures=a", "data.train.pictures: unknown option 'pictures'"),
        ("network={architecture: poseresnet, size: 18}", "no PoseResNet of depth 18"),
        ("target.image_size=[100, 100]", "multiples of 32"),
        ("ema=1", "ema: Input should be less than 1, got 1"),
        ("epochs", "must be dotted.path=value"),
        (".lr=1", "must be dotted.path=value"),
        ("epochs={", "not valid YAML"),
    ],
)
def test_what_is_wrong_is_said(training_file: Write, override: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(training_file(), [override])

    assert said in str(caught.value)


def test_a_poseresnet_sees_colours_as_the_official_ones_do(training_file: Write) -> None:
    networks = ["{architecture: hrnet, size: 48}", "{architecture: poseresnet, size: 50}"]

    seen = [read_config(training_file(), [f"network={network}"]).network.channels for network in networks]

    assert seen == ["rgb", "bgr"]


def test_differences_are_named_by_their_path() -> None:
    old = {"a": {"b": 1, "c": 2}, "d": None}

    assert list(differences(old, {"a": {"b": 1, "c": 3}, "d": {"e": 1}})) == [("a.c", 2, 3), ("d", None, {"e": 1})]
