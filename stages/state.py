"""What must outlive a process: the folder it lies in, and files of which one process at a time is the owner."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import platformdirs

from pipeline.errors import SinkError

__all__ = ["StateFile", "state_folder"]

_FACTS: Final = "CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
_BUSY_SECONDS: Final = 5.0


def state_folder() -> Path:
    """Name the folder: `KINESTREAM_STATE`, by default the user's folder for what programs must not forget."""
    state = os.environ.get("KINESTREAM_STATE") or platformdirs.user_state_path("kinestream")
    return Path(state).expanduser()


class StateFile:
    """An SQLite file with some tables, and facts. Safe to use from any thread; after `kill -9` it is as it was.

    Args:
        path: The file; its folder is made, and a lock file lies beside it.
        tables: SQL that makes what is not there yet.
        taken: What to say when another process has it: why that is wrong, what to do.
        elsewhere: What to do so that it lies in another place.
    """

    def __init__(self, path: Path, tables: str, taken: str, elsewhere: str = "set KINESTREAM_STATE") -> None:
        """Open nothing."""
        self.path = path
        self._tables = _FACTS + tables
        self._taken = taken
        self._elsewhere = elsewhere
        self._mutex = threading.RLock()
        self._lock = filelock.FileLock(path.with_name(f"{path.name}.lock"), thread_local=False)
        self._database: sqlite3.Connection | None = None

    def open(self) -> None:
        """Take the file.

        Raises:
            SinkError: It cannot be written, is damaged, or another process has it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
            self._connect()
        except filelock.Timeout as error:  # an OSError too
            msg = f"another process has {self.path}: {self._taken}"
            raise SinkError(msg) from error
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise self._fault(error) from error

    def _connect(self) -> None:
        self._database = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA journal_size_limit=1048576")
        self._database.executescript(self._tables)

    def close(self) -> None:
        """Let go of the file. What is in it stays."""
        with self._mutex:
            if self._database is not None:
                self._database.close()
                self._database = None
        self._lock.release()

    @contextmanager
    def change(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Change something: all of it or nothing.

        Args:
            durable: It is on the disk itself afterwards, with all that was changed before it. Otherwise a power cut may
                take back the last changes; the end of the process takes back none.

        Raises:
            SinkError: The disk does not take it; nothing was changed.
        """
        try:
            with self._mutex:
                database = self._open
                database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
                with database:
                    database.execute("BEGIN IMMEDIATE")
                    yield database
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def rows(self, query: str, *values: object) -> list[Any]:
        """Look something up.

        Raises:
            SinkError: The file cannot be read.
        """
        try:
            with self._mutex:
                return self._open.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def some_rows(self, query: str, *values: object, most: int) -> list[Any]:
        """Look something up until the sum of the rows' last column reaches `most`; the first row in any case.

        Raises:
            SinkError: The file cannot be read.
        """
        found: list[Any] = []
        try:
            with self._mutex:
                for row in self._open.execute(query, values):
                    most -= row[-1]
                    if found and most < 0:
                        break
                    found.append(row)
        except sqlite3.Error as error:
            raise self._fault(error) from error
        return found

    def fact(self, name: str) -> str | None:
        """Look up a fact; None where there is none."""
        found = self.rows("SELECT value FROM fact WHERE name = ?", name)
        return str(found[0][0]) if found else None

    @staticmethod
    def set_fact(change: sqlite3.Connection, name: str, value: str) -> None:
        """Set a fact, as a part of a change."""
        change.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def shrink(self) -> None:
        """Give back to the disk what deleted rows took up.

        Raises:
            SinkError: There is no room to do it; nothing is lost.
        """
        try:
            with self._mutex:
                self._open.execute("VACUUM")
        except sqlite3.Error as error:
            raise self._fault(error) from error

    @property
    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            msg = f"{self.path} is not open"
            raise SinkError(msg)
        return self._database

    def _fault(self, error: Exception) -> SinkError:
        is_damaged = type(error) is sqlite3.DatabaseError  # its subclasses are about other things
        hint = "it is damaged: move it away" if is_damaged else "make room, or let this user write there"
        return SinkError(f"cannot keep what must not be lost in {self.path}: {error}; {hint}, or {self._elsewhere}")
