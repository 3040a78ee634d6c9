"""Three cameras with which nothing is wrong, for whatever happens beside them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clips import Clip
from live_run import GOOD, camera
from rtsp_server import RtspServer


@pytest.fixture(scope="session")
def clip(make_clip: Callable[..., Clip]) -> Clip:
    """Two seconds at 15 frames per second, a key frame each third of a second."""
    return make_clip(fps=15, gop=5, seconds=2.0)


@pytest.fixture(scope="session")
def steady(clip: Clip) -> Iterator[RtspServer]:
    """A server that nobody treats badly: what is done is done behind it, by a proxy, or to another server."""
    with RtspServer({"/cam": clip}) as server:
        yield server


@pytest.fixture
def good(steady: RtspServer) -> list[dict[str, Any]]:
    """Three entries of a configuration."""
    return [camera(name, steady.url("/cam")) for name in GOOD]


@pytest.fixture
def seconds(request: pytest.FixtureRequest) -> Callable[[str, float], None]:
    """Note how long something took; `--junitxml` has it."""

    def note(what: str, value: float) -> None:
        request.node.user_properties.append((what, round(value, 2)))

    return note
