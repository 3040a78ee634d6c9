"""Fixtures for all tests, and the rule about the measuring data in `../shared`.

Real parts to test against, made to order and ended after the test, whatever happens in it:

    def test_x(make_clip, rtsp_server, fault_proxy, broker, listener, dataloop):
        server = rtsp_server({"/cam": make_clip(fps=25)}, user="me", password="secret")
        proxy = fault_proxy(server.port)
        box = broker(user="me", password="secret")
        heard = listener(box, "kinestream/#")
        item_id = dataloop.add_item(clip.path, fps=25, frame_count=50)
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from broker import Broker, Certificates, Listener, make_certificates
from clips import Clip, write_clip
from dataloop_server import DataloopServer
from fakes import skip_or_fail
from fault_proxy import FaultProxy
from hypothesis import settings
from rtsp_server import RtspServer

from pipeline import secrets
from pipeline.cli.console import LOGGED
from stages.zoo import Store

# How long an example takes says nothing: this may be a busy machine.
settings.register_profile("kinestream", deadline=None)
settings.load_profile("kinestream")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _own_login() -> None:
    """Keep the tests, and dtlpy, which looks once when it is imported, away from the user's login."""
    for name in [name for name in os.environ if name.startswith(("DATALOOP_", "DTLPY_"))]:
        del os.environ[name]
    folder = os.environ["DATALOOP_PATH"] = tempfile.mkdtemp(prefix="kinestream-dtlpy-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


_own_login()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real clips, weights and ground truth; not on a user's machine."""
    if not SHARED.is_dir():
        skip_or_fail(f"the measuring data is not here: {SHARED} does not exist")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what tests convert out of the user's cache; models are downloaded once, so those are the user's."""
    models = Store.from_environment().cache
    models.mkdir(parents=True, exist_ok=True)
    folder = tmp_path_factory.mktemp("cache")
    (folder / "models").symlink_to(models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINESTREAM_CACHE", str(folder))
        patch.setenv("KINESTREAM_STATE", str(folder / "state"))
        yield


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    """Forget what a test took for a secret: it would be masked in the messages of all that follow."""
    remembered = set(secrets._remembered)
    yield
    secrets._remembered.clear()
    secrets._remembered.update(remembered)


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Clip]:
    """Make a clip, with the arguments of `clips.write_clip`; the same one again for the same arguments."""
    folder = tmp_path_factory.mktemp("clips")
    made: dict[tuple[tuple[str, Any], ...], Clip] = {}

    def make(**arguments: Any) -> Clip:
        key = tuple(sorted(arguments.items()))
        if key not in made:
            made[key] = write_clip(folder / f"{len(made)}.mp4", **arguments)
        return made[key]

    return make


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority, and what it has signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """Start a server, with the arguments of `rtsp_server.RtspServer`."""
    with ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(RtspServer(*arguments, **options))


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """Start a proxy to a port, as `fault_proxy.FaultProxy` does."""
    with ExitStack() as started:
        yield lambda *arguments: started.enter_context(FaultProxy(*arguments))


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Broker]]:
    """Start a broker, with the options of `broker.Broker`; it gets a folder of its own."""
    with ExitStack() as started:
        yield lambda **options: started.enter_context(Broker(tmp_path_factory.mktemp("broker"), **options))


@pytest.fixture
def listener(broker: object) -> Iterator[Callable[..., Listener]]:
    """Connect a listener to a broker, with the arguments of `broker.Listener`; it goes before the broker does."""
    assert broker
    with ExitStack() as started:
        yield lambda *arguments, **options: started.enter_context(Listener(*arguments, **options))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take back what a command sets up for the rest of its process."""
    logs = [logging.getLogger(name) for name in ("", *LOGGED)]
    handlers, levels = list(logs[0].handlers), [log.level for log in logs]
    yield
    logs[0].handlers[:] = handlers
    for log, level in zip(logs, levels, strict=True):
        log.setLevel(level)


@pytest.fixture
def dataloop(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataloopServer]:
    """Start a server that speaks as the Dataloop platform does, and be logged in there."""
    with DataloopServer() as server:
        monkeypatch.setenv("DATALOOP_URL", server.url)
        monkeypatch.setenv("DATALOOP_TOKEN", server.new_token())
        yield server
