"""`kinestream check` and `kinestream list`: look before running."""

import ast
import importlib.util
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipeline.cli.console import stdout
from pipeline.config import PipelineConfig, build_config, read_yaml
from pipeline.errors import ConfigError, MissingPackage
from pipeline.graph import Graph, build
from pipeline.registry import PLUGINS, options_model, resolve

__all__ = ["check", "list_plugins"]

_ROLES = ("source", "detector", "pose", "tracker", "rule", "sink")


def check(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="The configuration to check.")],
    *,
    overrides: Annotated[list[str] | None, typer.Option("-o", metavar="PATH=VALUE", help="Set one option.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole configuration as JSON.")] = False,
) -> None:
    """Check a configuration without running it: every plug-in, every option, and that the parts fit together.

    **Example:** `kinestream check my.yaml`
    """
    checked = build_config(read_yaml(config), overrides or ())
    graph = build(checked, checked.run.out or Path("runs"))
    if as_json:
        typer.echo(json.dumps(checked.masked(), indent=2))
    else:
        stdout.print(_flow(checked, graph), markup=False, soft_wrap=True)


def _flow(config: PipelineConfig, graph: Graph) -> str:
    """Draw the chain in words, one line a part."""
    lines = [f"source  {source.source_id}" for source in graph.sources]
    models = {"detect": config.detect, "pose": config.pose, "track": config.track}
    lines += [f"{verb:<7} {entry.kind}" for verb, entry in models.items() if entry is not None]
    lines += [f"rule    {rule.id or rule.kind}" for rule in config.rules]
    lines += [f"sink    {sink.name}" for sink in graph.sinks]
    return "\n".join([*lines, "fits together"])


def list_plugins(
    role: Annotated[str | None, typer.Argument(metavar="[KIND]", help=f"One of: {', '.join(_ROLES)}.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the plug-ins; of one kind, with their options.

    **Examples:** `kinestream list`, `kinestream list sink`
    """
    if role is not None and role not in _ROLES:
        msg = f"unknown kind of plug-in '{role}'; known: {', '.join(_ROLES)}"
        raise ConfigError(msg)
    rows = [
        {"role": kind, "name": name, "summary": _summary(target), **({"options": _options(kind, name)} if role else {})}
        for kind in ([role] if role else _ROLES)
        for name, target in sorted(PLUGINS[kind].items())
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        stdout.print(_table(rows))


def _summary(target: str) -> str:
    """Give the first line of a plug-in's module docstring, without importing what it needs."""
    spec = importlib.util.find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        return ""
    docstring = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def _options(role: str, name: str) -> list[dict[str, Any]]:
    """Describe the options of a plug-in; one that cannot be imported says how to install it."""
    try:
        model = options_model(resolve(role, name))
    except MissingPackage as error:
        return [{"name": "-", "default": "", "about": str(error)}]
    return [
        {
            "name": option,
            "default": "required" if field.is_required() else repr(field.get_default(call_default_factory=True)),
            "about": (field.description or "").replace("\n", " "),
        }
        for option, field in model.model_fields.items()
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("kind", "name", "default", "about"):
        table.add_column(heading, no_wrap=heading in {"kind", "name"})
    for row in rows:
        table.add_row(row["role"], f"[bold]{row['name']}[/]", "", row["summary"])
        for option in row.get("options", ()):
            default = str(option["default"]).replace("[", r"\[")
            table.add_row("", f"  {option['name']}", default, str(option["about"]).replace("[", r"\["))
    return table
