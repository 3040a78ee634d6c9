"""What a command line names, found on the platform: items of a dataset, and items by their ids."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from dataloop_server import DataloopServer

from pipeline.errors import ConfigError
from stages.dataloop.annotating.annotate import Wanted
from stages.dataloop.asked import count_items, find_dataset, items_named, items_of, read_filter
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.port
    with Platform(attempts=1) as platform:
        yield platform


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "clip.mp4").write_bytes(b"x" * 10)
    return tmp_path / "clip.mp4"


def ids(found: Iterable[Wanted]) -> list[str]:
    return [wanted.item_id for wanted in found]


def test_the_files_of_a_dataset_are_listed_and_counted(
    dataloop: DataloopServer, platform: Platform, clip: Path
) -> None:
    first, second = dataloop.add_item(clip), dataloop.add_item(clip, filename="/other/clip.mp4")
    dataloop.store.change("items", dataloop.add_item(clip, filename="/hidden.mp4"), {"hidden": True})
    dataloop.store.change("items", dataloop.add_item(clip, filename="/folder"), {"type": "dir"})
    dataloop.add_item(clip, dataloop.add_dataset("another"))
    other = [{"filename": "/other/clip.mp4"}]

    assert ids(items_of(platform, dataloop.dataset_id, ())) == [first, second]
    assert count_items(platform, dataloop.dataset_id, ()) == 2
    assert ids(items_of(platform, dataloop.dataset_id, other)) == [second]
    assert count_items(platform, dataloop.dataset_id, other) == 1


def test_an_item_that_is_described_badly_spoils_only_itself(
    dataloop: DataloopServer, platform: Platform, clip: Path
) -> None:
    whole, vague = dataloop.add_item(clip), dataloop.add_item(clip, size=None)

    found = {wanted.item_id: wanted.look for wanted in items_of(platform, dataloop.dataset_id, ())}

    assert found[whole]().id == whole
    with pytest.raises(PlatformError, match=r"metadata\.system\.size"):
        found[vague]()


def test_items_that_are_named_are_looked_up_one_by_one(
    dataloop: DataloopServer, platform: Platform, clip: Path
) -> None:
    here, elsewhere = dataloop.add_item(clip), dataloop.add_item(clip, dataloop.add_dataset("elsewhere"))

    first, second, third = items_named(platform, [here, elsewhere, "../users/me"], dataloop.dataset_id)

    assert first.look().id == here
    with pytest.raises(PlatformError, match=f"is in the dataset .*, not in {dataloop.dataset_id}"):
        second.look()
    with pytest.raises(PlatformError, match="404"):
        third.look()


def test_a_dataset_has_an_id_or_a_name_in_a_project(dataloop: DataloopServer, platform: Platform) -> None:
    for dataset, project in (
        (dataloop.dataset_id, None), ("street", "people"), ("street", dataloop.project_id),
    ):  # fmt: skip
        assert find_dataset(platform, dataset, project)["id"] == dataloop.dataset_id


def test_of_two_datasets_of_one_name_none_is_guessed(dataloop: DataloopServer, platform: Platform) -> None:
    dataloop.add_dataset("street")

    with pytest.raises(PlatformError, match=r"2 datasets are called 'street'.*give its id"):
        find_dataset(platform, "street", "people")


@pytest.mark.parametrize("text", ["[]", "7", "{", '{"filter": []}', '{"filter": {}, "join": {}}'])
def test_a_filter_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "dql.json").write_text(text)

    with pytest.raises(ConfigError, match=r"dql\.json"):
        read_filter(tmp_path / "dql.json")
