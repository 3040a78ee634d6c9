"""What the test server of the Dataloop platform holds: entities as JSON objects, by kind and id, and their queries."""

import copy
import itertools
import json
import mimetypes
import threading
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dataloop_query import keyset, matcher, value_at
from dataloop_rules import Refused, check_annotation

__all__ = ["NotThere", "Store", "merged"]

Json = dict[str, Any]

_FIRST_ID = 0x64B000000000000000000000
_KEPT_QUERIES = 16
_PARENT = ["metadata", "system", "parentId"]
_KINDS = ("projects", "datasets", "recipes", "ontologies", "models", "items", "annotations")


class NotThere(Exception):
    """There is no such entity."""


class Store:
    """Safe to use from any thread.

    Args:
        url: Base of all addresses, `http://127.0.0.1:1234/api/v1`.
        strict: Refuse what no viewer could show as it was meant.
    """

    def __init__(self, url: str, *, strict: bool = True) -> None:
        self.url = url
        self.strict = strict
        self.cascade = False
        """Deleting an annotation deletes its children: not known of the real platform."""
        self.kinds: dict[str, dict[str, Json]] = {kind: {} for kind in _KINDS}
        self.files: dict[str, Path] = {}
        """Item -> where its bytes are."""
        self.lock = threading.RLock()
        self._ids = itertools.count(_FIRST_ID + 1)
        self._of_item: dict[str, dict[str, Json]] = {}
        self._children: defaultdict[str, list[str]] = defaultdict(list)
        self._found: OrderedDict[tuple[int, str], list[str]] = OrderedDict()
        self._version = 0

    def new_id(self) -> str:
        return f"{next(self._ids):024x}"

    def get(self, kind: str, entity_id: str) -> Json:
        found = self.kinds[kind].get(entity_id)
        if found is None:
            msg = f"{kind} {entity_id} not found"
            raise NotThere(msg)
        return found

    def add(self, kind: str, entity: Json) -> Json:
        """Keep an entity; it gets an id if it has none, and its times."""
        now = _now()
        entity = {**entity, "id": entity.get("id") or self.new_id()}
        entity |= {"createdAt": entity.get("createdAt") or now, "updatedAt": now, "creator": "me@example.com"}
        with self.lock:
            self.kinds[kind][entity["id"]] = entity
            self._version += 1
        return entity

    def change(self, kind: str, entity_id: str, diff: Json) -> Json:
        """Lay `diff` on an entity, deep."""
        with self.lock:
            changed: Json = merged(self.get(kind, entity_id), diff) | {"id": entity_id, "updatedAt": _now()}
            if kind == "annotations":
                self._check(changed, self.get("items", changed["itemId"]))
                self._of_item[changed["itemId"]][entity_id] = changed
            self.kinds[kind][entity_id] = changed
            self._version += 1
        return changed

    def add_item(self, path: Path, dataset_id: str, *, filename: str | None = None, **system: Any) -> Json:
        """Make an item of a file, whose bytes stay where they are.

        Args:
            path: The file.
            dataset_id: Where the item goes.
            filename: Remote path; by default the file's name at the top.
            system: `mimetype, width, height, fps, frame_count`, and what else goes into `metadata.system`.
        """
        filename = filename or f"/{path.name}"
        fps, frame_count = system.pop("fps", None), system.pop("frame_count", None)
        system = {"size": path.stat().st_size, "mimetype": mimetypes.guess_type(path.name)[0], **system}
        if frame_count is not None:
            system["ffmpeg"] = {"nb_read_frames": str(frame_count)}
        folder, _, name = filename.rpartition("/")
        item_id = self.new_id()
        item = {
            "id": item_id, "datasetId": dataset_id, "projectId": self.get("datasets", dataset_id)["projects"][0],
            "filename": filename, "name": name, "dir": folder or "/", "type": "file", "hidden": False,
            "annotated": False, "annotationsCount": 0, "url": f"{self.url}/items/{item_id}",
            "dataset": f"{self.url}/datasets/{dataset_id}", "stream": f"{self.url}/items/{item_id}/stream",
            "metadata": {"system": system} | ({} if fps is None else {"fps": fps}),
        }  # fmt: skip
        self.files[item_id] = path
        self._of_item[item_id] = {}
        return self.add("items", item)

    def annotations(self, item_id: str) -> list[Json]:
        """Give what is annotated on an item, in the order it came."""
        with self.lock:
            self.get("items", item_id)
            return list(self._of_item[item_id].values())

    def annotate(self, item_id: str, body: Any) -> list[Json]:
        """Keep annotations: all or none."""
        batch = body if isinstance(body, list) else [body]
        with self.lock:
            item = self.get("items", item_id)
            for annotation in batch:
                self._check(annotation, item)
            return [self._annotate(item, annotation) for annotation in batch]

    def _annotate(self, item: Json, annotation: Json) -> Json:
        annotation_id = self.new_id()
        kept = self.add(
            "annotations",
            {
                **annotation, "id": annotation_id, "createdAt": None, "itemId": item["id"],
                "datasetId": item["datasetId"], "updatedBy": "me@example.com", "hash": "",
                "url": f"{self.url}/annotations/{annotation_id}", "item": item["url"], "dataset": item["dataset"],
                "metadata": annotation.get("metadata") or {},
            },
        )  # fmt: skip
        self._of_item[item["id"]][annotation_id] = kept
        self._children[value_at(kept, _PARENT)].append(annotation_id)
        self._count(item)
        return kept

    def _check(self, annotation: Any, item: Json) -> None:
        if self.strict:
            check_annotation(annotation, item, self.kinds["annotations"].get)
        elif not isinstance(annotation, dict):
            msg = "an annotation must be an object"
            raise Refused(msg)

    def _count(self, item: Json) -> None:
        count = len(self._of_item[item["id"]])
        self.kinds["items"][item["id"]] |= {"annotationsCount": count, "annotated": count > 0}

    def remove(self, kind: str, entity_id: str) -> None:
        with self.lock:
            entity = self.get(kind, entity_id)
            del self.kinds[kind][entity_id]
            self._version += 1
            if kind == "annotations":
                self._remove_from_item(entity)
            elif kind == "items":
                for annotation_id in self._of_item.pop(entity_id):
                    del self.kinds["annotations"][annotation_id]

    def _remove_from_item(self, annotation: Json) -> None:
        of_item = self._of_item[annotation["itemId"]]
        del of_item[annotation["id"]]
        self._count(self.get("items", annotation["itemId"]))
        if self.cascade:
            for child in self._children[annotation["id"]]:
                if child in self.kinds["annotations"]:
                    self.remove("annotations", child)

    def query(self, dataset_id: str, body: Json) -> Json:
        """Answer `POST /datasets/{id}/query`: list, count, or delete."""
        kind = body.get("resource", "items")
        with self.lock:
            self.get("datasets", dataset_id)
            condition, last = keyset(body.get("filter", {}))
            found = self._matching(kind, dataset_id, condition)
            remaining = found[bisect_right(found, last) :] if last else found
            if body.get("delete"):
                for entity_id in remaining:
                    if entity_id in self.kinds[kind]:  # else it went with its parent
                        self.remove(kind, entity_id)
                return {}
            return self._page(kind, remaining, body)

    def _page(self, kind: str, ids: list[str], body: Json) -> Json:
        size, number = int(body.get("pageSize", 1000)), int(body.get("page", 0))
        ordered = ids[::-1] if body.get("sort", {}).get("id") == "descending" else ids
        page = ordered[number * size : (number + 1) * size]
        return {
            "items": [self.kinds[kind][entity_id] for entity_id in page],
            "totalItemsCount": len(ids),
            "totalPagesCount": -(-len(ids) // size) if size else 0,
            "hasNextPage": bool(size) and (number + 1) * size < len(ids),
        }

    def _matching(self, kind: str, dataset_id: str, condition: Json) -> list[str]:
        """Give the ids of what a condition takes, ascending; those of the last queries are remembered."""
        key = (self._version, json.dumps([kind, dataset_id, condition], sort_keys=True))
        if key not in self._found:
            match = matcher(condition)
            candidates = self._candidates(kind, condition)
            self._found[key] = sorted(
                entity["id"] for entity in candidates if _dataset_of(kind, entity) == dataset_id and match(entity)
            )
            while len(self._found) > _KEPT_QUERIES:
                self._found.popitem(last=False)
        return self._found[key]

    def _candidates(self, kind: str, condition: Json) -> Iterable[Json]:
        if kind == "annotations":
            for part in [condition, *condition.get("$and", [])]:
                item_id = part.get("itemId")
                if isinstance(item_id, str):
                    return self._of_item.get(item_id, {}).values()
        return self.kinds[kind].values()


def _dataset_of(kind: str, entity: Json) -> Any:
    return entity["id"] if kind == "datasets" else entity.get("datasetId")


def merged(base: Any, over: Any) -> Any:
    """Lay one tree on another; lists are replaced whole."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return copy.deepcopy(over)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
