"""Optional packages: imported where they are needed, and asked for by the command that installs them."""

import importlib
from typing import Any

from pipeline.errors import MissingPackage
from pipeline.registry import EXTRAS

__all__ = ["install_command", "need"]


def need(package: str, what: str) -> Any:  # noqa: ANN401 - a module
    """Import an optional package.

    Args:
        package: Its import name, one of `EXTRAS`.
        what: Who needs it, for the message: `the engine openvino`.

    Raises:
        MissingPackage: It, or a package that it needs itself, is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        msg = f"{what} needs the package '{error.name}': {install_command(package)}"
        raise MissingPackage(msg) from error


def install_command(package: str) -> str:
    """Say how an optional package is installed."""
    return f"pip install 'kinestream[{EXTRAS[package]}]'"
