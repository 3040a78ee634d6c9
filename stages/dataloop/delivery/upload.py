"""Uploads the annotations of one item, on a thread of its own, while others are still being made.

Nothing waits for the platform: what is put in lies in the journal, on disk. An upload that comes to no end, or whose
process is killed, goes on with the next run.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.backoff import Backoff
from stages.dataloop.delivery.journal import Journal
from stages.dataloop.delivery.sending import Delivery, Uploaded
from stages.dataloop.errors import PlatformUnavailable
from stages.dataloop.timeline.annotations import Segment

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform
    from stages.dataloop.items import Item

__all__ = ["Upload", "UploadLimits", "Uploaded"]

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """How much at once, and how patient."""

    most: int = 500
    """Annotations in a request."""
    most_bytes: int = 2_000_000
    """Of annotations in a request."""
    patience_seconds: float = 120.0
    """How long, at the end, nothing may succeed before the rest is left to the next run."""
    pause_seconds: float = 1.0
    """After the platform did not answer, at first; twice as long each time, up to half a minute."""
    farewell_seconds: float = 5.0
    """How long `abandon` waits for the request under way."""


class Upload:
    """Uploads segments of one item as they come.

    Args:
        platform: Where to.
        item: To which item.
        journal: Where they wait; it must be open, and stay so until the upload has ended.
        model_name: Whose annotations these are: only those of the same name are replaced.
        limits: See there.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        platform: "Platform",
        item: "Item",
        journal: Journal,
        model_name: str,
        limits: UploadLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start nothing yet."""
        self._limits = limits or UploadLimits()
        self._journal = journal
        self._delivery = Delivery(
            platform, item, journal, model_name, most=self._limits.most, most_bytes=self._limits.most_bytes
        )
        self._clock = clock
        self._backoff = Backoff(self._limits.pause_seconds, _LONGEST_PAUSE_SECONDS)
        self._wake = threading.Event()
        self._is_finished = journal.result is not None
        self._is_finishing = False
        self._is_abandoned = threading.Event()
        self._steps = 0
        self._succeeded_at = clock()
        self._uploaded: Future[Uploaded] = Future()
        self._thread = threading.Thread(target=self._serve, name=f"upload {item.id}", daemon=True)

    @property
    def failure(self) -> BaseException | None:
        """Why nothing more is uploaded; None while all is well, or the platform just does not answer."""
        done = self._uploaded.done() and not self._uploaded.cancelled()
        return self._uploaded.exception() if done else None

    def put(self, segment: Segment) -> None:
        """Keep a segment on disk, and upload it in the background. One that is known already is passed over.

        Where the run is finished all of them are.

        Raises:
            SinkError: The disk does not take it; nothing of it is kept.
        """
        if self._is_finished:
            return
        self._delivery.outbox.put(segment)
        self._start()

    def finish(self) -> "Future[Uploaded]":
        """Take note that no further segment comes.

        Returns:
            Done when all is on the platform, seen there, and has taken the place of earlier runs' annotations. Or its
            exception says what was wrong: PlatformUnavailable when there was no answer for `patience_seconds`, another
            PlatformError when the platform refuses, SinkError when the journal cannot be written.

        Raises:
            SinkError: The journal cannot be written.
        """
        if not self._journal.is_complete:
            self._journal.note_complete()
        self._succeeded_at = self._clock()
        self._is_finishing = True
        self._start()
        return self._uploaded

    def abandon(self) -> None:
        """Upload nothing more, now. What waits stays in the journal. Twice, or after the end, does nothing."""
        self._uploaded.cancel()  # first: once the thread sees the other, it leaves the future to nobody
        self._is_abandoned.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(self._limits.farewell_seconds)
            if self._thread.is_alive():
                _log.warning(
                    "'%s' did not come back from its last request in time; it was left behind", self._thread.name
                )

    def withdraw(self) -> None:
        """Upload nothing more, and delete what was uploaded; what was there before stays.

        Raises:
            PlatformError: It is there still; the next run of the item deletes it.
        """
        self.abandon()
        self._delivery.withdraw()

    def _start(self) -> None:
        if self._thread.ident is None and not self._is_abandoned.is_set():
            self._thread.start()
        self._wake.set()

    def _serve(self) -> None:
        try:
            uploaded = self._upload()
        except BaseException as error:  # noqa: BLE001 - handed over to the one who waits for the upload
            if self._uploaded.set_running_or_notify_cancel():
                _log.error("%s: %s", self._thread.name, error)
                self._uploaded.set_exception(error)
        else:
            if self._uploaded.set_running_or_notify_cancel() and uploaded is not None:
                self._uploaded.set_result(uploaded)

    def _upload(self) -> Uploaded | None:
        """Upload until everything is done, or nobody wants it any more."""
        while not self._is_abandoned.is_set():
            is_last = self._is_finishing  # before looking: what is put in comes before `finish`
            self._wake.clear()
            try:
                is_busy = self._delivery.post_some()
                if is_last and not is_busy:
                    return self._delivery.complete()
                self._look_at_progress()
            except PlatformUnavailable as error:
                self._look_at_progress()
                self._pause(error)
            else:
                if not is_busy:
                    self._wake.wait()
        return None

    def _look_at_progress(self) -> None:
        if self._delivery.steps != self._steps:
            self._steps = self._delivery.steps
            self._succeeded_at = self._clock()
            self._backoff.reset()

    def _pause(self, error: PlatformUnavailable) -> None:
        """Wait for the platform; at the end, not for ever."""
        waiting = self._delivery.outbox.count() - self._delivery.outbox.count("stored")
        if self._is_finishing and self._clock() - self._succeeded_at > self._limits.patience_seconds:
            msg = f"{error}; {waiting} annotations wait in {self._journal.file.path}: run again with --resume"
            raise PlatformUnavailable(msg, status=error.status) from error
        seconds = self._backoff.next_seconds()
        _log.warning("%s; %d annotations wait on disk; again in %.1f s", error, waiting, seconds)
        self._is_abandoned.wait(seconds)
