"""A real account, for who has one; what no server of ours can vouch for.

    export KINESTREAM_DATALOOP_TOKEN=... KINESTREAM_DATALOOP_DATASET=ID
    export KINESTREAM_DATALOOP_URL=...      # unless it is https://gate.dataloop.ai/api/v1
    pytest tests/stages/dataloop/test_account.py

The dataset is one for tests: a short video or a picture with people must be in it, and it gets labels and a template.
Its first item is annotated twice and read back; what was annotated is deleted at the end.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.skeletons import COCO_17
from stages.dataloop.connection.platform import Platform
from stages.dataloop.items import Item, get_item

OURS = {"metadata.system.model.name": "kinestream"}

Json = dict[str, Any]


def kinestream(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["dataloop", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def dataset_id(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Log in to the account, if there is one."""
    given = {name: os.environ.get(f"KINESTREAM_DATALOOP_{name}", "") for name in ("TOKEN", "DATASET", "URL")}
    if not (given["TOKEN"] and given["DATASET"]):
        pytest.skip("no account: set KINESTREAM_DATALOOP_TOKEN and KINESTREAM_DATALOOP_DATASET")
    monkeypatch.setenv("DATALOOP_TOKEN", given["TOKEN"])
    monkeypatch.setenv("DATALOOP_URL", given["URL"])
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    return given["DATASET"]


@pytest.fixture
def platform(dataset_id: str) -> Iterator[Platform]:
    assert dataset_id
    with Platform.from_environment() as platform:
        yield platform


@pytest.fixture
def item(platform: Platform, dataset_id: str) -> Iterator[Item]:
    """Take the first item that can be annotated, and leave nothing of ours on it."""
    for listed in platform.query(dataset_id, "items", [{"hidden": False}, {"type": "file"}]):
        item = get_item(platform, str(listed["id"]))
        if not item.refusal:
            break
    else:
        pytest.fail(f"the dataset {dataset_id} has neither a video nor a picture")
    yield item
    platform.delete_where(item.dataset_id, "annotations", [{"itemId": item.id}, OURS])


def annotate(item: Item) -> Json:
    return dict(json.loads(kinestream("annotate", "--item", item.id, "--json"))["items"][0])


@pytest.mark.timeout(1800)
def test_an_item_of_an_account_is_annotated_once_however_often(platform: Platform, dataset_id: str, item: Item) -> None:
    kinestream("setup", "--dataset", dataset_id)
    assert kinestream("setup", "--dataset", dataset_id) == "nothing to do\n"
    kinestream("doctor", "--dataset", dataset_id)

    first, second = annotate(item), annotate(item)

    assert first["warnings"] == []
    assert second["annotations"] == first["annotations"] > 0
    found = list(platform.query(item.dataset_id, "annotations", [{"itemId": item.id}, OURS]))
    kinds = Counter(one["type"] for one in found)
    assert (len(found), kinds["pose"]) == (second["annotations"], second["people"])
    assert {one["label"] for one in found if one["type"] == "point"} <= set(COCO_17.joints)
    poses = {one["id"] for one in found if one["type"] == "pose"}
    assert {one["metadata"]["system"]["parentId"] for one in found if one["type"] != "pose"} <= poses
