"""Tells of results to those who have no terminal: the log, the platform's display of progress, one error at the end."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

from stages.dataloop.annotating.results import Result, tally
from stages.dataloop.errors import PlatformError

__all__ = ["see_that_all_are_done", "telling"]

_log = logging.getLogger(__name__)

_MOST_NAMED: Final = 20
"""Items in the message of an error."""


def telling(progress: Any, total: int) -> Callable[[Result], None]:  # noqa: ANN401 - dtlpy has no types
    """Make what is told of each result.

    Args:
        progress: A `dl.Progress`, or None.
        total: How many results will come.
    """
    done = 0

    def tell(result: Result) -> None:
        nonlocal done
        done += 1
        said = ": ".join(filter(None, (result.name, result.state, result.detail, *result.warnings)))
        _log.log(logging.INFO if result.is_done and not result.warnings else logging.WARNING, "%s", said)
        if progress is not None:
            progress.update(progress=100 * done // max(total, done), message=said)

    return tell


def see_that_all_are_done(results: Sequence[Result]) -> None:
    """Raise where something is missing.

    Raises:
        PlatformError: Names the items that are not annotated, and why.
    """
    left = [result for result in results if not result.is_done]
    if not left:
        return
    rows = [f"{one.name} ({one.item_id}): {one.state}: {one.detail}" for one in left[:_MOST_NAMED]]
    rows += [f"and {len(left) - _MOST_NAMED} more"] if len(left) > _MOST_NAMED else []
    msg = f"{len(left)} of {len(results)} items are not annotated ({tally(results)}):\n" + "\n".join(rows)
    raise PlatformError(msg)
