"""Brings annotations to the platform, one step after the other; each step may be cut off and made again."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from stages.dataloop.delivery.item_on_platform import RUN, Condition, ItemOnPlatform
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.outbox import End, Outbox, OutgoingAnnotation, key_of
from stages.dataloop.delivery.verification import Verification
from stages.dataloop.errors import PlatformError, TooLarge

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform
    from stages.dataloop.items import Item

__all__ = ["Delivery", "Uploaded"]

_log = logging.getLogger(__name__)

_MODEL_NAMES: Final = ("metadata.system.model.name", "metadata.user.model.name")
_MOST_IN_VAIN: Final = 5
"""How often in a row the platform may take a batch and then have nothing of it."""
_SECOND_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What is on the platform now."""

    item_id: str
    run_id: str
    people: int
    """Identities."""
    annotations: int
    replaced: int
    """How many annotations of earlier runs were deleted."""


class Delivery:
    """Posts what is in the journal of an item, sees that it is there, then deletes what earlier runs have left.

    Calls block. None is made twice for one annotation unless the platform was asked in between whether it has it.

    Args:
        platform: Where to.
        item: To which item.
        journal: What; it must be open.
        model_name: Whose annotations these are: only those of the same name are replaced.
        most: Annotations in a batch.
        most_bytes: Of a batch; a single annotation may be larger.
    """

    def __init__(
        self, platform: "Platform", item: "Item", journal: Journal, model_name: str, *, most: int, most_bytes: int
    ) -> None:
        """Send nothing yet."""
        self._item = item
        self._there = ItemOnPlatform(platform, item, journal.run_id)
        self._journal = journal
        self._model_name = model_name
        self._most = most
        self._most_bytes = most_bytes
        self._in_vain = 0
        self._steps = 0
        self.outbox = Outbox(journal)
        self._verification = Verification(item.name, self._there, self.outbox)

    @property
    def steps(self) -> int:
        """How often it has come further; calls that fail, or are answered and change nothing, do not count."""
        return self._steps + self._verification.steps

    def post_some(self) -> bool:
        """Post one batch, or ask for one that is in doubt; tell whether there was one.

        Raises:
            PlatformUnavailable: Nobody answers, or the reply was lost; nothing is lost otherwise, call it again later.
            PlatformError: Trying again is of no use.
        """
        if doubtful := self.outbox.doubtful(self._most, self._most_bytes):
            self._clear_up(doubtful)
        elif batch := self.outbox.batch(self._most, self._most_bytes):
            self._post(batch)
        else:
            return False
        return True

    def complete(self) -> Uploaded:
        """Finish, once everything has been posted: verify, tell where people end, replace what was there before.

        Raises:
            PlatformUnavailable: Nobody answers; call it again later, it goes on from where it was.
            PlatformError: Trying again is of no use; what was there before is there still.
        """
        if (known := self._journal.result) is not None:
            return Uploaded(**known)
        if not self._journal.is_verified:
            self._verification.run(self._most, self._most_bytes)
            self._journal.note_verified()
        for end in self.outbox.ends():
            self._tell(end)
        uploaded = Uploaded(
            self._item.id, self._journal.run_id, self.outbox.people, self.outbox.count(), self._replace()
        )
        self._journal.note_result(asdict(uploaded))
        return uploaded

    def withdraw(self) -> None:
        """Delete what was posted of this run; what was there before stays.

        Raises:
            PlatformError: It is there still; the next run deletes it.
        """
        self._there.delete_where([self._there.ours])

    # To post

    def _post(self, batch: Sequence[OutgoingAnnotation]) -> None:
        self.outbox.note_sent(batch)
        try:
            reply = self._there.post([one.body for one in batch])
        except TooLarge as error:
            self.outbox.note_waiting(batch)
            self._halve(batch, error)
        else:
            self._take_note(batch, reply)

    def _take_note(self, batch: Sequence[OutgoingAnnotation], reply: object) -> None:
        """Believe the reply where it names an annotation; the others of the batch stay in doubt."""
        keys = {one.key for one in batch}
        stored = [reply] if isinstance(reply, Mapping) else reply if isinstance(reply, list) else []
        ids = {key: str(one["id"]) for one in stored if (key := key_of(one)) in keys and key and one.get("id")}
        self._note_stored(ids)
        self._in_vain = 0 if ids else self._in_vain + 1

    def _note_stored(self, ids: Mapping[str, str]) -> None:
        if ids:
            self.outbox.note_stored(ids)
            self._steps += 1

    def _halve(self, batch: Sequence[OutgoingAnnotation], error: TooLarge) -> None:
        if len(batch) == 1:
            msg = (
                f"{self._item.name}: the platform does not take the annotation {batch[0].key}, which is too large by "
                f"itself: {error}; make segments shorter with `segment_seconds`, or allow a larger `tolerance_px`"
            )
            raise PlatformError(msg, status=error.status) from error
        self._most = len(batch) // 2
        _log.info("%s: %d annotations were too large; now %d at once", self._item.name, len(batch), self._most)

    def _clear_up(self, doubtful: Sequence[OutgoingAnnotation]) -> None:
        """Ask which of some annotations are there."""
        found = self._there.find(doubtful)
        missing = [one for one in doubtful if not found[one.key]]
        self._note_stored({key: ids[0] for key, ids in found.items() if ids})
        self.outbox.note_waiting(missing)
        if not missing:
            self._in_vain = 0
        elif self._in_vain >= _MOST_IN_VAIN:
            msg = (
                f"{self._item.name}: the platform took annotations {self._in_vain} times, and has none of them: "
                f"{doubtful[0].key} and {len(doubtful) - 1} more; look at the item, then run again with --resume"
            )
            raise PlatformError(msg)

    # To complete

    def _tell(self, end: End) -> None:
        """Let a parent end where its last child does."""
        rate = self._item.frames_per_second
        seconds = round(end.last_frame / rate, _SECOND_DIGITS) if rate else 0
        moved = {"metadata": {"system": {"endFrame": end.last_frame, "endTime": seconds}}}
        self._there.change(end.annotation_id, moved)
        self.outbox.note_told(end)
        self._steps += 1

    def _replace(self) -> int:
        """Delete what earlier runs of the same model have left, finished or not; tell how many there were."""
        whose: list[Condition] = [{name: self._model_name} for name in _MODEL_NAMES]
        if abandoned := self._journal.abandoned:
            whose.append({RUN: {"$in": abandoned}})
        earlier: list[Condition] = [{"$or": whose}, {RUN: {"$ne": self._journal.run_id}}]
        if count := self._there.count(earlier):
            self._there.delete_where(earlier)
        return count
