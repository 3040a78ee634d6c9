import re

import pytest

from pipeline.errors import UnknownPlugin
from stages.zoo import MODELS, Model
from stages.zoo.entries import Url, lookup, siblings


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_an_entry_can_be_fetched_and_verified(model: Model) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
    assert model.size_bytes is None or model.size_bytes > 1_000_000
    assert model.licence.spdx
    assert not isinstance(model.origin, Url) or model.origin.address.startswith("https://")
    assert model in siblings(model)


@pytest.mark.parametrize("column", ["name", "file_name", "sha256"])
def test_no_two_entries_share(column: str) -> None:
    assert len({getattr(model, column) for model in MODELS.values()}) == len(MODELS)


@pytest.mark.parametrize("name", ["yolo11n-pose", "yolo11n-pose.pt"])
def test_a_model_is_found_by_name_and_by_file_name(name: str) -> None:
    assert lookup(name) is MODELS["yolo11n-pose"]


def test_an_unknown_name_offers_the_closest() -> None:
    with pytest.raises(
        UnknownPlugin, match=r"unknown model 'blazepose-detecter'\. Did you mean 'blazepose-detector'\?"
    ):
        lookup("blazepose-detecter")


def test_models_of_one_wheel_come_together() -> None:
    together = [model.name for model in siblings(MODELS["blazepose-detector"])]
    assert together == ["blazepose-detector", "blazepose-landmark-full"]
