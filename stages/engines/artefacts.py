"""What was made from weights once, and is kept: ONNX files, OpenVINO graphs, TensorRT engines.

They lie in the folder `engines` beside the model cache (`KINESTREAM_CACHE`). The name says what an artefact was made
from: `{weights}-{hash}-{height}x{width}-{precision}.{onnx|xml}`. A card beside it (`.json`) has the hashes of its files
and is written last, so a half-written or damaged one is seen, and made again.
"""

import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final, Literal

import filelock

from pipeline.errors import ConfigError
from stages.engines.base import Model
from stages.zoo import Store

__all__ = ["FOLDER_NAME", "folder", "graph_path", "is_intact", "kept", "write"]

_log = logging.getLogger(__name__)

FOLDER_NAME: Final = "engines"
_FORMAT: Final = 1
"""Of what is made and how; raise it when artefacts of older releases must not be used any more."""
_LOCK_WAIT_SECONDS: Final = 900.0

Make = Callable[[Path], None]
"""Writes an artefact to the path it is given, and what belongs to it beside it, under the same stem."""


def folder() -> Path:
    """Give the folder of artefacts; it need not exist yet."""
    return Store.from_environment().cache.parent / FOLDER_NAME


def graph_path(
    model: Model, suffix: Literal[".onnx", ".xml"], precision: Literal["f32", "int8"] = "f32", where: Path | None = None
) -> Path:
    """Say where a graph that is made from a model belongs.

    Args:
        model: What it is made from.
        suffix: Of its file.
        precision: Of its numbers. A graph in f32 also runs in bf16 and f16: the engine rounds while it loads.
        where: Another folder than that of the cache.
    """
    size = f"{model.input.height}x{model.input.width}"
    return (where or folder()) / f"{model.weights.stem}-{model.sha256[:12]}-{size}-{precision}{suffix}"


def kept(path: Path, make: Make, *, again: bool = False) -> Path:
    """Give an artefact, making it if it is not there; one process makes it, others wait.

    Args:
        path: Where it belongs.
        make: Makes it.
        again: Make it even if it is there.

    Raises:
        ConfigError: The folder cannot be written, or another process does not finish.
    """
    if not again and is_intact(path):
        return path
    try:
        with _writable(path.parent), filelock.FileLock(path.parent / f".{path.name}.lock", timeout=_LOCK_WAIT_SECONDS):
            if again or not is_intact(path):
                _make(path, make)
    except filelock.Timeout as error:
        msg = f"another process has been making {path} for {_LOCK_WAIT_SECONDS:g} s ({error.lock_file}): end it"
        raise ConfigError(msg) from error
    return path


def _make(path: Path, make: Make) -> None:
    if path.exists():
        _log.warning("%s is damaged, out of date, or asked for anew: it is made again", path)
        _card_path(path).unlink(missing_ok=True)
    _log.info("making %s, once", path)
    files = write(path, make)
    card = json.dumps({"format": _FORMAT, "files": {file.name: _sha256(file) for file in files}}, indent=2)

    def write_card(part: Path) -> None:
        part.write_text(card, encoding="utf-8")

    write(_card_path(path), write_card)


def write(path: Path, make: Make) -> list[Path]:
    """Let `make` write a file, and what belongs to it; whole, or not at all.

    Returns:
        All files that were written, in the folder of `path`.

    Raises:
        ConfigError: The folder cannot be written.
    """
    with _writable(path.parent), tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as temporary:
        make(Path(temporary) / path.name)
        made = sorted(Path(temporary).iterdir(), key=lambda part: part.name == path.name)  # the named one last
        return [part.replace(path.with_name(part.name)) for part in made]


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Make a folder, and name it in the error if something cannot be written there.

    Raises:
        ConfigError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except filelock.Timeout:  # an OSError too
        raise
    except OSError as error:
        msg = f"cannot write to {folder}: {error}. Set KINESTREAM_CACHE to a folder that can be written, or give --out"
        raise ConfigError(msg) from error


def is_intact(path: Path) -> bool:
    """Say whether an artefact is there, made by this release's rules, and every byte of it is as it was written."""
    card = _read_card(path)
    if card.get("format") != _FORMAT or path.name not in card["files"]:
        return False
    files = {path.with_name(name): sha256 for name, sha256 in card["files"].items()}
    return all(file.is_file() and _sha256(file) == sha256 for file, sha256 in files.items())


def _read_card(path: Path) -> dict[str, Any]:
    """Read what is noted of an artefact; empty if nothing is, or nothing that can be read."""
    try:
        card = json.loads(_card_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return card if isinstance(card, dict) and isinstance(card.get("files"), dict) else {}


def _card_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
