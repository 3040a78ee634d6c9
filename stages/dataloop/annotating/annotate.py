"""Annotates many items in one run of the pipeline, so that models are loaded once: each item for itself.

    items -> [journal] -> download -> read by the run, people onto the item's sheet -> finished on the platform
              `workers` items are read at once, two more are downloaded ahead, others are still on their way up

Whatever is wrong with an item becomes its result, and the others go on. What was on the platform before an item is
finished stays there until it is.
"""

import asyncio
import logging
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.errors import PipelineError
from pipeline.worker import Worker
from stages.dataloop.annotating.desk import Desk, Sheet
from stages.dataloop.annotating.reading import Reading, Stopped
from stages.dataloop.annotating.results import Result, State
from stages.dataloop.delivery.upload import Uploaded
from stages.dataloop.items import Item

__all__ = ["Annotating", "Wanted"]

_log = logging.getLogger(__name__)

_AHEAD: Final = 2
"""Items that are downloaded while others are read."""
_RISING: Final = 4
"""Items that may still be on their way to the platform while others are read."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An item to annotate, not looked at yet."""

    item_id: str
    look: Callable[[], Item]
    """Asks the platform for it, or reads what it has listed. Raises PlatformError for one that is not there, or not
    whole."""


@dataclass(slots=True)
class _Progress:
    """What is known of an item that is under way."""

    name: str
    started: float = field(default_factory=time.monotonic)
    frames: int = 0
    warnings: list[str] = field(default_factory=list)

    def result(self, item_id: str, state: State, detail: str = "", made: Uploaded | None = None) -> Result:
        return Result(
            item_id,
            self.name,
            state,
            detail,
            self.frames,
            made.people if made else 0,
            made.annotations if made else 0,
            time.monotonic() - self.started,
            tuple(self.warnings),
        )


