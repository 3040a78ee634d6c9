"""The annotations of one item, as the platform has them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from stages.dataloop.delivery.outbox import OutgoingAnnotation, key_of
from stages.dataloop.errors import PlatformError

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform
    from stages.dataloop.items import Item

__all__ = ["RUN", "Condition", "ItemOnPlatform"]

Condition = dict[str, Any]
"""Of a query: `{"metadata.system.objectId": "3"}`."""
Annotation = dict[str, Any]

RUN: Final = "metadata.user.kinestream.run"
_KEY: Final = "metadata.user.kinestream.key"
_MOST_IDS: Final = 500
"""In a query."""
_NOT_FOUND: Final = 404


class ItemOnPlatform:
    """Asks and changes annotations of this item only. All calls block, and raise `PlatformError`.

    Args:
        platform: Where it is.
        item: Which one.
        run_id: What annotations of ours carry.
    """

    def __init__(self, platform: "Platform", item: "Item", run_id: str) -> None:
        """Ask nothing yet."""
        self._platform = platform
        self._item = item
        self.ours: Condition = {RUN: run_id}
        """What annotations of ours meet."""

    def post(self, annotations: Sequence[Annotation]) -> Any:  # noqa: ANN401 - a JSON value, not looked at yet
        """Send new ones, once; give what the platform says they have become."""
        return self._platform.post(f"/items/{self._item.id}/annotations", annotations, repeatable=False)

    def change(self, annotation_id: str, difference: Annotation) -> None:
        """Lay a difference on one of them, also on what belongs to the platform (`metadata.system`)."""
        self._platform.put(f"/annotations/{annotation_id}?system=true", difference)

    def find(self, wanted: Sequence[OutgoingAnnotation]) -> dict[str, list[str]]:
        """Look for some of ours: key -> ids, oldest first. What hangs on another parent is deleted."""
        found: dict[str, list[str]] = {one.key: [] for one in wanted}
        parents = {one.key: one.parent_id for one in wanted}
        strays: list[str] = []
        for one in self.list([self.ours, {_KEY: {"$in": [*found]}}]):
            key = key_of(one)
            if key not in found:
                continue
            fits = one["metadata"].get("system", {}).get("parentId") == parents[key]
            (found[key] if fits else strays).append(str(one["id"]))
        self.delete(strays)
        return found

    def has(self, annotation_id: str) -> bool:
        """Tell whether there is one of that id, also where it is not listed yet."""
        try:
            self._platform.get(f"/annotations/{annotation_id}")
        except PlatformError as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    def list(self, conditions: Iterable[Condition]) -> Iterator[Annotation]:
        """Give those that meet all conditions, oldest first."""
        return self._platform.query(self._item.dataset_id, "annotations", self._here(conditions))

    def count(self, conditions: Iterable[Condition]) -> int:
        """Count those that meet all conditions."""
        return self._platform.count(self._item.dataset_id, "annotations", self._here(conditions))

    def delete_where(self, conditions: Iterable[Condition]) -> None:
        """Delete those that meet all conditions."""
        self._platform.delete_where(self._item.dataset_id, "annotations", self._here(conditions))

    def delete(self, ids: Iterable[str]) -> None:
        """Delete those with these ids."""
        doomed = [*ids]
        for start in range(0, len(doomed), _MOST_IDS):
            self.delete_where([{"id": {"$in": doomed[start : start + _MOST_IDS]}}])

    def _here(self, conditions: Iterable[Condition]) -> Sequence[Condition]:
        return [{"itemId": self._item.id}, *conditions]
