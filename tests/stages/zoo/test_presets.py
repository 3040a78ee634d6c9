"""The presets that need a network ask for models that the zoo knows, and are checked without fetching any."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.config import build_config
from stages.zoo.entries import lookup

NAMES = ("balanced", "accurate")


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_is_checked_without_its_weights(
    name: str, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESTREAM_OFFLINE", "1")
    config = tmp_path / "mine.yaml"
    config.write_text(f"preset: {name}\nsources: [synthetic]\nrun: {{out: {tmp_path / 'out'}}}\n")
    done = CliRunner().invoke(app, ["check", str(config)])
    assert done.exit_code == 0, done.output
    words = "source synthetic detect ultralytics pose hrnet track kinesort sink jsonl sink video fits together"
    assert " ".join(done.stdout.split()) == words
    assert not own_cache.exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_models_of_a_preset_are_known_by_their_hash(name: str) -> None:
    config = build_config({"preset": name, "sources": ["synthetic"]})
    assert config.detect is not None
    assert config.pose is not None
    detector, pose = (lookup(str(entry.options["weights"])) for entry in (config.detect, config.pose))
    assert (detector.task, detector.is_pinned) == ("person detection", True)
    assert (pose.task, pose.is_pinned) == ("pose of one person", True)
