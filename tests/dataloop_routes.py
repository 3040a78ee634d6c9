"""What the test server of the Dataloop platform answers: method, path, and what is done with the store."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from dataloop_query import BadFilter
from dataloop_rules import Refused
from dataloop_store import NotThere, Store

__all__ = ["Answer", "answer"]


@dataclass(frozen=True)
class Answer:
    """What a route gives."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None


def answer(store: Store, method: str, path: str, query: str, body: Any) -> Answer:
    """Answer a request that comes with a valid token."""
    for known, pattern, route in _ROUTES:
        found = re.fullmatch(pattern, path)
        if found and known == method:
            return _tried(route, store, [unquote(part) for part in found.groups()], query, body)
    return Answer(404, {"message": f"no route for {method} {path}"})


def _tried(route: "Route", store: Store, ids: list[str], query: str, body: Any) -> Answer:
    try:
        return route(store, ids, query, body)
    except NotThere as error:
        return Answer(404, {"message": str(error)})
    except (Refused, BadFilter) as error:
        return Answer(400, {"message": str(error)})


Route = Callable[[Store, list[str], str, Any], Answer]


def _get(kind: str) -> Route:
    return lambda store, ids, _, __: Answer(200, store.get(kind, ids[0]))


def _change(kind: str) -> Route:
    return lambda store, ids, _, body: Answer(200, store.change(kind, ids[0], body))


def _add(kind: str) -> Route:
    return lambda store, _, __, body: Answer(200, store.add(kind, body))


def _remove(kind: str) -> Route:
    def route(store: Store, ids: list[str], _: str, __: Any) -> Answer:
        store.remove(kind, ids[0])
        return Answer(200)

    return route


def _change_annotation(store: Store, ids: list[str], query: str, body: Any) -> Answer:
    """Merge a diff; `metadata.system` is the platform's own, and changed on request only."""
    if "system=true" not in query and "system" in (body.get("metadata") or {}) and store.strict:
        return Answer(400, {"message": "metadata.system can be changed with ?system=true only"})
    return Answer(200, store.change("annotations", ids[0], body))


def _change_recipe(store: Store, ids: list[str], query: str, body: Any) -> Answer:
    """Merge; templates without an id get one."""
    if "system=true" not in query:
        body = {**body, "metadata": {key: value for key, value in body.get("metadata", {}).items() if key != "system"}}
    recipe = store.change("recipes", ids[0], body)
    for template in recipe["metadata"].get("system", {}).get("collectionTemplates", []):
        template["id"] = template.get("id") or store.new_id()
    return Answer(200, recipe)


def _upsert_labels(store: Store, ids: list[str], _: str, body: Any) -> Answer:
    roots = {root["value"]["tag"]: root for root in store.get("ontologies", ids[0])["roots"]}
    for node in body["labelsNode"]:
        label = node.get("value", node)
        roots[label["tag"]] = {"value": label, "children": node.get("children", [])}
    return Answer(200, store.change("ontologies", ids[0], {"roots": list(roots.values())}))


def _query_datasets(store: Store, _: list[str], __: str, body: Any) -> Answer:
    names = [part["name"] for part in body.get("filter", {}).get("$and", []) if "name" in part]
    found = [entry for entry in store.kinds["datasets"].values() if not names or entry["name"] in names]
    reply = {"items": found, "totalItemsCount": len(found), "totalPagesCount": 1, "hasNextPage": False}
    return Answer(200, reply)


def _by_name(store: Store, ids: list[str], _: str, __: Any) -> Answer:
    return Answer(200, [entry for entry in store.kinds["projects"].values() if entry["name"] == ids[0]])


_ID = r"([^/]+)"
_ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", "/users/me", lambda *_: Answer(200, {"id": "robot@example.com"})),
    ("GET", f"/projects/{_ID}/name", _by_name),
    ("GET", f"/projects/{_ID}", _get("projects")),
    ("POST", "/datasets/query", _query_datasets),
    ("GET", f"/datasets/{_ID}", _get("datasets")),
    ("PATCH", f"/datasets/{_ID}", _change("datasets")),
    ("POST", f"/datasets/{_ID}/query", lambda store, ids, _, body: Answer(200, store.query(ids[0], body))),
    ("GET", f"/items/{_ID}", _get("items")),
    ("PATCH", f"/items/{_ID}", _change("items")),
    ("DELETE", f"/items/{_ID}", _remove("items")),
    ("GET", f"/items/{_ID}/stream", lambda store, ids, _, __: Answer(200, store.files[ids[0]])),
    ("POST", f"/items/{_ID}/annotations",
     lambda store, ids, _, body: Answer(201, store.annotate(ids[0], body))),
    ("GET", f"/annotations/{_ID}", _get("annotations")),
    ("PUT", f"/annotations/{_ID}", _change_annotation),
    ("DELETE", f"/annotations/{_ID}", _remove("annotations")),
    ("GET", f"/recipes/{_ID}", _get("recipes")),
    ("POST", "/recipes", _add("recipes")),
    ("PATCH", f"/recipes/{_ID}", _change_recipe),
    ("DELETE", f"/recipes/{_ID}", _remove("recipes")),
    ("GET", f"/ontologies/{_ID}", _get("ontologies")),
    ("POST", "/ontologies", _add("ontologies")),
    ("PUT", f"/ontologies/{_ID}", _change("ontologies")),
    ("PATCH", f"/ontologies/{_ID}/labels", _upsert_labels),
    ("GET", f"/ml/models/{_ID}", _get("models")),
    ("PATCH", f"/ml/models/{_ID}", _change("models")),
)  # fmt: skip
