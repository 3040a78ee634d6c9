"""Asking the platform again, where that helps and does no harm."""

import itertools
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from pipeline.backoff import Backoff
from stages.dataloop.errors import PlatformError, PlatformUnavailable, ReplyLost

__all__ = ["Tries"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

_NOT_FOUND: Final = 404
_LONGEST_PAUSE_SECONDS: Final = 30.0
_LONGEST_WISH_SECONDS: Final = 300.0
"""A platform that asks for more patience is not waited for."""


class Tries:
    """How often something is tried, and how long is waited in between.

    Args:
        attempts: All in all.
        wait: Waits so many seconds, and tells whether to give up.
    """

    def __init__(self, attempts: int, wait: Callable[[float], bool]) -> None:
        """Keep both."""
        self._attempts = attempts
        self._wait = wait

    def run(self, once: Callable[[], T], *, repeatable: bool = True, gone_is_done: bool = False) -> T | None:
        """Do it until it works.

        Args:
            once: What to do.
            repeatable: Whether to do it again where it may have been done.
            gone_is_done: It is a deletion: what a second try does not find, the first one has deleted.

        Returns:
            What `once` gives; None if it was deleted by a try whose answer got lost.

        Raises:
            PlatformError: What the last try raised.
        """
        backoff = Backoff(longest_seconds=_LONGEST_PAUSE_SECONDS)
        for attempt in itertools.count(1):
            try:
                return once()
            except PlatformUnavailable as error:
                if isinstance(error, ReplyLost) and not repeatable:
                    raise
                if attempt == self._attempts:
                    msg = f"{error} ({attempt} tries)"
                    raise type(error)(msg, error.status) from error
                self._pause(backoff, error, error.retry_after_seconds)
            except PlatformError as error:
                if not (gone_is_done and attempt > 1 and error.status == _NOT_FOUND):
                    raise
                return None
        raise AssertionError

    def until(self, attempt: Callable[[], PlatformError | None]) -> None:
        """Do it until nothing remains to be done.

        Args:
            attempt: Does it, and gives what remains, as an error.

        Raises:
            PlatformError: What still remains.
        """
        backoff = Backoff(longest_seconds=_LONGEST_PAUSE_SECONDS)
        for _ in range(self._attempts - 1):
            if (left := attempt()) is None:
                return
            self._pause(backoff, left)
        if (left := attempt()) is not None:
            raise left

    def _pause(self, backoff: Backoff, why: PlatformError, wish_seconds: float | None = None) -> None:
        """Wait before the next try; give up where the platform asks for too much, or where the wait says so."""
        seconds = backoff.next_seconds() if wish_seconds is None else wish_seconds
        if seconds > _LONGEST_WISH_SECONDS:
            raise why
        _log.warning("%s; again in %.1f s", why, seconds)
        if self._wait(seconds):
            raise why
