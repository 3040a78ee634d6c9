"""Which files a path means: one file, or all that match a pattern, in the order a person would list them."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import SourceError

__all__ = ["is_url", "matching_files", "natural_order", "unique_names"]

_DIGITS = re.compile(r"(\d+)")


def is_url(path: str) -> bool:
    """Tell whether `path` is for FFmpeg's network protocols, so that no file of that name is looked for."""
    return "://" in path


def natural_order(path: Path) -> tuple[list[str | int], str]:
    """Sort key under which `img2` comes before `img10`."""
    parts = _DIGITS.split(str(path.with_suffix("")))  # odd places hold the digits
    return [int(part) if place % 2 else part.casefold() for place, part in enumerate(parts)], path.suffix


def matching_files(pattern: str) -> list[Path]:
    """List what `pattern` means: itself if something has exactly that name, else the files it matches.

    Args:
        pattern: A path, or a pattern with `*`, `?`, `[...]`, `**`; `~` is the home folder.

    Raises:
        SourceError: Nothing is there.
    """
    literal = Path(pattern).expanduser()
    if literal.exists():
        return [literal]
    found = (Path(name) for name in glob.iglob(str(literal), recursive=True))  # noqa: PTH207 - takes absolute patterns
    files = sorted((path for path in found if path.is_file()), key=natural_order)
    if not files and glob.has_magic(pattern):
        msg = f"no file matches '{pattern}' (looked from {Path.cwd()}); check the folder and the pattern"
        raise SourceError(msg)
    if not files:
        msg = f"there is no '{pattern}' (looked from {Path.cwd()}); check the path"
        raise SourceError(msg)
    return files


def unique_names(names: Iterable[str]) -> list[str]:
    """Number the names that occur more than once: `door, door` becomes `door, door-2`."""
    wanted = list(names)
    taken = set(wanted)
    given: set[str] = set()
    unique = []
    for name in wanted:
        choice, number = name, 1
        while choice in given or (number > 1 and choice in taken):
            number += 1
            choice = f"{name}-{number}"
        given.add(choice)
        unique.append(choice)
    return unique
