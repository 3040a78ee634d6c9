"""What the commands of the stages say to a terminal, all in the same way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.errors import PipelineError

__all__ = ["progress", "reported"]


@contextmanager
def reported() -> Iterator[None]:
    """Turn an error of ours into a line on stderr and its exit code."""
    try:
        yield
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Callable[[str, int], None]]:
    """Show how far something is, where somebody looks at it.

    Args:
        total: How many steps there are.
        quiet: Show nothing.

    Yields:
        To be told what is at work, and how many steps it has just done.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda what, steps: bar.update(task, description=what, advance=steps)
