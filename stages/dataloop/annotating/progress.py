"""How far a run over items is: bars in a terminal, a line every few seconds elsewhere, always on stderr."""

import asyncio
from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from pipeline.telemetry import SourceCounts, Telemetry
from stages.dataloop.annotating.results import Result

__all__ = ["ItemProgress"]

_TERMINAL_SECONDS: Final = 0.25
_PLAIN_SECONDS: Final = 5.0
_LONGEST_PLAIN_SECONDS: Final = 60.0
"""Lines come rarer the longer it takes: a run of days must not fill a disk with them."""


class ItemProgress:
    """Shows items done, and how many frames were read of those that are under way.

    Args:
        console: To show it on.
        total: How many items there are; None while nobody knows.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        """Show nothing yet."""
        self._console = console
        self._total = total
        self._names: Mapping[str, str] = {}
        self._results: list[Result] = []
        self._frames = 0
        self._telemetry: Telemetry | None = None
        self._rows: dict[str, TaskID] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("items", total=total, said="")

    def start(self, telemetry: Telemetry, names: Mapping[str, str]) -> None:
        """Begin; must be called on the event loop of the run.

        Args:
            telemetry: Of the run.
            names: How the items are called that are read now.
        """
        self._telemetry = telemetry
        self._names = names
        self._bars.start()
        self._tick()

    def stop(self) -> None:
        """End; the bars disappear."""
        if self._timer is not None:
            self._timer.cancel()
        self._bars.stop()

    def note(self, result: Result) -> None:
        """Take note of an item that has come to its end."""
        self._results.append(result)
        self._frames += result.frames
        if not self._console.is_terminal:
            self._console.print(f"{result.name}: {result.state}{_said(result)}", markup=False, soft_wrap=True)

    def _tick(self) -> None:
        assert self._telemetry is not None
        reading = {name: counts for name, counts in self._telemetry.sources.items() if counts.state == "reading"}
        if self._console.is_terminal:
            self._draw(reading)
        elif self._timer is not None:
            self._print(reading)
        seconds = _TERMINAL_SECONDS if self._console.is_terminal else self._plain_seconds(self._telemetry)
        self._timer = asyncio.get_running_loop().call_later(seconds, self._tick)

    def _plain_seconds(self, telemetry: Telemetry) -> float:
        return min(max(_PLAIN_SECONDS, telemetry.elapsed_seconds / 10), _LONGEST_PLAIN_SECONDS)

    def _draw(self, reading: dict[str, SourceCounts]) -> None:
        self._bars.update(self._all, completed=len(self._results), said=f"{self._sum(reading)} frames")
        for item_id in self._rows.keys() - reading.keys():
            self._bars.remove_task(self._rows.pop(item_id))
        for item_id, counts in reading.items():
            if item_id not in self._rows:
                self._rows[item_id] = self._bars.add_task(f"  {self._name(item_id)}", total=None, said="")
            self._bars.update(
                self._rows[item_id],
                completed=counts.received,
                total=counts.expected_frames,
                said=f"{self._rate(counts):6.1f} fps",
            )

    def _print(self, reading: dict[str, SourceCounts]) -> None:
        of = "" if self._total is None else f" of {self._total}"
        each = [
            f"{self._name(item_id)} {counts.received}/{counts.expected_frames or '?'} at {self._rate(counts):.1f} fps"
            for item_id, counts in reading.items()
        ]
        said = "; ".join([f"{len(self._results)}{of} items, {self._sum(reading)} frames", *each])
        self._console.print(said, markup=False, soft_wrap=True)

    def _name(self, item_id: str) -> str:
        return self._names.get(item_id, item_id)

    def _rate(self, counts: SourceCounts) -> float:
        """Give the frames a second that are read: where people are looked at with hindsight, others wait to the end."""
        if self._telemetry is None or counts.first_received is None:
            return 0.0
        return counts.received / max(self._telemetry.clock() - counts.first_received, 1e-3)

    def _sum(self, reading: dict[str, SourceCounts]) -> int:
        return self._frames + sum(counts.received for counts in reading.values())


def _said(result: Result) -> str:
    if not result.is_done:
        return f": {result.detail}"
    return f", {result.people} people, {result.annotations} annotations, {result.seconds:.1f} s"
