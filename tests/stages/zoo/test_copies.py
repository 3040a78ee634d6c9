"""What holds for a file whose hash nobody told, or only its first digits."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from stages.zoo.copies import Copy
from stages.zoo.model import Licence, Model, Url

BODY = b"weights"
SHA256 = hashlib.sha256(BODY).hexdigest()
MODEL = Model(
    name="weights",
    file_name="weights.pth",
    task="pose of one person",
    summary="bytes",
    origin=Url("http://127.0.0.1:9/weights.pth"),
    sha256=None,
    size_bytes=None,
    licence=Licence("MIT", "Do as you like."),
)


def copy_of(body: bytes, folder: Path, model: Model = MODEL, name: str = "weights.pth") -> Copy:
    (folder / name).write_bytes(body)
    return Copy(model, folder / name, "cached")


@pytest.mark.parametrize(
    ("sha256", "size_bytes", "body", "words"),
    [
        pytest.param(None, None, BODY, None, id="nothing known"),
        pytest.param(None, 7, BODY, None, id="right size"),
        pytest.param(None, 8, BODY, "has 7 bytes, expected 8", id="wrong size"),
        pytest.param(SHA256[:8], None, BODY, None, id="right digits"),
        pytest.param(SHA256[:8], None, b"other", rf"expected {SHA256[:8]}\.\.\.", id="wrong digits"),
        pytest.param(SHA256, 8, BODY, None, id="right hash, which is what counts"),
        pytest.param(SHA256, None, b"other", rf"expected {SHA256}$", id="wrong hash"),
    ],
)
def test_a_file_is_held_to_what_is_known(
    sha256: str | None, size_bytes: int | None, body: bytes, words: str | None, tmp_path: Path
) -> None:
    damage = copy_of(body, tmp_path, replace(MODEL, sha256=sha256, size_bytes=size_bytes)).damage()
    assert (damage is None) == (words is None)
    assert words is None or re.search(words, str(damage))


def test_a_file_is_held_to_the_hash_that_was_remembered(tmp_path: Path) -> None:
    copy_of(BODY, tmp_path).remember()
    assert copy_of(BODY, tmp_path).damage() is None
    damage = str(copy_of(b"other", tmp_path).damage())
    assert f"that of the first file fetched was {SHA256}" in damage
    assert f"delete {tmp_path / 'weights.pth.sha256'}" in damage


def test_a_file_is_held_to_it_already_before_it_has_its_name(tmp_path: Path) -> None:
    copy_of(BODY, tmp_path, name="weights.pth.part").remember()
    assert copy_of(BODY, tmp_path, name="weights.pth.part").damage() is None
    assert copy_of(b"other", tmp_path, name="weights.pth.part").damage() is not None


def test_what_is_remembered_can_be_checked_by_sha256sum(tmp_path: Path) -> None:
    copy_of(BODY, tmp_path).remember()
    assert (tmp_path / "weights.pth.sha256").read_text() == f"{SHA256}  weights.pth\n"
    assert {path.name for path in tmp_path.iterdir()} == {"weights.pth", "weights.pth.sha256"}


def test_a_pinned_file_needs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "weights.pth.sha256").write_text("0" * 64)
    assert copy_of(BODY, tmp_path, replace(MODEL, sha256=SHA256)).damage() is None


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"no hash"], ids=["empty", "no text", "no hash"])
def test_a_memory_that_says_nothing_is_damage_or_none(note: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.sha256").write_bytes(note)
    assert (copy_of(BODY, tmp_path).damage() is None) == (note == b"")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in str(Copy(MODEL, tmp_path / "weights.pth", "cached").damage())
