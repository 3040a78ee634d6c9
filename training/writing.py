"""Files that are there whole, or not at all, whatever happens while they are written."""

import os
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import SinkError

__all__ = ["write_whole"]


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the name, see that it is on the disk, then move it there; what was there stays until then.

    Args:
        path: Where it belongs; its folder exists.
        write: Writes a file of the name it is given.

    Raises:
        SinkError: It cannot be written: the disk is full, or the folder is gone.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        _flush(part)
        part.replace(path)
        _flush(path.parent)
    except (OSError, RuntimeError) as error:  # PyTorch says RuntimeError where the disk is full
        part.unlink(missing_ok=True)
        cause = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        kept = "; the one that was there is untouched" if path.exists() else ""
        msg = f"cannot write '{path}': {cause}{kept}. Make room, or give another folder"
        raise SinkError(msg) from error


def _flush(path: Path) -> None:
    """Have the system write what it still holds back of a file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
