"""Fixtures for all tests, and the rule about the measuring data in `../shared`."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real clips, weights and ground truth; not on a user's machine."""
    if SHARED.is_dir():
        return SHARED
    reason = f"the measuring data is not here: {SHARED} does not exist"
    if os.environ.get("KINESTREAM_REQUIRE_SHARED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
