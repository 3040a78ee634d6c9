"""How far a run over items is, as people see it."""

import asyncio
from collections import Counter
from io import StringIO

import pytest
from rich.console import Console

from pipeline.telemetry import SourceCounts, Telemetry
from stages.dataloop.annotating.progress import ItemProgress
from stages.dataloop.annotating.results import Result

NAMES = {"64b0a": "/street/[1].mp4"}


@pytest.fixture
def telemetry() -> Telemetry:
    """Time stands at 10 s; one item is read since 8 s."""
    telemetry = Telemetry(clock=lambda: 10.0)
    telemetry.sources["64b0a"] = SourceCounts(
        received=30, expected_frames=60, state="reading", first_received=8.0, dropped=Counter()
    )
    telemetry.sources["64b0b"] = SourceCounts(received=9, state="finished")
    return telemetry


async def test_without_a_terminal_there_are_lines(telemetry: Telemetry) -> None:
    console = Console(file=StringIO(), width=120)
    progress = ItemProgress(console, 3)
    progress.start(telemetry, NAMES)
    progress.note(Result("64b0b", "/a.mp4", "annotated", frames=9, people=2, annotations=38, seconds=1.5))
    progress.note(Result("64b0c", "/b.pdf", "refused", "application/pdf is neither a video nor a picture"))
    progress._tick()
    progress.stop()

    assert isinstance(console.file, StringIO)
    assert console.file.getvalue().splitlines() == [
        "/a.mp4: annotated, 2 people, 38 annotations, 1.5 s",
        "/b.pdf: refused: application/pdf is neither a video nor a picture",
        "2 of 3 items, 39 frames; /street/[1].mp4 30/60 at 15.0 fps",
    ]


async def test_on_a_terminal_each_item_that_is_read_has_a_bar(telemetry: Telemetry) -> None:
    console = Console(file=StringIO(), width=120, force_terminal=True, color_system=None)
    progress = ItemProgress(console, 3)
    progress.start(telemetry, NAMES)
    progress._bars.refresh()
    progress.stop()

    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert "/street/[1].mp4" in shown
    assert "30/60" in shown
    assert "15.0 fps" in shown
    assert "0/3" in shown


async def test_nothing_ticks_after_the_end(telemetry: Telemetry) -> None:
    progress = ItemProgress(Console(file=StringIO()), None)
    progress.start(telemetry, {})
    progress.stop()

    assert [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()] == []  # type: ignore[attr-defined]
