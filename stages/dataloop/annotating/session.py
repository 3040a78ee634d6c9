"""One run of `annotate` from the command line: models, signals, progress, report, exit code."""

import asyncio
import json
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import PipelineError
from pipeline.report import make_report
from pipeline.runner import Runner
from pipeline.worker import Worker, abandoned_workers
from stages.dataloop.annotating.annotate import Annotating
from stages.dataloop.annotating.chain import make_chain
from stages.dataloop.annotating.distribution import Distribution
from stages.dataloop.annotating.dry_run import DryDesk
from stages.dataloop.annotating.job import Job
from stages.dataloop.annotating.progress import ItemProgress
from stages.dataloop.annotating.reading import Reading
from stages.dataloop.annotating.recording import remember
from stages.dataloop.annotating.results import Result, exit_code, table, tally

__all__ = ["execute"]

_INTERRUPTED = 130


def execute(job: Job, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> int:
    """Do it.

    Args:
        job: What is to be done.
        as_json: Print the report on stdout, and nothing else.
        quiet: Say nothing but errors.
        verbose: Show where errors come from.

    Returns:
        The exit code: 0 every item is done, 1 something failed, 2 wrong configuration, 130 interrupted.
    """
    code = asyncio.run(_Session(job, as_json=as_json, quiet=quiet, verbose=verbose).run())
    if abandoned_workers():
        # A call never returned; the interpreter's own end would wait for it, or crash under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


class _Session:
    def __init__(self, job: Job, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        from pipeline.cli.console import stderr  # noqa: PLC0415 - the command line imports this room's commands

        self._job = job
        self._as_json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._stderr = stderr
        self._results: list[Result] = []
        self._signals = 0
        self._annotating: Annotating | None = None
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        self._task = asyncio.create_task(self._build_and_run(), name="annotate")
        errors: list[PipelineError] = []
        try:
            await self._task
        except PipelineError as error:
            errors.append(error)
        except asyncio.CancelledError:
            self._signals = max(self._signals, 1)
        finally:
            self._job.desk.close()
        if self._annotating is not None and self._annotating.failure is not None:
            errors.append(self._annotating.failure)
        return self._conclude(errors)

    async def _build_and_run(self) -> None:
        job, distribution = self._job, Distribution()
        # Importing models takes seconds: on a thread, so that a signal is still answered at once.
        worker = Worker("build")
        try:
            graph = await worker.call(make_chain, job.config, distribution)
        finally:
            await worker.close()
        runner = Runner(remember(graph, job.recordings), job.config.run)
        reading = Reading(runner, job.config, distribution)
        progress = ItemProgress(self._stderr, job.total)
        with tempfile.TemporaryDirectory(prefix="kinestream-", ignore_cleanup_errors=True) as folder:
            self._annotating = Annotating(job.desk, reading, Path(folder), job.workers, self._noted(progress))
            if not (self._quiet or self._as_json):
                progress.start(runner.telemetry, self._annotating.names)
            try:
                with _said_once(verbose=self._verbose):
                    await self._annotating.run(job.items)
            finally:
                progress.stop()
        if isinstance(job.desk, DryDesk):
            job.desk.complete()

    def _noted(self, progress: ItemProgress) -> Callable[[Result], None]:
        def note(result: Result) -> None:
            self._results.append(result)
            if not (self._quiet or self._as_json):
                progress.note(result)

        return note

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1 and self._annotating is not None:
            self._annotating.stop()
            if not self._quiet:
                seconds = self._job.config.run.drain_timeout_seconds
                self._stderr.print(
                    f"stopping: what was read is finished, {seconds:.0f} s at most; once more to end at once"
                )
        elif self._task is not None:
            self._task.cancel()

    def _conclude(self, errors: list[PipelineError]) -> int:
        from pipeline.cli.console import say_error, stdout  # noqa: PLC0415 - see above

        code = max((error.exit_code for error in errors), default=exit_code(self._results))
        code = code or (_INTERRUPTED if self._signals else 0)
        if self._as_json:
            sys.stdout.write(json.dumps(self._report(code, errors), indent=2) + "\n")
        elif not self._quiet and (self._results or not errors):
            if self._results:
                stdout.print(table(self._results))
            stdout.print(tally(self._results), markup=False)
        for error in errors:
            say_error(error, verbose=self._verbose)
        return code

    def _report(self, code: int, errors: list[PipelineError]) -> Mapping[str, Any]:
        runner = None if self._annotating is None else self._annotating.runner
        run = {} if runner is None else make_report(runner, self._job.config)
        return {
            "items": [result.as_json() for result in self._results],
            "exit_code": code,
            **{key: run.get(key) for key in ("models", "elapsed_seconds", "versions", "config")},
            "errors": [str(error) for error in errors],
        }


@contextmanager
def _said_once(*, verbose: bool) -> Iterator[None]:
    """Keep out of the log what is wrong with a file: its row says it, and by a name that people know."""
    levels = {log: log.level for log in map(logging.getLogger, ("pipeline.loops.source", "stages.sources"))}
    for log, before in levels.items():
        log.setLevel(before if verbose else logging.CRITICAL)
    try:
        yield
    finally:
        for log, before in levels.items():
            log.setLevel(before)
