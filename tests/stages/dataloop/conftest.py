"""dtlpy itself, logged in to the test server: what stored annotations look like to everybody else; and models there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dataloop_models
import dataloop_square
import pytest
from dataloop_models import Bench
from dataloop_server import DataloopServer

from pipeline.registry import PLUGINS
from stages.dataloop.connection.client import _import_dtlpy


@pytest.fixture
def dl(dataloop: DataloopServer) -> Iterator[Any]:
    """Log dtlpy itself in."""
    dtlpy = _import_dtlpy()
    dtlpy.add_environment(dataloop.url, alias="test", gate_url=dataloop.gate_url, url=dataloop.gate_url + "/")
    dtlpy.setenv("test")
    dtlpy.login_token(dataloop.new_token())
    dtlpy.verbose.disable_progress_bar = True
    yield dtlpy
    dtlpy.client_api.session.close()
    dtlpy.client_api.session = None


@pytest.fixture
def bench(dataloop: DataloopServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The platform, with a dataset that is set up, and models of it that the adapter loads."""
    monkeypatch.setenv("KINESTREAM_STATE", str(tmp_path / "state"))
    for (role, name), entry in dataloop_models.PLUGINS.items():
        monkeypatch.setitem(PLUGINS[role], name, entry)
    monkeypatch.setattr(dataloop_square.SquarePose, "looked_at", [])
    made = Bench(dataloop, tmp_path)
    made.set_up()
    yield made
    made.close()
