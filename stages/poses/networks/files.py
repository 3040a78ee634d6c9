"""What torch.save wrote into a file; no code in it is ever run."""

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, Final

import numpy as np
import torch

from pipeline.errors import WeightsError
from stages.poses.networks.listing import first_of

__all__ = ["load"]

_ZIP: Final = b"PK\x03\x04"
"""How files of PyTorch 1.6 and later begin."""

_LEGACY: Final = b"l\xfc\x9cF\xf9 j\xa8P\x19"
"""The number by which torch.load knows an older file, as it is pickled within the first bytes. The official files of
both papers are of that time."""

_OTHER_KINDS: Final = (
    (
        rb"\s*<(!doctype html|html|head|body)",
        "is a web page: the download gave a page (a login, a quota, a question) instead. Download it in a browser",
    ),
    (rb"version https://git-lfs", "is a pointer of Git LFS: run `git lfs pull` where it comes from"),
    (rb"\x1f\x8b|7z\xbc\xaf|Rar!|BZh|\xfd7zXZ", "is a packed archive: unpack it, and give the file in it"),
    (rb"[\t\r\n -~]+\Z", "is a text file. Give a .pth file of HRNet or PoseResNet"),
)
"""How a file may begin that torch.save did not write, and what to say of it; the first that matches."""

_HEAD_BYTES: Final = 512

_BARE_WEIGHTS: Final = (
    "Code in files is never run. If you trust where it comes from, load it there and save its state dict alone: "
    "torch.save(model.state_dict(), 'weights.pth')"
)

_reading = Lock()
"""What torch.load may build is a setting of the whole process: one file at a time changes it."""


def load(path: Path) -> Any:  # noqa: ANN401 - whatever was saved
    """Read a file that torch.save wrote, in today's or the old format, onto the CPU.

    Tensors of today's format stay in the file until they are looked at, so an optimizer's state costs nothing. As long
    as they live, the file must not be overwritten: copy those that are to be kept.

    Raises:
        WeightsError: There is no such file, it is empty, damaged, or of another kind, or it holds more than data.
    """
    try:
        is_zip = _check(path)
        with _reading, _only([*_numpy_data()]):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except (MemoryError, WeightsError):
        raise
    except Exception as error:  # what a damaged file makes the reader raise is of any kind
        msg = f"weights '{path}' {_reason(path, error)}"
        raise WeightsError(msg) from error


@contextmanager
def _only(allowed: list[Any]) -> Iterator[None]:
    """Let torch.load build nothing else, whatever others have allowed.

    ultralytics allows what its files hold for as long as the process lives; then whole networks would pass for weights.
    """
    others = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with torch.serialization.safe_globals(allowed):
            yield
    finally:
        torch.serialization.add_safe_globals(others)


def _check(path: Path) -> bool:
    """See that a file looks as if torch.save wrote it; tell whether it is of today's format."""
    head = _head(path)
    if not head:
        msg = f"weights '{path}' are an empty file: download or copy it again"
        raise WeightsError(msg)
    if head.startswith(_ZIP):
        _check_zip(path)
    elif _LEGACY not in head[:32]:
        msg = f"weights '{path}': the file {_other_kind(path, head)}"
        raise WeightsError(msg)
    return head.startswith(_ZIP)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError as error:
        msg = f"weights '{path}' do not exist: there is no such file"
        raise WeightsError(msg) from error
    except OSError as error:
        msg = f"weights '{path}' cannot be read: {error.strerror}. Expected a file that this user may read"
        raise WeightsError(msg) from error


def _check_zip(path: Path) -> None:
    """See that an archive is complete and has the parts that torch.load needs."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    files = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in files:
        msg = f"weights '{path}' are a TorchScript program, not bare weights. {_BARE_WEIGHTS}"
        raise WeightsError(msg)
    if "data.pkl" not in files:
        msg = (
            f"weights '{path}' are a zip archive, but not one that torch.save wrote: it holds {first_of(names)}. "
            "If the weights are in it, unpack it"
        )
        raise WeightsError(msg)


def _other_kind(path: Path, head: bytes) -> str:
    if path.suffix.lower() in {".onnx", ".xml"}:
        return "is a graph of ONNX or OpenVINO. Give it to the pose model 'onnx'"
    found = (text for pattern, text in _OTHER_KINDS if re.match(pattern, head, re.IGNORECASE))
    return next(found, "was not written by torch.save. Give a .pth file of HRNet or PoseResNet")


def _reason(path: Path, error: Exception) -> str:
    """Say what made the reader give up."""
    if refused := re.search(r"GLOBAL (\S+)", str(error)):
        return f"hold {refused[1]}, code as in a whole network that was saved, not only tensors. {_BARE_WEIGHTS}"
    said = next(iter(str(error).splitlines()), type(error).__name__)
    return f"are damaged or cut short ({path.stat().st_size} bytes): download or copy them again. Cause: {said}"


@cache
def _numpy_data() -> tuple[Any, ...]:
    """List what numbers and arrays of numpy are pickled with, by the names of numpy 1 and 2. None of it runs code.

    The official trainer writes its score so, and mmpose the joints of its data set, beside the weights.
    """
    return tuple(_builders()) + tuple({type(np.dtype(code)) for code in "?bhilqBHILQefdU"}) + (np.ndarray, np.dtype)


def _builders() -> Iterator[tuple[Any, str]]:
    for name, value in (("scalar", np.float64(0)), ("_reconstruct", np.empty(0))):
        for package in ("numpy.core", "numpy._core"):
            yield value.__reduce__()[0], f"{package}.multiarray.{name}"
