"""Files that are being written: under `NAME.part`, never with half a record, and renamed when they are complete."""

import errno
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Final

from pipeline.errors import SinkError
from pipeline.types import Packet
from stages.sinks.naming import PART

__all__ = ["Output", "RecordFile", "unwritable"]

_ADVICE: Final = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f), or write one file a source",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.EISDIR: "choose the name of a file, or move the folder away",
    errno.ENOTDIR: "choose a path whose parents are folders",
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.EEXIST: "choose a path whose parents are folders",
}


def unwritable(path: Path, cause: Exception) -> SinkError:
    """Say that `path` cannot be written, why, and what to do about it.

    Args:
        path: The file or folder.
        cause: With `errno` and `strerror`, if it has them: an OSError, or an error of a library in its manner.
    """
    reason = getattr(cause, "strerror", None) or str(cause)
    otherwise = "check the disk" if isinstance(cause, OSError) else "check the options"
    advice = _ADVICE.get(getattr(cause, "errno", None) or 0, otherwise)
    return SinkError(f"cannot write {path}: {reason}; {advice}")


class Output(ABC):
    """One file on its way to being complete.

    It grows under the name `part`; `finish` closes it and renames it to `target` in one step, replacing what had
    that name before. A process that is killed leaves the `.part`.

    Args:
        target: The name it gets in the end.
    """

    def __init__(self, target: Path) -> None:
        """Keep the names; nothing is created yet."""
        self.target = target
        self._failure: SinkError | None = None
        self.part = target.with_name(target.name + PART)

    @abstractmethod
    def write(self, packet: Packet) -> None:
        """Write one packet.

        Raises:
            SinkError: It cannot be written.
        """

    @abstractmethod
    def close(self) -> None:
        """Bring the file, still called `part`, to an end that readers accept. Calling it twice is fine.

        Raises:
            SinkError: The end cannot be written.
        """

    def finish(self) -> None:
        """Close, and give the file its final name.

        Raises:
            SinkError: The end cannot be written, the name is taken by a folder, or an earlier failure left a gap.
        """
        self.close()
        self.check()
        try:
            self.part.replace(self.target)
        except OSError as error:
            raise unwritable(self.target, error) from error

    def failed(self, cause: Exception) -> SinkError:
        """Remember that the file is incomplete for good, for formats that cannot take back half a write."""
        self._failure = unwritable(self.part, cause)
        return self._failure

    def check(self) -> None:
        """Refuse to go on after `failed`.

        Raises:
            SinkError: An earlier write failed.
        """
        if self._failure is not None:
            msg = f"{self.part} is incomplete: an earlier write failed; open the sink again for a new file"
            raise SinkError(msg) from self._failure


class RecordFile:
    """A file that holds whole records at any moment: a write that fails part-way is taken back.

    Nothing is buffered in the process, so readers see a record at once and a killed process loses at most one.

    Args:
        path: The file; emptied if it exists.
        tail: What stands behind the last record, always: the closing bracket of a JSON array.

    Raises:
        SinkError: It cannot be created.
    """

    def __init__(self, path: Path, *, tail: bytes = b"") -> None:
        """Create the file; it holds `tail`."""
        self.path = path
        self._tail = tail
        self._size = 0  # without the tail
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            self.append(b"")
        except SinkError:
            self._file.close()
            raise

    @property
    def empty(self) -> bool:
        """True until something was appended."""
        return self._size == 0

    def append(self, record: bytes) -> None:
        """Write a record behind the last one.

        Raises:
            SinkError: It cannot be written; the file is as it was before.
        """
        try:
            self._write_at(self._size, record + self._tail)
        except OSError as error:
            failure = unwritable(self.path, error)
            try:
                # The old tail goes back first: its place is still ours, while a shorter file would give it away.
                self._write_at(self._size, self._tail)
                self._file.truncate()
            except OSError as second:
                failure.add_note(f"half a record may be left at its end: {second}")
            raise failure from error
        self._size += len(record)

    def _write_at(self, position: int, data: bytes) -> None:
        rest = memoryview(data)
        self._file.seek(position, os.SEEK_SET)
        while rest:
            rest = rest[self._file.write(rest) :]

    def close(self) -> None:
        """Close the file. Calling it twice is fine."""
        self._file.close()
