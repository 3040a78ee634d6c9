"""Annotations on their way to the platform, in the journal: waiting -> sent -> stored.

`sent` means that nobody knows: the platform may have it or not, until it replies or is asked. So nothing is posted
twice, also not by another process that finds the journal of a killed one.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from stages.dataloop.delivery.journal import Journal
from stages.dataloop.timeline.annotations import Segment

__all__ = ["End", "Outbox", "OutgoingAnnotation", "key_of"]

_FASTEST: Final = 1
"""Of zlib's levels: what waits of an hour takes a tenth of the room."""


@dataclass(frozen=True, slots=True)
class OutgoingAnnotation:
    """An annotation in the outbox."""

    key: str
    """What names it within its run."""
    body: dict[str, Any]
    """As it is posted, with its parent's id."""
    parent_id: str | None
    """On the platform; None of a parent."""
    id: str | None
    """On the platform; None while it is not known to be there."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a person is seen last."""

    annotation_id: str
    """Of the parent, on the platform."""
    object_id: str
    last_frame: int


_SELECT = """
SELECT one.key, one.body, parent.id, one.id, one.size FROM annotation AS one
LEFT JOIN annotation AS parent ON parent.is_parent AND parent.object_id = one.object_id AND NOT one.is_parent
"""


class Outbox:
    """The annotations of a run."""

    def __init__(self, journal: Journal) -> None:
        """Look into an open journal."""
        self._file = journal.file

    def put(self, segment: Segment) -> None:
        """Keep a segment: on the disk itself when this returns. One that is there already stays as it is.

        Raises:
            SinkError: The disk does not take it; nothing of it is kept.
        """
        parents = [segment.pose] if segment.number == 0 else []
        rows = [_row(segment, annotation, is_parent=True) for annotation in parents]
        rows += [_row(segment, annotation, is_parent=False) for annotation in segment.children]
        with self._file.change(durable=True) as database:
            database.executemany(
                "INSERT OR IGNORE INTO annotation (key, object_id, is_parent, body, size, state) "
                "VALUES (?, ?, ?, ?, ?, 'waiting')",
                rows,
            )
            database.execute(
                "INSERT INTO person VALUES (?1, ?2, ?2) ON CONFLICT DO UPDATE SET last_frame = MAX(last_frame, ?2)",
                (segment.object_id, segment.last_frame),
            )

    def batch(self, most: int, most_bytes: int) -> list[OutgoingAnnotation]:
        """Give the oldest that wait, within bounds but one at least: parents first, then children of stored parents."""
        return self._some("one.state = 'waiting' AND one.is_parent", most, most_bytes) or self._some(
            "one.state = 'waiting' AND NOT one.is_parent AND parent.state = 'stored'", most, most_bytes
        )

    def doubtful(self, most: int, most_bytes: int) -> list[OutgoingAnnotation]:
        """Give some of which nobody knows whether the platform has them."""
        return self._some("one.state = 'sent'", most, most_bytes)

    def stored_after(self, key: str, most: int, most_bytes: int) -> list[OutgoingAnnotation]:
        """Give those that the platform has, as they were put in, from after `key`; from the first if that is empty."""
        condition = "one.state = 'stored' AND one.number > COALESCE((SELECT number FROM annotation WHERE key = ?), 0)"
        return self._some(condition, most, most_bytes, key)

    def _some(self, condition: str, most: int, most_bytes: int, *values: object) -> list[OutgoingAnnotation]:
        query = f"{_SELECT} WHERE {condition} ORDER BY one.number LIMIT ?"
        rows = self._file.some_rows(query, *values, most, most=most_bytes)
        return [_outgoing(key, body, parent_id, own_id) for key, body, parent_id, own_id, _ in rows]

    def note_sent(self, annotations: Iterable[OutgoingAnnotation]) -> None:
        """Take note, before it happens, that they are posted."""
        self._set_state("sent", annotations, durable=True)

    def note_waiting(self, annotations: Iterable[OutgoingAnnotation]) -> None:
        """Take note that the platform does not have them."""
        self._set_state("waiting", annotations, durable=False)

    def _set_state(self, state: str, annotations: Iterable[OutgoingAnnotation], *, durable: bool) -> None:
        with self._file.change(durable=durable) as database:
            database.executemany(
                "UPDATE annotation SET state = ?, id = NULL WHERE key = ?", [(state, one.key) for one in annotations]
            )

    def note_stored(self, ids: Mapping[str, str]) -> None:
        """Take note of the ids under which the platform has annotations, by their keys."""
        with self._file.change() as database:
            database.executemany(
                "UPDATE annotation SET state = 'stored', id = ? WHERE key = ?", [(own, key) for key, own in ids.items()]
            )

    def ends(self) -> Iterator[End]:
        """Give the parents that end earlier on the platform than their children."""
        query = """
            SELECT annotation.id, person.object_id, last_frame FROM person
            JOIN annotation ON is_parent AND annotation.object_id = person.object_id WHERE last_frame > told_frame"""
        return (End(*row) for row in self._file.rows(query))

    def note_told(self, end: End) -> None:
        """Take note that the platform knows where a person is seen last."""
        with self._file.change() as database:
            database.execute("UPDATE person SET told_frame = ? WHERE object_id = ?", (end.last_frame, end.object_id))

    def count(self, state: str | None = None) -> int:
        """Count the annotations, or those in a state."""
        return int(self._file.rows("SELECT COUNT(*) FROM annotation WHERE ?1 IS NULL OR state = ?1", state)[0][0])

    @property
    def people(self) -> int:
        """Count the identities."""
        return int(self._file.rows("SELECT COUNT(*) FROM person")[0][0])

    def is_known(self, key: str) -> bool:
        """Tell whether there is an annotation of that key."""
        return bool(self._file.rows("SELECT 1 FROM annotation WHERE key = ?", key))


def key_of(annotation: Mapping[str, Any]) -> str | None:
    """Read the key off an annotation; None where it is not one of ours."""
    found: Any = annotation
    for name in ("metadata", "user", "kinestream", "key"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def _row(segment: Segment, annotation: Mapping[str, Any], *, is_parent: bool) -> tuple[Any, ...]:
    body = json.dumps(annotation, separators=(",", ":"), allow_nan=False).encode()
    return key_of(annotation), segment.object_id, is_parent, zlib.compress(body, _FASTEST), len(body)


def _outgoing(key: str, body: bytes, parent_id: str | None, own_id: str | None) -> OutgoingAnnotation:
    annotation = json.loads(zlib.decompress(body))
    if parent_id is not None:
        annotation["metadata"]["system"]["parentId"] = parent_id
    return OutgoingAnnotation(key, annotation, parent_id, own_id)