class Annotating:
    """One run over many items.

    Args:
        desk: Where items come from and annotations go.
        reading: The run.
        folder: For downloads; at most `workers` + 2 files are there at a time.
        workers: How many items are read at once.
        watch: Told of each result.
        once: Refuse an item that comes a second time.
    """

    def __init__(
        self,
        desk: Desk,
        reading: Reading,
        folder: Path,
        workers: int,
        watch: Callable[[Result], None],
        *,
        once: bool = True,
    ) -> None:
        """Begin nothing yet; must be made on the event loop that runs it."""
        self.runner = reading.runner
        self.failure: PipelineError | None = None
        """Why some items were never begun: the platform did not list them."""
        self.names: dict[str, str] = {}
        """Of the items that are read now: id -> path in the dataset."""
        self._desk = desk
        self._reading = reading
        self._folder = folder
        self._watch = watch
        self._read_slots = asyncio.Semaphore(workers)
        self._disk_slots = asyncio.Semaphore(workers + _AHEAD)
        self._slots = asyncio.Semaphore(workers + _AHEAD + _RISING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rising: set[asyncio.Task[Any]] = set()
        self._once = once
        self._begun: set[str] = set()
        self._is_needed = asyncio.Event()
        self._ends_at: float | None = None
        """When a stop must have come to its end, by the loop's clock."""

    async def run(self, items: Iterator[Wanted]) -> None:
        """Annotate the items; `watch` is told of every one that was begun.

        Raises:
            PipelineError: The chain cannot be opened, or a stage keeps failing. Items that had been read are finished.
        """
        engine = asyncio.create_task(self._run_engine(), name="engine")
        feeding = asyncio.create_task(self._feed(items), name="items")
        try:
            await asyncio.wait((engine, feeding), return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                self.stop()
            await asyncio.wait((engine,))
            feeding.cancel()
            await self._last_to_rise()
            engine.result()
        finally:
            for task in (engine, feeding, *self._tasks):
                task.cancel()
            self._desk.close()
            await asyncio.gather(engine, feeding, *self._tasks, return_exceptions=True)

    async def _run_engine(self) -> None:
        """Load models and run, once there is something to look at: where all is done already, that takes no time."""
        await self._is_needed.wait()
        await self.runner.run()

    def load(self) -> None:
        """Load models with the start of the run, not with the first item that needs them."""
        self._is_needed.set()

    def stop(self) -> None:
        """Read nothing more. Items that have been read are still finished, for as long as the run may drain."""
        if self._ends_at is None:
            self._ends_at = asyncio.get_running_loop().time() + self.runner.settings.drain_timeout_seconds
        self.runner.stop()
        self._is_needed.set()

    async def _last_to_rise(self) -> None:
        """End the items that have not been read to their end; give the others the time that is left."""
        for task in self._tasks - self._rising:
            task.cancel()
        now = asyncio.get_running_loop().time()
        ends_at = now + self.runner.settings.drain_timeout_seconds if self._ends_at is None else self._ends_at
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, ends_at - now))

    async def _feed(self, items: Iterator[Wanted]) -> None:
        """Begin items one after the other, as there is room; then wait for all."""
        async with _worker("items") as worker:
            while (wanted := await self._next(worker, items)) is not None:
                await self._slots.acquire()
                task = asyncio.create_task(self._one(wanted), name=f"item {wanted.item_id}")
                self._tasks.add(task)
                task.add_done_callback(self._forget)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _next(self, worker: Worker, items: Iterator[Wanted]) -> Wanted | None:
        try:
            return await worker.call(next, items, None)
        except PipelineError as error:
            self.failure = error
            return None

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()

    async def _one(self, wanted: Wanted) -> None:
        """Annotate one item, whatever comes of it."""
        progress = _Progress(wanted.item_id)
        state: State = "failed"
        made = None
        try:
            async with _worker(f"item {wanted.item_id}") as worker:
                state, detail, made = await self._annotate(wanted, progress, worker)
        except (asyncio.CancelledError, Stopped):
            state, detail = "stopped", "--resume goes on with it"
        except PipelineError as error:
            detail = str(error)
        except Exception as error:  # noqa: BLE001 - it becomes the item's result; the other items go on
            _log.exception("item %s", wanted.item_id)
            detail = f"{type(error).__name__}: {error}"
        self._watch(progress.result(wanted.item_id, state, detail, made))

    async def _annotate(
        self, wanted: Wanted, progress: _Progress, worker: Worker
    ) -> tuple[State, str, Uploaded | None]:
        item = await worker.call(wanted.look)
        progress.name = item.filename
        if refusal := item.refusal or ("it was named twice" if item.id in self._begun else ""):
            return "refused", refusal, None
        if self._once:
            self._begun.add(item.id)
        opened = await worker.call(self._desk.open, item)
        if isinstance(opened, Uploaded):
            return "unchanged", "", opened
        try:
            if opened.needs_frames:
                await self._read(item, opened, worker, progress)
            made = await self._finish(opened, worker)
            progress.warnings += opened.warnings
            return self._desk.state, "", made
        finally:
            await asyncio.shield(worker.call(opened.close))

    async def _read(self, item: Item, sheet: Sheet, worker: Worker, progress: _Progress) -> None:
        """Bring the file here, and its people onto the sheet; the file is deleted then."""
        folder = self._folder / item.id
        self._is_needed.set()
        async with self._disk_slots:
            try:
                path = await worker.call(self._desk.fetch, item, self._folder)
                async with self._read_slots:
                    self.names[item.id] = item.filename
                    progress.frames, left_out = await self._reading.read(item, path, sheet)
                progress.warnings += left_out
            finally:
                self.names.pop(item.id, None)
                await asyncio.shield(worker.call(shutil.rmtree, folder, ignore_errors=True))

    async def _finish(self, sheet: Sheet, worker: Worker) -> Uploaded:
        task = asyncio.current_task()
        assert task is not None
        self._rising.add(task)
        try:
            return await asyncio.wrap_future(await worker.call(sheet.finish))
        finally:
            self._rising.discard(task)


@asynccontextmanager
async def _worker(name: str) -> AsyncIterator[Worker]:
    worker = Worker(name)
    try:
        yield worker
    finally:
        await worker.close()
