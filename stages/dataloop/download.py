"""Bring the file of an item to this machine; a transfer that breaks off goes on where it stopped."""

import logging
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from pipeline.errors import SinkError
from stages.dataloop.connection.platform import Platform
from stages.dataloop.errors import PlatformError, PlatformUnavailable
from stages.dataloop.items import Item

__all__ = ["download", "local_path"]

_log = logging.getLogger(__name__)

_USELESS_TRIES: Final = 3
"""Transfers in a row that bring nothing, before it is given up."""
_SAFE_ID: Final = re.compile(r"[\w-]{1,64}", re.ASCII)
_SAFE_SUFFIX: Final = re.compile(r"\.\w{1,10}", re.ASCII)
_UNSAFE: Final = re.compile(r"[^\w-]+", re.ASCII)
_LONGEST_STEM: Final = 80


def local_path(item: Item, folder: Path) -> Path:
    """Say where the file of an item belongs: `folder/ID/NAME`.

    The id keeps items of the same name apart. Of the name stay letters, digits, `-` and `_` of ASCII, and the suffix:
    it never leads out of the folder, whatever somebody called the item.

    Raises:
        PlatformError: The id is none that could be a folder.
    """
    if not _SAFE_ID.fullmatch(item.id):
        msg = f"the platform gives the id {item.id!r} to {item.filename!r}; expected letters and digits"
        raise PlatformError(msg)
    name = PurePosixPath(item.filename.rpartition("/")[2])
    suffix = name.suffix if _SAFE_SUFFIX.fullmatch(name.suffix) else ""
    stem = _UNSAFE.sub("_", name.stem).strip("_")[:_LONGEST_STEM]
    return folder / item.id / f"{stem or 'item'}{suffix}"


def download(platform: Platform, item: Item, folder: Path, *, watch: Callable[[int], None] = lambda _: None) -> Path:
    """Bring the file of an item below `folder`; one that is there whole is taken as it is.

    It grows under the name `.part`, which stays after a failure for the next call to go on with. The platform names no
    hash of a file, so what is checked is its size. One caller at a time may download an item into the same folder.

    Args:
        platform: Where it is.
        item: Whose file.
        folder: Is made.
        watch: Told how many bytes are there, after each block.

    Returns:
        The file, as `local_path` says.

    Raises:
        PlatformUnavailable: The transfer keeps breaking off.
        PlatformError: The file is another size than the platform says, or is refused.
        SinkError: The disk does not take it.
    """
    path = local_path(item, folder)
    part = path.with_name(f"{path.name}.{item.size}.part")
    try:
        if path.is_file() and path.stat().st_size == item.size:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        _fill(platform, item, part, watch)
        part.replace(path)
    except OSError as error:  # of the disk: what goes wrong on the way here is a PlatformError
        advice = "make room there, or choose another folder for what is downloaded"
        msg = f"cannot write {path}: {error.strerror or error}; {advice}"
        raise SinkError(msg) from error
    return path


def _fill(platform: Platform, item: Item, part: Path, watch: Callable[[int], None]) -> None:
    """Transfer until all bytes are there, or the platform has no more."""
    useless = 0
    part.touch()
    while (before := part.stat().st_size) < item.size:
        broken = _transfer(platform, item, part, watch)
        if broken is None:
            break
        useless = 0 if part.stat().st_size > before else useless + 1
        if useless == _USELESS_TRIES:
            raise broken
        _log.warning("%s; asking for the rest", broken)
    _check_size(item, part)


def _transfer(platform: Platform, item: Item, part: Path, watch: Callable[[int], None]) -> PlatformUnavailable | None:
    """Add what comes; give what broke the transfer, if anything did."""
    with part.open("ab") as file, platform.stream(f"/items/{item.id}/stream", file.tell()) as blocks:
        try:
            for block in blocks:
                file.write(block)
                watch(file.tell())
                if file.tell() > item.size:
                    break
        except PlatformUnavailable as error:
            return error
    return None


def _check_size(item: Item, part: Path) -> None:
    """Refuse, and delete, what is not as long as the platform says: nothing could be added to make it right."""
    size = part.stat().st_size
    if size != item.size:
        part.unlink()
        msg = (
            f"GET /items/{item.id}/stream: {item.filename} should have {item.size} bytes, "
            f"{'more than that' if size > item.size else size} came; look at the item on the platform, "
            "it may have been replaced or still be in processing"
        )
        raise PlatformError(msg)
