"""Names of output files: where a path of the options lies, and how a source's name becomes part of one."""

import hashlib
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path, PurePath
from typing import Annotated, Final

from pydantic import AfterValidator

__all__ = ["PART", "SOURCE", "OutputPath", "file_name", "numbered"]

SOURCE: Final = "{source}"
"""What stands for the source's name in a path."""
PART: Final = ".part"
"""What the name of a file ends in while it is being written."""

_UNSAFE = re.compile(r"[^\w. -]|\A\.|\A\Z")
"""Whatever is no letter, digit, `_`, `.`, space or `-`; a leading dot (`..`, hidden files); nothing at all."""
_LONGEST = 160
"""Bytes of UTF-8 a source may take up in a name: file systems allow 255, and suffixes need room."""


def file_name(source_id: str) -> str:
    """Turn a source's name into a safe part of a file name; different names stay different.

    Letters and digits of every script, `_`, `.`, `-` and space stay; all else becomes `%` and its UTF-8 bytes in hex,
    so `../x` is `%2E.%2Fx`. What is too long for a file system is cut and ends in `~` and a hash of the whole name
    (`~` itself is escaped, so no other name looks like that).
    """
    name = _UNSAFE.sub(_escape, source_id)
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:16]
    return f"{encoded[:_LONGEST].decode(errors='ignore')}~{digest}"


def _escape(found: re.Match[str]) -> str:
    # A file name that is no UTF-8 reaches Python as lone surrogates: those have bytes too.
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass")) or "%"


def numbered(path: Path) -> Iterator[Path]:
    """Give `people.jsonl`, `people-2.jsonl`, `people-3.jsonl` ..."""
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _checked(path: str) -> str:
    name = PurePath(path).name
    if path.endswith("/") or name in {"", ".."} or name.endswith(PART) or "\0" in path:
        msg = f"a path must end in the name of a file, not in a folder or in '{PART}'"
        raise ValueError(msg)
    return path


OutputPath = Annotated[str, AfterValidator(_checked)]
"""Path of an output in a plug-in's options: relative to the run's folder, `{source}` for one file a source."""
