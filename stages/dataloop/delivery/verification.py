"""Sees that the platform lists each annotation of a run once, and nothing else of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn

from stages.dataloop.delivery.item_on_platform import ItemOnPlatform
from stages.dataloop.delivery.outbox import Outbox, OutgoingAnnotation, key_of
from stages.dataloop.errors import PlatformError, PlatformUnavailable

__all__ = ["Verification"]

_MOST_DOUBTS: Final = 5
"""How often in one place something may be wrong."""


class Verification:
    """Compares what is stored, as the outbox has it, with what is listed, batch by batch; mends what can be mended.

    Args:
        name: Of the item, for messages.
        there: The item.
        outbox: Of the run.
    """

    def __init__(self, name: str, there: ItemOnPlatform, outbox: Outbox) -> None:
        """Ask nothing yet."""
        self._name = name
        self._there = there
        self._outbox = outbox
        self._seen_to = ""
        self._doubts: Counter[str] = Counter()
        """Key -> how often something behind it was wrong."""
        self.steps = 0
        """How many batches were seen."""

    def run(self, most: int, most_bytes: int) -> None:
        """Go on to the end; called again, it goes on where it was.

        Args:
            most: Annotations in a batch.
            most_bytes: Of a batch.

        Raises:
            PlatformUnavailable: Something is missing, or nobody answers: post what waits again, then call it again.
            PlatformError: It goes on like that, or the platform refuses.
        """
        while batch := self._outbox.stored_after(self._seen_to, most, most_bytes):
            found = self._there.find(batch)
            if missing := [one for one in batch if not found[one.key]]:
                self._look_for(missing)
            if not self._keep_one_each(batch, found):
                self._seen_to = batch[-1].key  # parents come before their children, so those see what they hang on
                self.steps += 1
        self._compare_counts()

    def _look_for(self, missing: Sequence[OutgoingAnnotation]) -> NoReturn:
        """Let what has vanished be posted again. What is only not listed yet must not be: it would be there twice."""
        self._outbox.note_waiting([one for one in missing if not self._there.has(str(one.id))])
        what = f"{len(missing)} annotations were stored and are not listed, {missing[0].key} is one of them"
        self._doubt(self._seen_to, what)

    def _keep_one_each(self, batch: Sequence[OutgoingAnnotation], found: Mapping[str, list[str]]) -> bool:
        """Of what is there twice keep the known one: children hang on it. Tell whether it had to be another."""
        kept = {one.key: one.id if one.id in found[one.key] else found[one.key][0] for one in batch}
        self._there.delete(own for key, ids in found.items() for own in ids if own != kept[key])
        changed = {one.key: str(kept[one.key]) for one in batch if kept[one.key] != one.id}
        self._outbox.note_stored(changed)
        return bool(changed)

    def _compare_counts(self) -> None:
        """Delete what carries the name of this run and is not of it; begin again where there is more or less."""
        there, expected = self._there.count([self._there.ours]), self._outbox.count()
        if there == expected:
            return
        listed = self._there.list([self._there.ours])
        self._there.delete(str(one["id"]) for one in listed if not self._outbox.is_known(key_of(one) or ""))
        end, self._seen_to = self._seen_to, ""
        self._doubt(end, f"{there} annotations are listed where {expected} were stored")

    def _doubt(self, after: str, what: str) -> NoReturn:
        """Have it looked at again, a few times; `after` is the key behind which something is wrong."""
        self._doubts[after] += 1
        msg = f"{self._name}: {what}"
        if self._doubts[after] <= _MOST_DOUBTS:
            raise PlatformUnavailable(msg)
        msg += "; somebody may be changing them: look at the item, then run again with --resume"
        raise PlatformError(msg)
