"""`kinestream models`: list, fetch and verify the weights the zoo knows."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Column, Table

from pipeline.errors import PipelineError, WeightsError
from stages.zoo.entries import MODELS, lookup
from stages.zoo.model import Model
from stages.zoo.store import Store

__all__ = ["app"]

app = typer.Typer(help="List, fetch and verify the weights of models.", no_args_is_help=True)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
_WRONG_USAGE: Final = 2
_DOUBT: Final = {"known": "", "known in part": ", hash known in part", "unverified": ", unverified hash"}
"""What is known of a model's hash before it is fetched -> what stands behind its state in the list."""


@app.command("list", epilog="Example: kinestream models list --json")
def list_models(*, as_json: _Json = False) -> None:
    """Show every model: what it is for, its size and licence, and whether it is here."""
    store = Store.from_environment()
    rows = [_row(store, model) for model in MODELS.values()]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    cells = [
        [row["name"], row["task"], _megabytes(row["size_bytes"]), row["licence"], row["state"] + _DOUBT[row["hash"]]]
        for row in rows
    ]
    _show(("name", "task", "size", "licence", "state"), cells)


@app.command(epilog="Example: kinestream models pull blazepose-detector blazepose-landmark-full")
def pull(
    names: Annotated[list[str] | None, typer.Argument(help="Names or file names.", show_default=False)] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every model the zoo knows.")] = False,
    as_json: _Json = False,
) -> None:
    """Fetch models into the cache; what is here already is only verified."""
    if bool(names) == everything:
        typer.echo("error: give the names of models, or --all; kinestream models list shows them", err=True)
        raise typer.Exit(_WRONG_USAGE)
    results = [_pulled(model, quiet=as_json) for model in _chosen(names)]
    if as_json:
        typer.echo(json.dumps(results, indent=2))
    if any(result["error"] for result in results):
        raise typer.Exit(WeightsError.exit_code)


@app.command(epilog="Example: kinestream models verify yolo11n-pose")
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="All that are here if left out.", show_default=False)
    ] = None,
    *,
    as_json: _Json = False,
) -> None:
    """Hash the local files anew; exit 1 if one is damaged, or was named and is not here."""
    store = Store.from_environment()
    findings: list[dict[str, str | None]] = []
    for model in _chosen(names):
        copies = store.copies(model)
        findings += [{"name": model.name, "path": str(copy.path), "fault": copy.damage()} for copy in copies]
        if names and not copies:
            findings.append({"name": model.name, "path": None, "fault": "not here: kinestream models pull it"})
    if as_json:
        typer.echo(json.dumps(findings, indent=2))
    else:
        _show(("name", "state"), [[str(one["name"]), one["fault"] or f"intact: {one['path']}"] for one in findings])
    if any(one["fault"] for one in findings):
        raise typer.Exit(WeightsError.exit_code)


@app.command(epilog="Example: cp $(kinestream models path blazepose-detector) /mnt/usb")
def path(name: Annotated[str, typer.Argument(help="A name or file name.")]) -> None:
    """Print where a model's verified file lies; nothing is fetched."""
    with _reported():
        model = lookup(name)
        found = Store.from_environment().find(model)
        if found is None:
            msg = f"{model.name} is not here: kinestream models pull {model.name}"
            raise WeightsError(msg)
    typer.echo(str(found))


@contextmanager
def _reported() -> Iterator[None]:
    """Turn an error of ours into a line on stderr and its exit code."""
    try:
        yield
    except PipelineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error


def _chosen(names: list[str] | None) -> list[Model]:
    with _reported():
        return [lookup(name) for name in names] if names else list(MODELS.values())


def _row(store: Store, model: Model) -> dict[str, Any]:
    copies = store.copies(model)
    return {
        "name": model.name,
        "task": model.task,
        "summary": model.summary,
        "size_bytes": model.size_bytes,
        "licence": model.licence.spdx,
        "licence_summary": model.licence.summary,
        "origin": str(model.origin),
        "sha256": model.sha256,
        "hash": "known" if model.is_pinned else "known in part" if model.sha256 else "unverified",
        "state": copies[0].place if copies else "absent",
        "path": str(copies[0].path) if copies else None,
    }


def _pulled(model: Model, *, quiet: bool) -> dict[str, str | None]:
    """Fetch one model; with a bar where somebody looks at it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
            task = bar.add_task(model.name, total=model.size_bytes)
            found = Store.from_environment().locate(
                model, lambda done, total: bar.update(task, completed=done, total=total)
            )
    except WeightsError as error:
        typer.echo(f"error: {error}", err=True)
        return {"name": model.name, "path": None, "error": str(error)}
    if not quiet:
        typer.echo(f"{model.name}: {found}")
        typer.echo(f"  {model.licence.spdx}: {model.licence.summary}")
    return {"name": model.name, "path": str(found), "error": None}


def _show(columns: tuple[str, ...], rows: list[list[str]]) -> None:
    """Print a table: ruled in a terminal, tab-separated anywhere else."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _megabytes(size_bytes: int | None) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes else "?"
