"""One run from the command line: signals, progress, report, summary, exit code."""

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.cli.console import ProgressView, say_error, set_up_logging, show_summary, stderr, stdout
from pipeline.config import PipelineConfig
from pipeline.errors import PipelineError
from pipeline.graph import build
from pipeline.report import make_report, write_report
from pipeline.runner import Runner
from pipeline.worker import Worker, abandoned_workers

__all__ = ["Output", "execute"]

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Output:
    """How much is said, and in which form."""

    as_json: bool = False
    """Print the report on stdout, and nothing else."""
    quiet: bool = False
    verbose: bool = False


def execute(config: PipelineConfig, output: Output) -> int:
    """Run a configuration to its end.

    Returns:
        The exit code: 0 done or asked to stop, 1 failed, 2 wrong configuration, 130 cancelled.
    """
    set_up_logging(verbose=output.verbose, quiet=output.quiet)
    out = config.run.out or Path("runs") / datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    session = _Session(config, out, output)
    code = asyncio.run(session.run())
    if abandoned_workers():
        # A native call never returned; the interpreter's own end would wait for it, or crash under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


class _Session:
    def __init__(self, config: PipelineConfig, out: Path, output: Output) -> None:
        self._config = config
        self._out = out
        self._output = output
        self._runner: Runner | None = None
        self._task: asyncio.Task[None] | None = None
        self._signals = 0
        self._cancelled = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal)
        self._task = asyncio.create_task(self._build_and_run(), name="run")
        error: PipelineError | None = None
        try:
            await self._task
        except PipelineError as fault:
            error = fault
            say_error(fault, verbose=self._output.verbose)
        except asyncio.CancelledError:
            self._cancelled = True
        if self._runner is None:
            return error.exit_code if error else self._code_when_cancelled()
        return self._conclude(self._runner, error)

    async def _build_and_run(self) -> None:
        # Importing models takes seconds: on a thread, so that a signal is still answered at once.
        worker = Worker("build")
        try:
            graph = await worker.call(build, self._config, self._out)
        finally:
            await worker.close()
        self._runner = Runner(graph, self._config.run)
        progress = ProgressView(self._runner, shown=not (self._output.quiet or self._output.as_json))
        progress.start()
        try:
            await self._runner.run()
        finally:
            progress.stop()

    def _on_signal(self) -> None:
        self._signals += 1
        if self._signals == 1 and self._runner is not None:
            self._runner.stop()
            seconds = self._config.run.drain_timeout_seconds
            if not self._output.quiet:
                stderr.print(f"stopping: finishing what was read, {seconds:.0f} s at most; once more to end at once")
        elif self._task is not None:
            self._task.cancel()

    def _code_when_cancelled(self) -> int:
        return _INTERRUPTED if self._signals > 1 else 0

    def _conclude(self, runner: Runner, error: PipelineError | None) -> int:
        report = make_report(runner, self._config, error)
        code = error.exit_code if error else self._code_when_cancelled() if self._cancelled else 0
        failures = list(runner.failures)
        try:
            write_report(report, self._out)
        except PipelineError as fault:
            failures.append(fault)
        if not self._cancelled:
            self._show(report)
        for failure in failures:
            say_error(failure, verbose=self._output.verbose)
        return code or (1 if failures else 0)

    def _show(self, report: dict[str, Any]) -> None:
        if self._output.as_json:
            sys.stdout.write(json.dumps(report, indent=2) + "\n")
        elif not self._output.quiet and not report["errors"]:
            show_summary(report, self._out)
        elif not self._output.quiet and any(counts["received"] for counts in report["sources"].values()):
            stdout.print(f"what was produced is in {self._out}", markup=False)
