from pathlib import Path

import pytest

from training.config import TrainConfig, read_config

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("path", sorted(DOCS.glob("training-*.yaml")), ids=lambda path: path.name)
def test_an_example_can_be_read(path: Path) -> None:
    assert read_config(path).out is not None


def test_the_guide_names_every_option() -> None:
    text = (DOCS / "training.md").read_text(encoding="utf-8")

    for name, field in TrainConfig.model_fields.items():
        assert f"`{name}`" in text, name
        for option in getattr(field.annotation, "model_fields", {}):
            assert f"`{option}`" in text, f"{name}.{option}"
