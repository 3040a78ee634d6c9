"""Fixtures for all tests, and the rule about the measuring data in `../shared`."""

from pathlib import Path

import pytest
from fakes import skip_or_fail

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real clips, weights and ground truth; not on a user's machine."""
    if not SHARED.is_dir():
        skip_or_fail(f"the measuring data is not here: {SHARED} does not exist")
    return SHARED
