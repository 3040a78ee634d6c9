"""A model's file on this machine: whether it is what it should be."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stages.zoo.model import Model

__all__ = ["Copy", "Place"]

Place = Literal["offline", "cached"]


@dataclass(frozen=True, slots=True)
class Copy:
    """A file on this machine that is said to be a model's."""

    model: Model
    path: Path
    place: Place

    def damage(self) -> str | None:
        """Say what is wrong with the file; None if it is what it should be.

        Of a model whose hash is not fully known, the hash that was remembered in the same folder holds. Where none was,
        as in a folder that somebody else filled, only what is known is compared: the first digits, the size.
        """
        try:
            got, size = self._hash(), self.path.stat().st_size
            first = self._remembered()
        except OSError as error:
            return f"{self.path} cannot be read: {error.strerror}"
        another = f"{self.path} is damaged or another version"
        if not got.startswith(self.model.sha256 or ""):
            return f"{another}: its SHA-256 is {got}, expected {self.model.known_sha256}"
        if self.model.is_pinned:
            return None
        if self.model.size_bytes not in {None, size}:
            return f"{another}: it has {size} bytes, expected {self.model.size_bytes}"
        if first not in {"", got}:
            hint = f"if the owner has published another version, delete {self._note}"
            return f"{another}: its SHA-256 is {got}, that of the first file fetched was {first}; {hint}"
        return None

    def remember(self) -> None:
        """Write the hash down beside the file, as `sha256sum` does: from now on this folder's file is held to it.

        Raises:
            OSError: The disk does not take it.
        """
        part = self._note.with_name(f"{self._note.name}.part")
        part.write_text(f"{self._hash()}  {self.model.file_name}\n", encoding="utf-8")
        part.replace(self._note)

    def _remembered(self) -> str:
        """Give the hash that was written down; nothing if none was."""
        return self._note.read_text("utf-8", "replace").partition(" ")[0].strip() if self._note.exists() else ""

    @property
    def _note(self) -> Path:
        """Where the hash is written down: beside the model's file, also while that has another name."""
        return self.path.with_name(f"{self.model.file_name}.sha256")

    def _hash(self) -> str:
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
