"""`kinestream dataloop` as people meet it: logging in, looking what is missing, setting up, showing."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest
from clips import Clip, picture
from dataloop_server import EMAIL, PASSWORD, DataloopServer
from programs import ROOT
from typer.testing import CliRunner, Result

from pipeline.cli import app

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Run a command in this process."""
    return lambda *arguments: CliRunner().invoke(app, ["dataloop", *arguments])


@pytest.fixture
def machine(tmp_path: Path, dataloop: DataloopServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command in a process of its own, on a machine where nobody has logged in before."""
    monkeypatch.delenv("DATALOOP_TOKEN")

    def run(*arguments: str, stdin: str = "", python: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        code = f"{python}\nfrom pipeline.cli import main\nmain()"
        return subprocess.run(
            [sys.executable, "-c", code, "dataloop", *arguments],
            env=os.environ | {"DATALOOP_PATH": str(tmp_path / "login"), "DATALOOP_URL": dataloop.url} | environment,
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def lines(result: Result) -> list[str]:
    return result.stdout.splitlines()


# Login


@pytest.mark.slow
def test_a_service_account_stays_logged_in(machine: Callable[..., Any], dataloop: DataloopServer) -> None:
    assert "kinestream dataloop login" in machine("doctor").stdout

    logged_in = machine("login", DATALOOP_EMAIL=EMAIL, DATALOOP_PASSWORD=PASSWORD)
    assert logged_in.returncode == 0, logged_in.stderr
    assert logged_in.stdout == f"logged in to {dataloop.url}\n"

    assert machine("doctor").returncode == 0
    dataloop.expire_tokens()
    assert machine("doctor").returncode == 0  # by what the platform gave to renew it


@pytest.mark.slow
def test_a_login_that_is_refused_leaves_the_one_before(machine: Callable[..., Any], dataloop: DataloopServer) -> None:
    assert machine("login", DATALOOP_API_KEY=dataloop.new_token()).returncode == 0

    refused = machine("login", DATALOOP_EMAIL=EMAIL, DATALOOP_PASSWORD="wrong-password")  # noqa: S106 - a wrong one

    assert refused.returncode == 1
    assert "refuses this login" in refused.stderr
    assert machine("doctor").returncode == 0


@pytest.mark.slow
def test_what_is_asked_for_is_not_shown(machine: Callable[..., Any], dataloop: DataloopServer) -> None:
    token = dataloop.new_token()

    done = machine("login", "--by", "token", stdin=f"{token}\n")

    assert done.returncode == 0, done.stderr
    assert token not in done.stdout + done.stderr
    assert machine("doctor").returncode == 0


@pytest.mark.slow
def test_where_nobody_can_be_asked_that_is_said(machine: Callable[..., Any]) -> None:
    done = machine("login")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: nobody is here to type the token")


@pytest.mark.slow
def test_dtlpy_says_nothing_by_itself(machine: Callable[..., Any]) -> None:
    done = machine("annotate", "--dataset", "64b0")

    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no login; log in on this machine once with `kinestream dataloop")


def test_without_the_extra_the_command_says_how_to_install_it(machine: Callable[..., Any]) -> None:
    for package in ("dtlpy", "requests"):
        done = machine("doctor", python=f"import sys; sys.modules['{package}'] = None")

        assert done.returncode == 2
        assert done.stderr.endswith(f"needs the package '{package}': pip install 'kinestream[dataloop]'\n")


def test_help_does_not_wait_for_dtlpy(machine: Callable[..., Any]) -> None:
    forbid = "import sys; sys.modules |= dict.fromkeys(('dtlpy', 'requests', 'torch', 'cv2'))"

    assert machine("annotate", "--help", python=forbid).returncode == 0


# Doctor


def test_the_doctor_says_until_when_the_login_is_good(run: Run, dataloop: DataloopServer) -> None:
    assert dataloop.url

    done = run("doctor")

    assert done.exit_code == 0
    assert [line.split(":")[0] for line in lines(done)] == ["ok       dtlpy", "ok       login", "ok       platform"]
    assert "UTC" in lines(done)[1]


def test_the_doctor_says_what_a_dataset_lacks(
    run: Run, dataloop: DataloopServer, tmp_path: Path, make_clip: Callable[..., Clip]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture(0))
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    for path in (tmp_path / "a.png", tmp_path / "a.pdf", make_clip(fps=25, seconds=2).path):
        dataloop.add_item(path)

    sick = run("doctor", "--project", "people", "--dataset", "street")
    run("setup", "--dataset", dataloop.dataset_id)
    well = run("doctor", "--dataset", dataloop.dataset_id)

    assert sick.exit_code == 1
    assert "missing  recipe: lacks 18 labels and the template" in sick.stdout
    assert f"-> kinestream dataloop setup --dataset {dataloop.dataset_id}" in sick.stdout
    assert well.exit_code == 0
    assert "ok       items: 1 videos, 1 pictures" in well.stdout
    assert "warning  items: 1 are neither" in well.stdout
    assert "warning  items: 1 videos without a frame rate" in well.stdout


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        pytest.param(("--dataset", "nowhere"), "say --project too", id="name alone"),
        pytest.param(("--dataset", "nowhere", "--project", "people"), "no dataset is called 'nowhere'", id="dataset"),
        pytest.param(("--dataset", "street", "--project", "nobody"), "no project is called 'nobody'", id="project"),
    ],
)
def test_the_doctor_does_not_find(run: Run, dataloop: DataloopServer, dataset: tuple[str, ...], said: str) -> None:
    assert dataloop.url

    done = run("doctor", *dataset)

    assert done.exit_code == 1
    assert said in done.stdout


def test_the_doctor_says_that_the_login_is_refused(run: Run, dataloop: DataloopServer) -> None:
    dataloop.expire_tokens()

    done = run("doctor")

    assert done.exit_code == 1
    assert "missing  platform" in done.stdout


# Setup


def test_a_dry_run_of_setup_shows_and_changes_nothing(run: Run, dataloop: DataloopServer) -> None:
    shown = run("setup", "--dataset", dataloop.dataset_id, "--dry-run")

    assert shown.exit_code == 0
    assert lines(shown)[0].startswith("+ label person #")
    assert lines(shown)[-1] == "+ template 'person': 17 points, 19 arcs, positions"
    assert not dataloop.count("PATCH")
    assert not dataloop.count("PUT")


def test_setup_does_what_its_dry_run_shows_and_then_nothing(run: Run, dataloop: DataloopServer) -> None:
    shown = lines(run("setup", "--project", "people", "--dataset", "street", "--dry-run"))

    done = lines(run("setup", "--project", "people", "--dataset", "street"))
    again = run("setup", "--project", "people", "--dataset", "street")

    assert done[:-1] == shown
    assert done[-1].startswith("done: template 'person' ")
    assert (again.exit_code, lines(again)) == (0, ["nothing to do"])
    assert dataloop.count("PATCH") == 2


# Show


def test_what_is_on_the_platform_is_drawn(
    run: Run, dataloop: DataloopServer, make_clip: Callable[..., Clip], tmp_path: Path
) -> None:
    clip = make_clip(fps=25, seconds=2)
    item_id = dataloop.add_item(clip.path, fps=25, frame_count=50)
    empty, boxed = tmp_path / "empty.jpg", tmp_path / "boxed.jpg"
    assert run("show", item_id, "--out", str(empty), "--pictures", "4").exit_code == 0
    corners = [{"x": 50, "y": 50, "z": 0}, {"x": 200, "y": 150, "z": 0}]
    span = {"frame": 0, "endFrame": 49, "startTime": 0, "endTime": 2, "snapshots_": [], "objectId": "7"}
    box = {"type": "box", "label": "person", "coordinates": corners, "metadata": {"system": span}}
    dataloop.store.annotate(item_id, box)

    done = run("show", item_id, "--out", str(boxed), "--pictures", "4")

    assert (done.exit_code, done.stdout) == (0, f"{boxed}: 1 annotations\n")
    assert cv2.imread(str(boxed)) is not None
    assert boxed.read_bytes() != empty.read_bytes()


def test_what_cannot_be_shown_is_said(
    run: Run, dataloop: DataloopServer, make_clip: Callable[..., Clip], tmp_path: Path
) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    (tmp_path / "cut.mp4").write_bytes(make_clip(fps=25, seconds=2).path.read_bytes()[:2000])
    paper, cut = dataloop.add_item(tmp_path / "a.pdf"), dataloop.add_item(tmp_path / "cut.mp4", fps=25)
    for item_id, said in (
        ("64b0aaaaaaaaaaaaaaaaaaaa", "404"),
        (paper, "/a.pdf (.*): application/pdf is neither a video nor a picture"),
        (cut, "cannot open '/cut.mp4'"),
    ):
        done = run("show", item_id, "--out", str(tmp_path / "x.jpg"))

        assert done.exit_code == 1
        assert re.search(said, done.output)
