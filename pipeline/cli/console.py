"""What people see: errors, log lines, progress, the summary. Rich in a terminal, plain lines elsewhere."""

import asyncio
import logging
import os
import sys
import traceback
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.runner import Runner
from pipeline.secrets import MaskingFilter, mask
from pipeline.telemetry import SourceCounts

__all__ = ["LOGGED", "ProgressView", "say_error", "set_up_logging", "show_summary", "stderr", "stdout"]

LOGGED: Final = ("pipeline", "stages", "trackers", "training")
"""Packages whose records are shown as `set_up_logging` says; of others, warnings."""
_PIPE_WIDTH = 160
"""Columns where there is no terminal that has a width."""


class QuietlyBroken(Console):
    """A console that falls silent when its reader leaves (`| head`): a run goes on whether anybody listens or not."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on, also what is still buffered."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


stdout = QuietlyBroken(highlight=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
stderr = QuietlyBroken(highlight=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH, stderr=True)

_TERMINAL_INTERVAL_SECONDS = 0.25
_PLAIN_INTERVAL_SECONDS = 5.0
_LONGEST_PLAIN_INTERVAL_SECONDS = 60.0
"""Lines come rarer the longer it takes: a run of months must not fill a disk with them."""
_MOST_ROWS = 8
"""With more sources than that, progress is one row for all of them."""
_TROUBLE = frozenset({"connecting", "stalled", "reconnecting", "auth_error", "paused"})
_RATE_WINDOW = 12
"""Frames a second are taken over that many updates."""


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Send log records to stderr, secrets masked: warnings, with `verbose` everything, with `quiet` errors only."""
    level = logging.DEBUG if verbose else logging.ERROR if quiet else logging.WARNING
    handler: logging.Handler
    if stderr.is_terminal:
        handler = RichHandler(console=stderr, show_path=verbose, show_time=False, markup=False)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handler.addFilter(MaskingFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in LOGGED:
        logging.getLogger(package).setLevel(level)


def say_error(error: BaseException, *, verbose: bool = False) -> None:
    """Print an error for people: one message; the traceback only when asked for."""
    stderr.print("[bold red]error:[/] ", end="")
    stderr.print(mask(str(error)), markup=False, soft_wrap=True)
    if verbose:
        text = "".join(traceback.format_exception(error))
        stderr.print(mask(text), markup=False, style="dim", soft_wrap=True)


class ProgressView:
    """Shows how far a run is: a live bar a source in a terminal, a line every few seconds elsewhere.

    Args:
        runner: To watch. Only its counters are read.
        shown: False to show nothing at all.
    """

    def __init__(self, runner: Runner, *, shown: bool) -> None:
        """Prepare; `start` begins to show."""
        self._runner = runner
        self._shown = shown
        self._progress: Progress | None = None
        self._rows: dict[str, TaskID] = {}
        self._history: deque[tuple[float, dict[str, int]]] = deque(maxlen=_RATE_WINDOW)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; must be called on the event loop that runs the runner."""
        if not self._shown:
            return
        if stderr.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn(
                    "{task.fields[rate]:6.1f} fps · {task.fields[people]} people · {task.fields[drops]} dropped"
                    "{task.fields[trouble]}"
                ),
                TimeRemainingColumn(compact=True),
                console=stderr,
                transient=True,
            )
            self._progress.start()
        self._tick()

    def stop(self) -> None:
        """End; the bars disappear, the summary takes their place."""
        if self._timer is not None:
            self._timer.cancel()
        if self._progress is not None:
            self._progress.stop()

    def _tick(self) -> None:
        sources = self._runner.telemetry.sources
        rows = {name: [counts] for name, counts in sources.items()}
        if len(sources) > _MOST_ROWS:
            rows = {"all sources": list(sources.values())}
        totals = {name: _total(row) for name, row in rows.items()}
        self._history.append((self._runner.telemetry.clock(), {name: row.delivered for name, row in totals.items()}))
        for name, row in rows.items():
            if self._progress is not None:
                self._draw(name, totals[name], _trouble(row))
            elif len(self._history) > 1:
                self._print(name, totals[name], _trouble(row))
        interval = _TERMINAL_INTERVAL_SECONDS if self._progress is not None else self._plain_interval_seconds()
        self._timer = asyncio.get_running_loop().call_later(interval, self._tick)

    def _plain_interval_seconds(self) -> float:
        tenth = self._runner.telemetry.elapsed_seconds / 10
        return min(max(_PLAIN_INTERVAL_SECONDS, tenth), _LONGEST_PLAIN_INTERVAL_SECONDS)

    def _rate(self, name: str) -> float:
        then, before = self._history[0]
        now, after = self._history[-1]
        return (after[name] - before.get(name, 0)) / (now - then) if now > then else 0.0

    def _draw(self, name: str, counts: SourceCounts, trouble: str) -> None:
        assert self._progress is not None
        facts: dict[str, Any] = {
            "rate": self._rate(name),
            "people": counts.people,
            "drops": counts.dropped.total(),
            "trouble": trouble,
            "total": self._expected(counts),
            "completed": counts.delivered,
        }
        if name not in self._rows:
            self._rows[name] = self._progress.add_task(name, **facts)
        self._progress.update(self._rows[name], **facts)

    def _print(self, name: str, counts: SourceCounts, trouble: str) -> None:
        expected, rate = self._expected(counts), self._rate(name)
        of = f"/{expected}" if expected else ""
        left = f", {max(expected - counts.delivered, 0) / rate:.0f} s left" if expected and rate else ""
        stderr.print(
            f"{name}: {counts.delivered}{of} frames, {rate:.1f} fps, {counts.people} people, "
            f"{counts.dropped.total()} dropped{left}{trouble}",
            markup=False,
        )

    def _expected(self, counts: SourceCounts) -> int | None:
        most = self._runner.settings.max_frames
        known = [number for number in (counts.expected_frames, most) if number is not None]
        return min(known, default=None)


def _trouble(sources: Sequence[SourceCounts]) -> str:
    """Say which sources should give frames and do not; nothing where all is well."""
    states = Counter(counts.state for counts in sources if counts.state in _TROUBLE)
    of = "" if len(sources) == 1 else " {}"
    return "".join(f",{of.format(number)} {state.replace('_', ' ')}" for state, number in sorted(states.items()))


def _total(sources: Sequence[SourceCounts]) -> SourceCounts:
    total = SourceCounts()
    for counts in sources:
        total.delivered += counts.delivered
        total.people += counts.people
        total.dropped.update(counts.dropped)
    if all(counts.expected_frames is not None for counts in sources):
        total.expected_frames = sum(counts.expected_frames or 0 for counts in sources)
    return total


def show_summary(report: dict[str, Any], out: Path) -> None:
    """Print what a run did: a row a source, and what lies where."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source")
    for number in ("frames", "fps", "identities", "dropped"):
        table.add_column(number, justify="right")
    table.add_column("")
    for name, row in report["sources"].items():
        drops = ", ".join(f"{count} {reason}" for reason, count in row["dropped"].items()) or "0"
        numbers = (str(row["delivered"]), f"{row['frames_per_second']:.1f}", str(row["identities"]))
        table.add_row(name, *numbers, drops, row["state"])
    stdout.print(table)
    for stage, description in report["models"].items():
        stdout.print(f"{stage}: {description}", markup=False, soft_wrap=True)
    total = report["latency_ms"].get("total")
    if total and total["p50"] is not None:
        stdout.print(f"frame to result: {total['p50']:.0f} ms (p50), {total['p95']:.0f} ms (p95)")
    stdout.print(f"{report['elapsed_seconds']:.1f} s, {report['peak_rss_bytes'] / 2**20:.0f} MiB at most")
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        stdout.print(f"  {path}", markup=False, soft_wrap=True)
