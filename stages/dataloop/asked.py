"""What is asked for on the command line, found on the platform: a dataset, and some of its items."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from pipeline.errors import ConfigError
from stages.dataloop.annotating.annotate import Wanted
from stages.dataloop.errors import PlatformError
from stages.dataloop.items import Item, get_item

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform

__all__ = ["count_items", "find_dataset", "items_named", "items_of", "read_filter"]

Json = dict[str, Any]

_FILES: Final = ({"hidden": False}, {"type": "file"})
"""Not folders, and not what the platform keeps for itself."""
_NOT_FOUND: Final = 404
_BAD: Final = frozenset({400, _NOT_FOUND})


def find_dataset(platform: "Platform", dataset: str, project: str | None) -> Json:
    """Find a dataset.

    Args:
        platform: Where to look.
        dataset: Its id or its name.
        project: Id or name of the project it is in; may be left out with an id.

    Raises:
        ConfigError: A name without a project.
        PlatformError: There is none, or several.
    """
    if (found := _or_none(platform, f"/datasets/{quote(dataset, safe='')}")) is not None:
        return dict(found)
    if project is None:
        msg = f"no dataset has the id '{dataset}'; to find it by its name, say --project too"
        raise ConfigError(msg)
    project_id = _project_id(platform, project)
    body = {
        "filter": {"$and": [{"name": dataset}]},
        "page": 0,
        "pageSize": 1000,
        "resource": "datasets",
        "context": {"projects": [project_id]},
    }
    listed = platform.post("/datasets/query", body, repeatable=True)["items"]
    matching = [one for one in listed if one.get("name") == dataset and project_id in one.get("projects", ())]
    return _the_one(matching, "dataset", dataset)


def _project_id(platform: "Platform", project: str) -> str:
    asked = quote(project, safe="")
    found = _or_none(platform, f"/projects/{asked}")
    if found is None:
        found = _the_one(_or_none(platform, f"/projects/{asked}/name") or [], "project", project)
    return str(found["id"])


def _or_none(platform: "Platform", path: str) -> Any:  # noqa: ANN401 - a JSON value
    """Ask for something that may not be there; what is no id at all is refused in other words."""
    try:
        return platform.get(path)
    except PlatformError as error:
        if error.status in _BAD:
            return None
        raise


def _the_one(found: Sequence[Json], kind: str, name: str) -> Json:
    if len(found) == 1:
        return dict(found[0])
    what = f"{len(found)} {kind}s are" if found else f"no {kind} is"
    msg = f"{what} called '{name}'; see how it is spelt, or give its id"
    raise PlatformError(msg)


def read_filter(path: Path) -> Json:
    """Read a DQL filter: the conditions alone, or the whole query as the platform's web pages show it.

    Raises:
        ConfigError: It cannot be read, is no JSON object, or joins other things than items.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"cannot read the filter {path}: {error}"
        raise ConfigError(msg) from error
    if isinstance(tree, dict) and "join" in tree:
        msg = f"the filter {path} joins annotations, which is not understood here: leave 'join' out"
        raise ConfigError(msg)
    inner = tree.get("filter", tree) if isinstance(tree, dict) else tree
    if not isinstance(inner, dict):
        msg = f'the filter {path} must be a JSON object such as {{"dir": "/street"}}, got {tree!r}'
        raise ConfigError(msg)
    return inner


def items_of(platform: "Platform", dataset_id: str, conditions: Sequence[Mapping[str, Any]]) -> Iterator[Wanted]:
    """List the items of a dataset. One that the platform describes badly is found out when it is looked at.

    Raises:
        PlatformError: The platform does not answer, or refuses the conditions.
    """
    for listed in platform.query(dataset_id, "items", [*_FILES, *conditions]):
        yield Wanted(str(listed.get("id", "")), partial(Item.from_json, listed))


def count_items(platform: "Platform", dataset_id: str, conditions: Sequence[Mapping[str, Any]]) -> int:
    """Count the items that `items_of` would list.

    Raises:
        PlatformError: As `items_of`.
    """
    return platform.count(dataset_id, "items", [*_FILES, *conditions])


def items_named(platform: "Platform", ids: Sequence[str], dataset_id: str | None) -> Iterator[Wanted]:
    """Take items by their ids; each must be of the dataset, if one is given."""
    for item_id in ids:
        yield Wanted(item_id, partial(_look, platform, item_id, dataset_id))


def _look(platform: "Platform", item_id: str, dataset_id: str | None) -> Item:
    item = get_item(platform, item_id)
    if dataset_id not in {None, item.dataset_id}:
        msg = f"{item} is in the dataset {item.dataset_id}, not in {dataset_id}"
        raise PlatformError(msg)
    return item
