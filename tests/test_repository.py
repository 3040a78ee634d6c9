"""What a stranger meets first: the Makefile, the setup, the README's commands, the package."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns
from zipfile import ZipFile

import pytest
import typer

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[1]

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"(?m)^([a-z]+):", MAKEFILE))
COMMANDS = set(typer.main.get_group(app).commands)
SCRIPTS = [".ci/run", ".ci/setup", ".ci/test-packages", "deploy/mosquitto/start.sh"]
PACKAGED = ("configs", "pipeline", "stages", "trackers", "training")


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def run(
    *command: str, cwd: Path = ROOT, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)


# The Makefile


def test_make_alone_lists_every_target() -> None:
    listed = re.findall(r"(?m)^make (\w+) +(.+)$", run("make", "--no-print-directory").stdout)

    assert {target for target, _ in listed} == TARGETS
    assert all(summary for _, summary in listed)


def test_no_file_can_hide_a_target() -> None:
    assert set(re.findall(r"(?m)^\.PHONY: (.+)$", MAKEFILE)[0].split()) == TARGETS


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench"])
def test_a_target_sets_up_first_and_only_once(target: str, tmp_path: Path) -> None:
    ready = tmp_path / "venv" / ".ready"
    command = ("make", "--dry-run", target, f"VENV={ready.parent}")

    assert ".ci/setup" in run(*command).stdout
    ready.parent.mkdir()
    ready.touch()
    assert ".ci/setup" not in run(*command).stdout


# The setup


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs that shadow the real ones: a Python that can nothing, an apt-get that writes down."""
    programs = {
        "python3.10": 'test "$1" = --version && echo "Python 3.10.12" || exit 1',
        "python3.12": 'case "$2" in *version_info\\ *) ;; *print*) echo python3.12-venv ;; *) exit 1 ;; esac',
        "apt-get": f'echo "apt-get $*" >>{tmp_path}/apt.log',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def set_up(machine: Path, python: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{machine}:/usr/bin:/bin",
        "PYTHON": str(machine / python),
        "VENV": str(machine / "venv"),
    }
    return run(str(ROOT / ".ci" / "setup"), environment=environment)


def test_a_python_that_is_too_old_is_named(machine: Path) -> None:
    done = set_up(machine, "python3.10")

    assert done.returncode == 1
    assert "needs Python >= 3.11, got Python 3.10.12" in done.stderr


def test_the_setup_asks_for_the_python_of_the_package() -> None:
    major, minor = re.findall(r"\d+", PROJECT["requires-python"])

    assert f"sys.version_info < ({major}, {minor})" in (ROOT / ".ci" / "setup").read_text(encoding="utf-8")


def test_missing_system_packages_are_installed_by_root_and_named_to_others(machine: Path) -> None:
    done = set_up(machine, "python3.12")

    said = (machine / "apt.log").read_text(encoding="utf-8") if os.geteuid() == 0 else done.stderr
    assert done.returncode != 0
    assert re.search(r"apt-get install .*python3\.12-venv libgl1 libglib2\.0-0", said)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_can_be_started_and_is_whole(script: str) -> None:
    shell = (ROOT / script).read_text(encoding="utf-8").splitlines()[0].split()[-1].rpartition("/")[2]

    assert run(shell, "-n", script).returncode == 0
    assert script.startswith("deploy/") or os.access(ROOT / script, os.X_OK)


# The words


def test_the_readme_names_targets_that_exist(readme: str) -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", " ".join(code_in(readme))))

    assert {"demo", "test", "check"} <= named <= TARGETS


def test_the_readme_names_commands_that_exist(readme: str) -> None:
    named = set(re.findall(r"(?m)(?:^|[\s$`])kinestream ([a-z]+)\b", "\n".join(code_in(readme))))

    assert named
    assert named <= COMMANDS


def test_the_readme_names_files_that_exist(readme: str) -> None:
    for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)[^)]*\)", readme):
        assert (ROOT / target).exists(), target


def code_in(markdown: str) -> list[str]:
    return re.findall(r"(?s)```.*?```|`[^`\n]+`", markdown)


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"(?m)^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))

    assert PROJECT["version"] == next(version for version in versions if version != "Unreleased")


# The package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """Build the wheel out of a copy, so that nothing left over from another build gets in, or stays."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGED:
        copytree(ROOT / name, source / name, ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    pip = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    done = run(*pip, "--wheel-dir", str(out), str(source))
    assert done.returncode == 0, done.stderr
    (path,) = out.glob("*.whl")
    return ZipFile(path)


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: ZipFile) -> None:
    files = (path for name in PACKAGED for path in (ROOT / name).rglob("*") if path.is_file())
    expected = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}

    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected
    assert {f"{name}/py.typed" for name in PACKAGED if name != "configs"} <= expected
    assert "configs/demo.yaml" in expected


def test_the_wheel_brings_the_command_and_the_licence(wheel: ZipFile) -> None:
    info = f"kinestream-{PROJECT['version']}.dist-info"

    assert "kinestream = pipeline.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert "License-Expression: Apache-2.0" in wheel.read(f"{info}/METADATA").decode()
