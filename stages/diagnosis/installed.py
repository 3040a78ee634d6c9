"""What is installed: packages that import, their versions, shared libraries that load."""

import ctypes
import importlib
import importlib.metadata
from typing import Any

from pipeline.registry import EXTRAS

__all__ = ["imported", "install_command", "loads", "version_of"]


def imported(module: str) -> tuple[Any, str]:
    """Import a module; give it, or None and the reason why it does not import."""
    try:
        return importlib.import_module(module), ""
    except (ImportError, OSError) as error:  # OSError: one of its shared libraries is missing
        return None, f"{module} does not import: {error}"


def version_of(distribution: str) -> str | None:
    """Give the version of an installed distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def loads(library: str) -> bool:
    """Say whether a shared library of the system loads."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install_command(distribution: str) -> str:
    """Say how a package is installed: with an extra of ours, or by itself."""
    extra = EXTRAS.get(distribution.replace("-", "_"))
    return f"pip install 'kinestream[{extra}]'" if extra else f"pip install {distribution}"
