"""What the guides in docs/ name is there: commands, their flags, files, and the arguments of the library."""

import inspect
import re
import shlex
from pathlib import Path

import pytest
import typer

from pipeline.cli import app
from stages.estimator import PoseEstimator

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
COMMANDS = typer.main.get_group(app).commands

each_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)


@each_guide
def test_a_guide_names_commands_and_flags_that_exist(guide: Path) -> None:
    for line in re.findall(r"(?m)^kinestream .+$", guide.read_text(encoding="utf-8")):
        _, name, *arguments = shlex.split(line, comments=True)
        assert name in COMMANDS, line
        known = {flag for parameter in COMMANDS[name].params for flag in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("-")} <= known, line


@each_guide
def test_a_guide_names_files_that_exist(guide: Path) -> None:
    for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)[^)]*\)", guide.read_text(encoding="utf-8")):
        assert (guide.parent / target).exists(), target


def test_the_guide_from_simple_hrnet_names_arguments_that_exist() -> None:
    text = (ROOT / "docs" / "from-simple-hrnet.md").read_text(encoding="utf-8")
    table = text.partition("### The arguments of `SimpleHRNet`")[2].partition("###")[0]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| `")]
    named = {name for cell in rows for name in re.findall(r"`(\w+)", cell)}
    assert {"weights", "joints", "detector"} <= named
    assert named <= set(inspect.signature(PoseEstimator).parameters)
