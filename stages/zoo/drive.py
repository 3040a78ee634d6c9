"""Fetch files that are shared on Google Drive, with gdown, which knows its pages of warnings and refusals."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Final

from pipeline.errors import WeightsError
from pipeline.registry import EXTRAS
from stages.zoo.download import Progress
from stages.zoo.model import Drive, DriveFolder

__all__ = ["download_shared"]

_SILENCE_TIMEOUT_SECONDS: Final = 30.0
_RETRIES: Final = 2
_COMMON: Final = {"quiet": True, "use_cookies": False, "timeout": _SILENCE_TIMEOUT_SECONDS}
"""No cookies: they are a file in the user's home, and public files need none."""


def download_shared(
    origin: Drive | DriveFolder, part: Path, progress: Progress | None = None, *, resume: bool = False
) -> None:
    """Bring a shared file to disk.

    Args:
        origin: The file, or a folder that holds it at whatever depth.
        part: Where to write. After a failure, what has arrived lies beside it, under a name of gdown's.
        progress: Told of every block.
        resume: Go on with what an earlier call left. gdown does not see whether the file on Drive is still the same, so
            this is only for a file whose hash will tell that two halves are of different ones.

    Raises:
        WeightsError: gdown is not installed, or Drive refuses, as it does for a day when many have fetched a file.
        OSError: The disk does not take it.
    """
    gdown = _gdown()
    file_id = origin.file_id if isinstance(origin, Drive) else _find(gdown, origin)
    if not resume:
        _forget(part)
    left = _leftovers(part)
    try:
        _download(gdown, file_id, part, progress)
    except _CannotResumeError:
        if not left or _leftovers(part) != left:
            raise
        _forget(part)  # nothing can be added to it: the file on Drive is another one by now
        _download(gdown, file_id, part, progress)


class _CannotResumeError(WeightsError):
    """The transfer itself failed: not the network, and no refusal."""


def _gdown() -> Any:  # noqa: ANN401 - an optional package
    try:
        return importlib.import_module("gdown")
    except ModuleNotFoundError as error:
        msg = f"Google Drive needs the package '{error.name}': pip install 'kinestream[{EXTRAS['gdown']}]'"
        raise WeightsError(msg) from error


def _find(gdown: Any, origin: DriveFolder) -> str:  # noqa: ANN401 - as above
    """Look a file up in a shared folder and give its id."""
    with _told(gdown, origin):
        listed = gdown.download_folder(id=origin.folder_id, skip_download=True, **_COMMON)
    found = [file.id for file in listed if PurePath(file.path).name == origin.file_name]
    if len(found) != 1:
        names = ", ".join(sorted(file.path for file in listed)) or "nothing"
        msg = f"the folder {origin} has {len(found)} files called {origin.file_name}, expected 1. It holds {names}"
        raise WeightsError(msg)
    return str(found[0])


def _download(gdown: Any, file_id: str, part: Path, progress: Progress | None) -> None:  # noqa: ANN401 - as above
    with _told(gdown, Drive(file_id)):
        gdown.download(id=file_id, output=str(part), resume=True, retries=_RETRIES, progress=progress, **_COMMON)


@contextmanager
def _told(gdown: Any, origin: Drive | DriveFolder) -> Iterator[None]:  # noqa: ANN401 - as above
    """Say gdown's errors in our words. Those of its HTTP client are OSErrors, which here mean the disk."""
    http = importlib.import_module("requests").exceptions
    try:
        yield
    except gdown.exceptions.FileURLRetrievalError as error:
        msg = (
            f"Google Drive does not hand out {origin}: {_in_one_line(error)}. "
            "A file that many have fetched is closed for up to 24 hours: try again then, or with a browser"
        )
        raise WeightsError(msg) from error
    except http.RequestException as error:
        msg = f"{origin} cannot be reached: {_in_one_line(error)}"
        raise WeightsError(msg) from error
    except gdown.exceptions.DownloadError as error:
        kind = WeightsError if isinstance(error.__cause__, http.RequestException) else _CannotResumeError
        msg = f"{origin} could not be fetched: {_in_one_line(error)}"
        raise kind(msg) from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _leftovers(part: Path) -> dict[Path, int]:
    """Give what unfinished transfers have left, and its size: gdown adds eight characters and `.part` to the name."""
    return {path: path.stat().st_size for path in part.parent.glob(f"{part.name}????????.part")}


def _forget(part: Path) -> None:
    for path in (part, *_leftovers(part)):
        path.unlink(missing_ok=True)
