"""A run that stands ready: models stay loaded, while items come by and by, from any thread."""

import asyncio
import contextlib
import logging
import queue
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.config import PipelineConfig
from pipeline.errors import PipelineError
from pipeline.runner import Runner
from stages.dataloop.annotating.annotate import Annotating, Wanted
from stages.dataloop.annotating.chain import decisive, make_chain
from stages.dataloop.annotating.desk import Filing, PlatformDesk
from stages.dataloop.annotating.distribution import Distribution
from stages.dataloop.annotating.reading import Reading
from stages.dataloop.annotating.recording import Recordings, remember
from stages.dataloop.annotating.results import Result
from stages.dataloop.timeline.annotations import AnnotationOptions

if TYPE_CHECKING:
    from stages.dataloop.connection.platform import Platform

__all__ = ["Assignment", "StandingRun"]

_log = logging.getLogger(__name__)

_AHEAD: Final = 32
"""Items of one call that are known to the run at a time: more than it can be busy with."""
_LONGEST_END_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run does with items."""

    config: PipelineConfig
    options: AnnotationOptions
    filing: Filing
    workers: int
    """Items that are read at once."""
    resume: bool
    """Go on where an earlier run was interrupted, and leave alone what it has finished."""


class StandingRun:
    """Annotates items until it is closed, or a part of it fails for good. Safe to use from any thread.

    Args:
        platform: Where items are; it is closed with the run.
        assignment: What is done with them.
    """

    def __init__(self, platform: "Platform", assignment: Assignment) -> None:
        """Start nothing yet."""
        self._platform = platform
        self._assignment = assignment
        self._items: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._under_way: dict[str, Future[Result]] = {}
        self._is_open: Future[None] = Future()
        self._ending: BaseException | None = None
        self._stop: Callable[[], object] = self._platform.close
        self._thread = threading.Thread(target=self._serve, name="dataloop run", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether it takes no item any more."""
        return self._ending is not None

    def open(self) -> None:
        """Load the models.

        Raises:
            PipelineError: They cannot be had, or do not fit together.
        """
        self._thread.start()
        self._is_open.result()

    def annotate(self, items: Iterable[Wanted], watch: Callable[[Result], None] = lambda _: None) -> list[Result]:
        """Annotate items, and wait for all of them. One that is under way already is waited for, not done twice.

        Args:
            items: Which; not looked at much sooner than they are needed.
            watch: Told of each result, in the order of the items.

        Returns:
            What became of each, in their order.

        Raises:
            PipelineError: The run has ended, or they could not be listed. Those that were done by then are done.
        """
        results: list[Result] = []
        pending: deque[Future[Result]] = deque()

        def note_first() -> None:
            results.append(pending.popleft().result())
            watch(results[-1])

        try:
            for wanted in items:
                pending.append(self._begin(wanted))
                if len(pending) >= _AHEAD:
                    note_first()
            while pending:
                note_first()
        except Exception:
            wait(pending)
            raise
        return results

    def close(self) -> None:
        """Read nothing more, finish what was read, for as long as a run may drain, and give back the models.

        What is not finished then fails. Twice is fine.
        """
        if self._thread.ident is None:
            self._platform.close()
            return
        self._stop()
        self._thread.join(_LONGEST_END_SECONDS)
        if self._thread.is_alive():
            _log.warning("'%s' did not end in time; it was left behind", self._thread.name)

    def _begin(self, wanted: Wanted) -> Future[Result]:
        with self._lock:
            if self._ending is not None:
                raise self._ending
            if wanted.item_id not in self._under_way:
                self._under_way[wanted.item_id] = Future()
                self._items.put(wanted)
            return self._under_way[wanted.item_id]

    def _note(self, result: Result) -> None:
        if result.state == "stopped":
            return  # the run is about to end, and says why
        with self._lock:
            future = self._under_way.pop(result.item_id)
        future.set_result(result)

    # On the thread

    def _serve(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - handed over to those who wait for items
            self._end(error)
        else:
            self._end(PipelineError("the run was closed before the item was done"))

    def _end(self, error: BaseException) -> None:
        with self._lock:
            self._ending = error
            left = list(self._under_way.values())
            self._under_way.clear()
        self._items.put(None)  # whoever waits for the next item need not any more
        if not self._is_open.done():
            self._is_open.set_exception(error)
        for future in left:
            future.set_exception(error)

    async def _run(self) -> None:
        wish, recordings = self._assignment, Recordings()
        desk = PlatformDesk(
            self._platform, recordings, wish.options, decisive(wish.config), wish.filing, resume=wish.resume
        )
        door = _Door(self._is_open)
        try:
            runner = Runner(remember(make_chain(wish.config, door), recordings), wish.config.run)
            reading = Reading(runner, wish.config, door)
            with tempfile.TemporaryDirectory(prefix="kinestream-", ignore_cleanup_errors=True) as folder:
                annotating = Annotating(desk, reading, Path(folder), wish.workers, self._note, once=False)
                loop = asyncio.get_running_loop()
                self._stop = partial(_soon, loop, annotating.stop)
                annotating.load()
                await annotating.run(iter(self._items.get, None))
        finally:
            desk.close()


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended already
        loop.call_soon_threadsafe(call)


class _Door(Distribution):
    """The sink of the run. Sinks are opened last: once it is, every model is loaded."""

    def __init__(self, is_open: Future[None]) -> None:
        super().__init__()
        self._is_open = is_open

    async def open(self) -> None:
        await super().open()
        self._is_open.set_result(None)
