"""Which network a file of weights holds: read from it once, then from a note, so that a second start needs no PyTorch.

Reading a checkpoint takes a second or more and PyTorch some hundred megabytes, which a run on OpenVINO or ONNX Runtime
would not use again. The note lies with what was made from the weights, under their hash.
"""

import logging
from dataclasses import fields
from hashlib import file_digest
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from pipeline.errors import ConfigError, MissingPackage, WeightsError
from stages.engines import artefacts
from stages.poses.networks.card import Card

__all__ = ["card_of"]

_log = logging.getLogger(__name__)

_FORM: Final = TypeAdapter(Card)


def card_of(weights: Path) -> Card:
    """Say which network a file holds.

    Raises:
        WeightsError: It is missing, damaged, or holds another network.
        MissingPackage: It was never read before, and PyTorch, which reads it, is not installed.
    """
    note = _note_path(weights)
    return _noted(note) or _read(weights, note)


def _note_path(weights: Path) -> Path:
    try:
        with weights.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"weights '{weights}' cannot be read: {error.strerror}. Give a file of PyTorch weights"
        raise WeightsError(msg) from error
    return artefacts.folder() / f"{weights.stem}-{sha256[:12]}.json"


def _noted(note: Path) -> Card | None:
    """Read the note; None if there is none, or none of this release."""
    try:
        return _FORM.validate_json(note.read_bytes())
    except (OSError, ValueError):
        return None


def _read(weights: Path, note: Path) -> Card:
    """Read the file itself, and note what it is."""
    try:
        from stages.poses.networks.checkpoint import read_checkpoint  # noqa: PLC0415 - needs PyTorch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        msg = f"'{weights}' needs the package 'torch' to be read: pip install 'kinestream[torch]'"
        raise MissingPackage(msg) from error
    checkpoint = read_checkpoint(weights)
    card = Card(**{field.name: getattr(checkpoint, field.name) for field in fields(Card)})
    try:
        artefacts.write(note, lambda part: _write(part, card))
    except ConfigError as error:
        _log.info("what '%s' holds is not noted: %s", weights, error)
    return card


def _write(path: Path, card: Card) -> None:
    path.write_bytes(_FORM.dump_json(card))
