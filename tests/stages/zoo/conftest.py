"""Every test here has a cache of its own and none of the user's settings."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("KINESTREAM_MODELS", "KINESTREAM_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "models"
