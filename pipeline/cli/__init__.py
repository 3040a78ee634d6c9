"""The command line: one module a group of commands.

    kinestream run | demo        run.py       what to run -> configuration
    kinestream extract           extract.py   the same, for one table under the name that was asked for
    kinestream check | list      inspect.py   look before running
    kinestream models | doctor   from the rooms they belong to, through the registry

`arguments.py` holds what they share; `session.py` runs a configuration: signals, progress, report, exit code.
"""

import sys
from typing import Annotated

import typer

from pipeline.cli import extract, inspect, run
from pipeline.cli.console import say_error
from pipeline.errors import PipelineError
from pipeline.registry import PLUGINS, resolve
from pipeline.report import version

__all__ = ["app", "main"]

app = typer.Typer(
    name="kinestream",
    help="Watches video and says who is where, in which pose, under a stable identity.",
    epilog="Begin with: kinestream demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("extract")(extract.extract)
app.command("demo")(run.demo)
app.command("check")(inspect.check)
app.command("list")(inspect.list_plugins)
for _name in PLUGINS["command"]:
    _group: typer.Typer = resolve("command", _name)
    app.add_typer(_group, name=_name)


def _print_version(value: bool) -> None:  # noqa: FBT001 - the shape of a typer callback
    if value:
        typer.echo(version())
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Watches video and says who is where, in which pose, under a stable identity."""


def main() -> None:
    """Run the command line; the process ends with 0 (done), 1 (failed), 2 (wrong usage) or 130 (interrupted)."""
    try:
        app()
    except PipelineError as error:
        say_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
