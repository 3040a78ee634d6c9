import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from stages.zoo import MODELS, Model
from stages.zoo.commands import app
from stages.zoo.model import Licence, Url

main = typer.Typer()
main.add_typer(app, name="models")
runner = CliRunner()


@pytest.fixture(autouse=True)
def one_model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """The only model of the zoo; its server does not exist."""
    model = Model(
        name="weights",
        file_name="weights.bin",
        task="person detection",
        summary="bytes",
        origin=Url("http://127.0.0.1:9/weights.bin"),
        sha256=hashlib.sha256(b"right").hexdigest(),
        size_bytes=1_500_000,
        licence=Licence("AGPL-3.0-only", "Publish your source."),
    )
    for name in list(MODELS):
        monkeypatch.delitem(MODELS, name)
    monkeypatch.setitem(MODELS, model.name, model)
    return model


@pytest.fixture
def cached(own_cache: Path) -> Path:
    own_cache.mkdir(parents=True)
    file = own_cache / "weights.bin"
    file.write_bytes(b"right")
    return file


def test_list_shows_an_absent_model_in_plain_lines() -> None:
    result = runner.invoke(main, ["models", "list"])
    assert result.exit_code == 0
    assert result.stdout == "weights\tperson detection\t1.5 MB\tAGPL-3.0-only\tabsent\n"


@pytest.mark.parametrize(
    ("sha256", "state", "said"),
    [
        pytest.param(None, "unverified", "absent, unverified hash", id="none"),
        pytest.param("0123abcd", "known in part", "absent, hash known in part", id="first digits"),
    ],
)
def test_list_says_how_much_of_a_hash_is_known(
    sha256: str | None, state: str, said: str, one_model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "weights", replace(one_model, sha256=sha256))
    assert runner.invoke(main, ["models", "list"]).stdout.endswith(f"\t{said}\n")
    assert json.loads(runner.invoke(main, ["models", "list", "--json"]).stdout)[0]["hash"] == state


def test_list_says_where_a_model_is(cached: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(runner.invoke(main, ["models", "list", "--json"]).stdout)[0]["path"] == str(cached)
    monkeypatch.setenv("KINESTREAM_MODELS", str(tmp_path))
    (tmp_path / "weights.bin").write_bytes(b"right")
    assert json.loads(runner.invoke(main, ["models", "list", "--json"]).stdout)[0]["state"] == "offline"


def test_list_draws_a_table_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "┃" in runner.invoke(main, ["models", "list"]).stdout


def test_pull_verifies_what_is_here_and_tells_its_licence(cached: Path) -> None:
    result = runner.invoke(main, ["models", "pull", "weights"])
    assert result.exit_code == 0
    assert result.stdout == f"weights: {cached}\n  AGPL-3.0-only: Publish your source.\n"


def test_pull_fails_with_what_to_do_when_the_origin_is_unreachable() -> None:
    result = runner.invoke(main, ["models", "pull", "--all"])
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "KINESTREAM_MODELS" in result.stderr


def test_pull_in_json_prints_nothing_else() -> None:
    result = runner.invoke(main, ["models", "pull", "weights", "--json"])
    assert result.exit_code == 1
    assert [row["path"] for row in json.loads(result.stdout)] == [None]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["pull"], id="neither names nor --all"),
        pytest.param(["pull", "weights", "--all"], id="both names and --all"),
        pytest.param(["pull", "wights"], id="unknown name to pull"),
        pytest.param(["verify", "wights"], id="unknown name to verify"),
        pytest.param(["path", "wights"], id="unknown name to find"),
        pytest.param(["pull", "--everything"], id="unknown option"),
    ],
)
def test_wrong_usage_exits_with_2(words: list[str]) -> None:
    result = runner.invoke(main, ["models", *words])
    assert result.exit_code == 2
    assert result.stderr


@pytest.mark.parametrize(
    ("content", "words", "exit_code", "state"),
    [
        pytest.param(None, [], 0, "", id="nothing here"),
        pytest.param(None, ["weights"], 1, "not here", id="named and not here"),
        pytest.param(b"right", [], 0, "intact", id="intact"),
        pytest.param(b"righ", [], 1, "is damaged", id="truncated"),
        pytest.param(b"", ["weights.bin"], 1, "is damaged", id="empty"),
    ],
)
def test_verify_finds_damage(
    content: bytes | None, words: list[str], exit_code: int, state: str, own_cache: Path
) -> None:
    own_cache.mkdir(parents=True)
    if content is not None:
        (own_cache / "weights.bin").write_bytes(content)
    result = runner.invoke(main, ["models", "verify", *words])
    assert result.exit_code == exit_code
    assert state in result.stdout
    faults = [row["fault"] for row in json.loads(runner.invoke(main, ["models", "verify", *words, "--json"]).stdout)]
    assert any(faults) == bool(exit_code)


def test_path_prints_only_the_path(cached: Path) -> None:
    result = runner.invoke(main, ["models", "path", "weights.bin"])
    assert result.exit_code == 0
    assert result.output == f"{cached}\n"


@pytest.mark.parametrize("content", [None, b"wrong"], ids=["absent", "damaged"])
def test_path_of_a_model_that_is_not_here_prints_no_path(content: bytes | None, own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    if content:
        (own_cache / "weights.bin").write_bytes(content)
    result = runner.invoke(main, ["models", "path", "weights"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "kinestream models pull weights" in result.stderr
