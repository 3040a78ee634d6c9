"""Fixtures for all tests, and the rule about the measuring data in `../shared`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import skip_or_fail

from stages.zoo import Store

SHARED = Path(__file__).resolve().parents[2] / "shared"


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
        yield
