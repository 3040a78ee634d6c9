"""`kinestream data`: look at a data set before anything is trained on it; `kinestream train`: train on it."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pipeline.errors import ConfigError, MissingPackage
from stages.terminal import progress, reported

if TYPE_CHECKING:
    from training.inspection import Half

__all__ = ["app", "trainer"]

_NAMED: Final = 10

app = typer.Typer(help="Look at a data set before training on it.", no_args_is_help=True)
trainer = typer.Typer(help="Train a pose network: HRNet or PoseResNet.")


@app.callback()
def _data() -> None:
    """Look at a data set before training on it."""


@app.command(epilog="Example: kinestream data coco --root datasets/coco")
def coco(
    root: Annotated[Path, typer.Option(metavar="DIR", help="Folder with annotations, train2017 and val2017.")],
    *,
    skip_pictures: Annotated[
        bool, typer.Option("--skip-pictures", help="Only see that files are there; do not read each one.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Check a folder of COCO: counts, missing and broken pictures, boxes without area; and say what to download.

    Pictures may lie in `DIR/train2017` or in `DIR/images/train2017`. Exit code: 0 complete, 1 something is missing or
    broken, 2 there is no such folder.
    """
    from pydantic import TypeAdapter  # noqa: PLC0415 - every command would wait for OpenCV and SciPy

    from training.folders import SPLITS  # noqa: PLC0415
    from training.inspection import Half, look_through  # noqa: PLC0415

    with reported():
        if not root.is_dir():
            msg = f"--root must be an existing folder, got '{root}': make it, and run this again to see what it needs"
            raise ConfigError(msg)
        with progress(0, quiet=as_json) as watch:
            halves = [look_through(root, split, watch, read_pictures=not skip_pictures) for split in SPLITS]
        if as_json:
            typer.echo(TypeAdapter(list[Half]).dump_json(halves, indent=2).decode())
        else:
            _show(root, halves)
        if not all(half.is_complete for half in halves):
            raise typer.Exit(1)


def _show(root: Path, halves: "list[Half]") -> None:
    for half in halves:
        typer.echo(f"{half.name}: {'complete' if half.is_complete else 'not complete'}")
        typer.echo(f"  annotations  {half.annotations or 'not there'}")
        typer.echo(f"  pictures     {half.folder or 'not there'}")
        for line in _findings(half):
            typer.echo(f"  {line}")
    archives = dict.fromkeys(archive for half in halves for archive in half.download)
    if archives:
        typer.echo("to download:")
    for archive in archives:
        typer.echo(f"  {archive.url}  ({archive.size}; unpack it in {root / archive.into})")


def _findings(half: "Half") -> list[str]:
    if half.annotations_fault:
        return [f"the annotations cannot be used: {half.annotations_fault}"]
    if half.annotations is None:
        return []
    lines = [f"{half.pictures} pictures listed, {half.people} people to learn from"]
    if half.left_out:
        lines.append("left out: " + ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in half.left_out.items()))
    if half.not_listed:
        lines.append(f"{half.not_listed} files that no annotation knows")
    if half.missing and half.folder is not None:
        lines.append(f"{len(half.missing)} pictures missing: {_some(half.missing)}")
    lines += [f"broken: {fault.file} {fault.reason}" for fault in half.broken[:_NAMED]]
    if len(half.broken) > _NAMED:
        lines.append(f"... and {len(half.broken) - _NAMED} more broken ones; --json names all")
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


@trainer.callback(
    invoke_without_command=True,
    no_args_is_help=True,
    subcommand_metavar="",
    context_settings={"allow_interspersed_args": True},  # one command: options may stand behind the file
    epilog="Example: kinestream train coco.yaml -o optimiser.lr=1e-4 -o epochs=20",
)
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train; see docs/training.md.")],
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("-o", metavar="KEY=VALUE", help="Set any value: optimiser.lr=1e-4.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the folder, if there is one.")
    ] = False,
    shown: Annotated[
        int | None, typer.Option("--show-batch", min=1, metavar="N", help="Only draw N crops as they are trained on.")
    ] = None,
) -> None:
    """Train a pose network: HRNet or PoseResNet, on COCO, MPII, or any data set in COCO's format.

    SIGTERM or Ctrl-C ends it after the current step, with a checkpoint. On several GPUs:
    `torchrun --nproc-per-node 4 --no-python kinestream train CONFIG.yaml`

    Exit code: 0 done or asked to stop, 1 something failed, 2 the configuration or the data set is wrong.
    """
    from rich.console import Console  # noqa: PLC0415 - every command would wait for PyTorch

    with reported():
        _need_torch()
        from training.config import read_config  # noqa: PLC0415
        from training.run import show_batch  # noqa: PLC0415
        from training.run import train as run  # noqa: PLC0415

        asked = read_config(config, overrides or ())
        if shown is not None:
            typer.echo(show_batch(asked, shown))
            return
        outcome = run(asked, Console(stderr=True), resume=resume)
    ended = "trained" if outcome.is_complete else "stopped after"
    best = "" if outcome.best is None else f", best {outcome.best:.3f}"
    more = "" if outcome.is_complete else "; go on with --resume"
    typer.echo(f"{ended} {outcome.epochs} epochs{best}, in {asked.out}{more}")


def _need_torch() -> None:
    """See that PyTorch is there.

    Raises:
        MissingPackage: It is not.
    """
    if find_spec("torch") is None:
        msg = "training needs the package 'torch': pip install 'kinestream[train]'"
        raise MissingPackage(msg)
