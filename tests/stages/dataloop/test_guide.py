"""docs/dataloop.md: what it names is there, with the defaults that it gives."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from pipeline.cli import app
from stages.dataloop.annotating.chain import WEIGHT_CONFIGS
from stages.dataloop.model_options import ModelOptions
from stages.dataloop.timeline.annotations import AnnotationOptions

GUIDE = (Path(__file__).parents[3] / "docs" / "dataloop.md").read_text(encoding="utf-8")
COMMANDS: Any = typer.main.get_group(app).commands


def rows(title: str) -> list[list[str]]:
    """Give the cells of the first table below a title."""
    lines = GUIDE.partition(f"{title}\n")[2].splitlines()
    table = [line for line in lines[: lines.index("", lines.index("|---|---|---|"))] if line.startswith("| `")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_its_commands_and_flags_exist() -> None:
    lines = re.findall(r"(?m)^\$ (?:\w+=\S+ )?(kinestream .+)$", GUIDE)
    assert len(lines) >= 9
    for line in lines:
        _, room, verb, *arguments = shlex.split(line, comments=True)
        assert room == "dataloop"
        known = {flag for parameter in COMMANDS[room].commands[verb].params for flag in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= known, line


@pytest.mark.parametrize(
    ("title", "options"),
    [
        pytest.param("### What is annotated", AnnotationOptions, id="annotations"),
        pytest.param("### Its configuration", ModelOptions, id="model"),
    ],
)
def test_its_tables_have_every_option_with_its_default(title: str, options: type[BaseModel]) -> None:
    told = {name: yaml.safe_load(default.partition(";")[0].strip("`")) for name, default, *_ in rows(title)}

    assert told == options().model_dump()


def test_its_table_of_weights_is_that_of_the_program() -> None:
    section = GUIDE.partition("| `--weight-config` |")[2].partition("###")[0]
    told = dict(re.findall(r"(?m)^\| `(\w+)` \| `(\w+)`", section))

    assert told == {name: parts["detect"] for name, parts in WEIGHT_CONFIGS.items()}
