"""Which file or folder the option `weights` of a plug-in means."""

import difflib
import os
from pathlib import Path

from pipeline.errors import UnknownPlugin, WeightsError
from stages.zoo.store import locate

__all__ = ["find_weights"]


def find_weights(text: str) -> Path:
    """Give the file or folder that is meant: an existing path, or a name of the model zoo.

    Raises:
        WeightsError: There is no such file, and the zoo knows no such name or cannot get it.
    """
    path = Path(text).expanduser()
    if path.exists():
        return path.resolve()
    if path.parent != Path() or os.sep in text:
        msg = f"weights '{text}' do not exist.{_closest_files(path)}"
        raise WeightsError(msg)
    try:
        return locate(text)
    except UnknownPlugin as error:
        msg = f"weights '{text}' are neither a file nor a model of the zoo: {error}.{_closest_files(path)}"
        raise WeightsError(msg) from error


def _closest_files(path: Path) -> str:
    """Name the files that may have been meant."""
    folder = path.parent
    if not folder.is_dir():
        return f" Nor does the folder '{folder}'."
    names = sorted(entry.name for entry in folder.iterdir())
    closest = difflib.get_close_matches(path.name, names, n=3)
    return f" Closest in '{folder.resolve()}': {', '.join(closest)}." if closest else ""
