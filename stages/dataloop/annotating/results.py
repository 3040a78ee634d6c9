"""What became of each item: one row an item, the table of all, and what the exit code says."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from rich.table import Table
from rich.text import Text

__all__ = ["Result", "State", "exit_code", "table", "tally"]

State = Literal["annotated", "written", "unchanged", "refused", "failed", "stopped"]
"""What became of an item.

    annotated  its annotations are on the platform, counted there, and those of earlier runs are gone
    written    a dry run has written its annotations
    unchanged  an earlier run had finished it, and `--resume` left it as it was
    refused    it is neither a video nor a picture
    failed     something was wrong with it, or on the way; what was on the platform before is there still
    stopped    the run ended before it was done; `--resume` goes on with it
"""

_DONE: Final = frozenset({"annotated", "written", "unchanged"})
_INTERRUPTED: Final = 130
_COLOURS: Final = {"refused": "yellow", "failed": "red", "stopped": "yellow"}
_LONGEST_TABLE: Final = 40
"""With more items, the table has those that are not done only."""


@dataclass(frozen=True, slots=True)
class Result:
    """One item, and what became of it."""

    item_id: str
    name: str
    """Path in its dataset; the id once more where the item was never seen."""
    state: State
    detail: str = ""
    """Why it is not done, in words; empty where it is."""
    frames: int = 0
    people: int = 0
    """Identities that have annotations."""
    annotations: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    """What a careful reader should know although it is done: frames that were left out."""

    @property
    def is_done(self) -> bool:
        """Tell whether the item has all its annotations."""
        return self.state in _DONE

    def as_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return asdict(self) | {"seconds": round(self.seconds, 3), "warnings": list(self.warnings)}


def exit_code(results: Sequence[Result]) -> int:
    """Say by a number how it went.

    Returns:
        0: every item is done. 130: the run was stopped, and nothing but that is wrong. 1: anything else.
    """
    left = {result.state for result in results if not result.is_done}
    if not left:
        return 0
    return _INTERRUPTED if left == {"stopped"} else 1


def tally(results: Sequence[Result]) -> str:
    """Count in words: `12 annotated, 1 refused`."""
    counts = Counter(result.state for result in results)
    return (
        ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing to annotate: there is no such item"
    )


def table(results: Sequence[Result]) -> Table:
    """Draw a row an item; of very many only those that are not done, or that come with a warning."""
    shown = [result for result in results if len(results) <= _LONGEST_TABLE or not result.is_done or result.warnings]
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    drawn.add_column("item", overflow="fold")
    for number in ("frames", "people", "annotations", "seconds"):
        drawn.add_column(number, justify="right")
    drawn.add_column("")
    for result in shown:
        numbers = (result.frames, result.people, result.annotations)
        cells = [str(number) if number else "" for number in numbers]
        drawn.add_row(Text(result.name), *cells, f"{result.seconds:.1f}", _said(result))
    return drawn


def _said(result: Result) -> Text:
    text = Text(result.state, style=_COLOURS.get(result.state, ""))
    for remark in filter(None, (result.detail, *result.warnings)):
        text.append(f": {remark}", style="default")
    return text
