"""How far the annotation of an item has come, on disk: whoever kills the process at any moment loses nothing.

One SQLite file an item, `dataloop/ITEM.sqlite` in the state folder. `outbox` keeps the annotations in it, `recording`
the people of each frame. An annotation is written after the frames that it follows from, so of a file whose end a power
cut took away, what is left fits together.
"""

import json
import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ConfigError, SinkError
from stages.state import StateFile, state_folder

__all__ = ["Journal", "journal_path"]

_log = logging.getLogger(__name__)

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS frame (
    number INTEGER PRIMARY KEY, pts_seconds REAL NOT NULL, rows INTEGER NOT NULL, joints INTEGER NOT NULL,
    columns TEXT NOT NULL, people BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS annotation (
    number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, object_id TEXT NOT NULL, is_parent INTEGER NOT NULL,
    body BLOB NOT NULL, state TEXT NOT NULL, id TEXT, size INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS annotation_state ON annotation (state, is_parent, number);
CREATE INDEX IF NOT EXISTS annotation_parent ON annotation (object_id) WHERE is_parent;
CREATE TABLE IF NOT EXISTS person (
    object_id TEXT PRIMARY KEY, told_frame INTEGER NOT NULL, last_frame INTEGER NOT NULL);
"""
_CONTENT: Final = ("frame", "annotation", "person")
_FACTS_OF_A_RUN: Final = ("run", "fingerprint", "complete", "verified", "result")


def journal_path(item_id: str) -> Path:
    """Name the journal of an item: the same in each run.

    Raises:
        ConfigError: That is no id of an item.
    """
    if not re.fullmatch(r"[\w-]{1,128}", item_id):
        msg = f"'{item_id}' is not the id of an item: expected letters and digits, as in the address of the item"
        raise ConfigError(msg)
    return state_folder() / "dataloop" / f"{item_id}.sqlite"


class Journal:
    """What a run has done for an item. One process at a time has it; any thread may use it.

    Args:
        path: The file: see `journal_path`.
    """

    def __init__(self, path: Path) -> None:
        """Open nothing."""
        self.file = StateFile(path, _TABLES, "it annotates the same item; wait for it, or stop it")
        self.run_id = ""
        """Stands in each annotation of the run: what carries another one may be deleted when this run is finished."""

    def open(self, fingerprint: Mapping[str, Any], *, resume: bool = False) -> None:
        """Take the journal: of a new run, or of the one that was interrupted.

        Args:
            fingerprint: Name -> plain value of all that decides the result: the item's size, weights, options.
            resume: Go on with a run of the same fingerprint; if it is finished, `result` says so. Where there is none,
                or a finished one of another fingerprint, a new run begins.

        Raises:
            ConfigError: The interrupted run has another fingerprint: what it has done does not fit.
            SinkError: The file cannot be written, is damaged, or another process has it.
        """
        self.file.open()
        told = json.loads(json.dumps(fingerprint))
        if resume and (known := self.file.fact("fingerprint")) is not None:
            before = json.loads(known)
            if before == told:
                self.run_id = str(self.file.fact("run"))
                return
            if self.result is None:
                self.close()
                raise ConfigError(_differences(self.file.path, before, told))
        self._begin(told)

    def _begin(self, fingerprint: Mapping[str, Any]) -> None:
        """Forget the run before; what an unfinished one has left on the platform is not forgotten."""
        abandoned = self.abandoned
        if self.result is None and (run := self.file.fact("run")) is not None:
            abandoned.append(run)
        self.run_id = secrets.token_hex(8)
        with self.file.change(durable=True) as database:
            for table in _CONTENT:
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            database.executemany("DELETE FROM fact WHERE name = ?", [(name,) for name in _FACTS_OF_A_RUN])
            facts = {"run": self.run_id, "fingerprint": json.dumps(fingerprint), "abandoned": json.dumps(abandoned)}
            database.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())

    def close(self) -> None:
        """Let go of the file. What is in it stays for `resume`."""
        self.file.close()

    @property
    def abandoned(self) -> list[str]:
        """Runs that were begun anew before they were finished: the platform may have annotations of theirs."""
        return list(json.loads(self.file.fact("abandoned") or "[]"))

    @property
    def is_complete(self) -> bool:
        """Whether every annotation of the item is in here: no frame need be looked at any more."""
        return self.file.fact("complete") is not None

    @property
    def is_verified(self) -> bool:
        """Whether the platform has listed every annotation."""
        return self.file.fact("verified") is not None

    @property
    def result(self) -> dict[str, Any] | None:
        """What came out; None while the run is not finished."""
        found = self.file.fact("result")
        return None if found is None else dict(json.loads(found))

    def note_complete(self) -> None:
        """Take note that no further annotation comes; the people of each frame are needed no more."""
        self._note({"complete": "1"}, empty=("frame",))

    def note_verified(self) -> None:
        """Take note that the platform has listed every annotation."""
        self._note({"verified": "1"})

    def note_result(self, result: Mapping[str, Any]) -> None:
        """Take note that the run is finished; nothing but this is kept of it."""
        self._note({"result": json.dumps(result), "abandoned": "[]"}, empty=_CONTENT)
        try:
            self.file.shrink()
        except SinkError as error:
            _log.warning("what is not needed any more still takes up room: %s", error)

    def _note(self, facts: Mapping[str, str], empty: Iterable[str] = ()) -> None:
        with self.file.change(durable=True) as database:
            database.executemany("INSERT OR REPLACE INTO fact VALUES (?, ?)", facts.items())
            for table in empty:
                database.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours


def _differences(path: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Say why a run cannot go on."""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    told = "; ".join(f"{name} was {before.get(name)!r}, now it is {now.get(name)!r}" for name in names)
    return (
        f"the interrupted run in {path} cannot go on with other settings: {told}. Resume it with the settings it had, "
        "or begin anew without --resume"
    )
