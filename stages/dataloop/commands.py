"""`kinestream dataloop`: annotate the items of a dataset with poses and identities."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from pipeline.errors import ConfigError
from pipeline.secrets import remember_secret
from stages.engines.packages import need
from stages.terminal import reported

__all__ = ["app"]

app = typer.Typer(
    help="Annotate videos and pictures on the Dataloop platform with poses and identities.", no_args_is_help=True
)

Project = Annotated[str | None, typer.Option(help="Id or name; not needed with the id of a dataset.")]
Dataset = Annotated[str, typer.Option(help="Id or name.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout, and nothing else.")]
By = Literal["token", "api-key", "m2m"]
Joints = Literal["coco-17", "mpii-16"]


@contextmanager
def _room() -> Iterator[None]:
    """See that there is what the platform needs, before it is imported; report errors of ours."""
    with reported():
        need("requests", "the Dataloop platform")  # dtlpy takes a second: it is asked for where it is used
        yield


@app.command(epilog="Example: DATALOOP_API_KEY=... kinestream dataloop login")
def login(
    *,
    by: Annotated[
        By | None, typer.Option(help="Ask for this, whatever the environment has. m2m: a service account.")
    ] = None,
) -> None:
    """Log in and store the login, where dtlpy keeps it too.

    Secrets come from the environment (`DATALOOP_TOKEN`, `DATALOOP_API_KEY`, `DATALOOP_EMAIL` and `DATALOOP_PASSWORD`),
    or are asked for, a token if not said otherwise; never from arguments, which others can see. `DATALOOP_URL` chooses
    another platform.
    """
    with _room():
        from stages.dataloop.connection.client import Credentials  # noqa: PLC0415 - needs the extra, and takes a second
        from stages.dataloop.connection.login import log_in  # noqa: PLC0415

        credentials = Credentials.from_environment()
        if not credentials.is_given or by is not None:
            credentials = Credentials(*_asked(by or "token"))
        typer.echo(f"logged in to {log_in(credentials)}")


def _asked(by: By) -> tuple[str | None, str | None, str | None]:
    """Ask for token, or for address and password."""
    if by == "m2m":
        return None, typer.prompt("email of the service account", err=True), _secret("password")
    return _secret(by.replace("-", " ")), None, None


def _secret(what: str) -> str:
    """Ask, and do not show what is typed. Without a terminal, a line of standard input is taken."""
    given = typer.prompt(what, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    remember_secret(given.strip())
    if not given.strip():
        msg = f"nobody is here to type the {what}, and standard input has none; set it in the environment, see --help"
        raise ConfigError(msg)
    return str(given.strip())


@app.command(epilog="Example: kinestream dataloop doctor --dataset 64b0c5f2a1")
def doctor(
    *,
    dataset: Annotated[str | None, typer.Option(help="Id or name; also look whether it can be annotated.")] = None,
    project: Project = None,
) -> None:
    """Look at login, platform and dataset; each line is ok, or says what to do. Exit code 1: something is missing."""
    with _room():
        from stages.dataloop.checkup import check_up  # noqa: PLC0415 - needs the extra

        is_missing = False
        for finding in check_up(dataset, project):
            typer.echo(f"{finding.state:8} {finding.name}: {finding.detail}")
            if finding.fix:
                typer.echo(f"{'':8} -> {finding.fix}")
            is_missing |= finding.state == "missing"
    raise typer.Exit(1 if is_missing else 0)


@app.command(epilog="Example: kinestream dataloop setup --project people --dataset street --dry-run")
def setup(
    dataset: Dataset,
    *,
    project: Project = None,
    skeleton: Annotated[Joints, typer.Option(help="Which joints; each set has a template of its own.")] = "coco-17",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be made.")] = False,
) -> None:
    """Make what poses need and the dataset lacks: recipe, labels with colours, template with arcs and positions.

    Nothing that is there is changed or removed; the second time there is nothing to do. `+` is made, `~` is completed.
    """
    with _room():
        from pipeline.skeletons import COCO_17, MPII_16  # noqa: PLC0415 - with the rest
        from stages.dataloop.asked import find_dataset  # noqa: PLC0415 - needs the extra
        from stages.dataloop.connection.platform import Platform  # noqa: PLC0415
        from stages.dataloop.recipes import Recipes, carry_out, plan  # noqa: PLC0415

        joints = {one.name: one for one in (COCO_17, MPII_16)}[skeleton]
        with Platform.from_environment() as platform:
            found = find_dataset(platform, dataset, project)
            wanted = plan(Recipes.read(platform, str(found["id"])), joints)
            for line in wanted.lines() or ["nothing to do"]:
                typer.echo(line)
            if wanted.lines() and not dry_run:
                template = carry_out(platform, wanted, joints)
                typer.echo(f"done: template '{template.name}' {template.id}")


@app.command()
def annotate(  # noqa: PLR0913 - the arguments of a command are its options
    *,
    dataset: Annotated[str | None, typer.Option(help="Id or name.")] = None,
    project: Project = None,
    item: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this item; may be repeated.")] = None,
    filter_file: Annotated[
        Path | None, typer.Option("--filter", metavar="DQL.json", help="Only items that meet these conditions.")
    ] = None,
    weight_config: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="hrnet_w48_384x288, hrnet_w32_256x192, or hrnet_w32_256x256: MPII."),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Start from this one. [default: dataloop]")] = None,
    detector: Annotated[str | None, typer.Option(metavar="NAME|PATH|none", help="Who finds people.")] = None,
    pose: Annotated[str | None, typer.Option(metavar="NAME|PATH", help="Who finds joints.")] = None,
    tracker: Annotated[str | None, typer.Option(metavar="NAME", help="Who keeps identities.")] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "-o", metavar="PATH=VALUE", help="Set one option: `-o annotations.min_score=0.5`, `-o pose.max_people=40`."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(metavar="auto|cpu|cuda:N", help="Where models run.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Items that are read at once.")] = 2,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with what was interrupted, and skip what is done.")
    ] = False,
    dry_run: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write the annotations there instead of uploading them.")
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything, and show where errors come from.")
    ] = False,
) -> None:
    """Annotate items with poses and identities; what earlier runs have annotated is replaced when an item is complete.

    **Examples**

    `kinestream dataloop annotate --project people --dataset street`

    `kinestream dataloop annotate --item 64b0c5f2a1d3e4f5a6b7c8d9 --dry-run annotations.json`

    `kinestream dataloop annotate --dataset 64b0c5f2a1d3e4f5a6b7c8d8 --filter videos.json --resume`

    Ctrl-C stops reading and finishes what was read; a second one ends at once; `--resume` goes on. Exit code: 0 every
    item is done, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    if not (dataset or item):
        raise typer.BadParameter("say which: --dataset, or --item", param_hint="--dataset")  # noqa: EM101, TRY003
    if item and filter_file:
        raise typer.BadParameter("items are named already by --item", param_hint="--filter")  # noqa: EM101, TRY003
    with _room():
        from pipeline.cli.console import set_up_logging  # noqa: PLC0415 - the command line imports this module
        from stages.dataloop.annotating.job import Asked, make_job  # noqa: PLC0415 - needs the extra
        from stages.dataloop.annotating.session import execute  # noqa: PLC0415

        set_up_logging(verbose=verbose, quiet=quiet)
        models = {
            "preset": preset, "weight_config": weight_config, "detect": detector, "pose": pose, "track": tracker,
        }  # fmt: skip
        asked = Asked(
            dataset, project, tuple(item or ()), filter_file, models, tuple(overrides or ()), device, workers,
            resume=resume, dry_run=dry_run,
        )  # fmt: skip
        raise typer.Exit(execute(make_job(asked), as_json=as_json, quiet=quiet, verbose=verbose))


@app.command(epilog="Example: kinestream dataloop show 64b0c5f2a1d3e4f5a6b7c8d9 --out people.jpg")
def show(
    item: Annotated[str, typer.Argument(metavar="ITEM", help="Id of the item.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FILE.jpg", help="The picture.")],
    pictures: Annotated[int, typer.Option(min=1, max=64, help="Frames of a video, spread over its length.")] = 6,
) -> None:
    """Draw what is on the platform over frames of an item."""
    with _room():
        from stages.dataloop.connection.platform import Platform  # noqa: PLC0415 - needs the extra
        from stages.dataloop.showing import show as draw  # noqa: PLC0415

        with Platform.from_environment() as platform:
            count = draw(platform, item, out, pictures)
        typer.echo(f"{out}: {count} annotations")
