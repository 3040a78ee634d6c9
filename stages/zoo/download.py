"""Fetch one file over HTTP; a transfer that breaks off goes on where it stopped."""

import http.client
import logging
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from pipeline.errors import WeightsError

__all__ = ["Progress", "download"]

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with (bytes so far, bytes expected); None where the length is not known."""

_SILENCE_TIMEOUT_SECONDS: Final = 30.0
_BLOCK_BYTES: Final = 1 << 18
_MAX_REQUESTS: Final = 8
_CONTENT_RANGE: Final = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+)")
_BROKEN: Final = (TimeoutError, ConnectionError, ssl.SSLError, http.client.IncompleteRead)
"""How a transfer ends too early; anything else while writing is the disk's fault."""


def download(url: str, part: Path, progress: Progress | None = None) -> None:
    """Bring a served file to disk, going on with what an earlier call left in `part`.

    Only a server that names the version of its file (a strong ETag) can be asked for the rest of it: otherwise the
    two halves could be of different files. The ETag is kept beside `part`.

    Args:
        url: http or https.
        part: Where to write. After a failure it keeps what has arrived.
        progress: Told of every block.

    Raises:
        WeightsError: The server refuses, is silent, or keeps breaking off; the message says which.
        OSError: The disk does not take it.
    """
    arrived = _length(part)
    for _ in range(_MAX_REQUESTS):
        before = arrived
        total = _transfer(url, part, progress)
        arrived = _length(part)
        if total is None or arrived >= total:
            _etag_file(part).unlink(missing_ok=True)
            return
        if arrived <= before:
            break
        logger.warning("%s broke off after %d of %d bytes; asking for the rest", url, arrived, total)
    msg = f"{url} broke off after {arrived} of {total} bytes; what has arrived is kept for the next try"
    raise WeightsError(msg)


def _transfer(url: str, part: Path, progress: Progress | None) -> int | None:
    """Make one request and write what comes; give the length of the whole file, if the server says it."""
    etag_file = _etag_file(part)
    etag = etag_file.read_text("utf-8") if etag_file.exists() else ""
    with _rest_or_all(url, _length(part) if etag else 0, etag) as response:
        rest = response.status == http.client.PARTIAL_CONTENT
        if not rest:
            etag_file.write_text(_strong_etag(response), "utf-8")
        with part.open("ab" if rest else "wb") as file:
            total = None if response.length is None else file.tell() + response.length
            try:
                while block := response.read(_BLOCK_BYTES):
                    file.write(block)
                    if progress:
                        progress(file.tell(), total)
            except _BROKEN as error:
                logger.info("%s: %s", url, error)
                return total or file.tell() + 1  # of unknown length, but not whole
    return total


def _rest_or_all(url: str, start: int, etag: str) -> http.client.HTTPResponse:
    """Ask for the bytes from `start` on; what is not surely the rest of the same file is asked for anew, whole."""
    response = _request(url, start, etag)
    if response.status != http.client.PARTIAL_CONTENT:
        return response
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    if found and int(found["start"]) == start and _strong_etag(response) == etag:
        return response
    response.close()
    return _request(url)


def _request(url: str, start: int = 0, etag: str = "") -> http.client.HTTPResponse:
    headers = {"User-Agent": "kinestream", "Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": etag}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the zoo's own table holds http(s) only
    try:
        opened = urllib.request.urlopen(request, timeout=_SILENCE_TIMEOUT_SECONDS)  # noqa: S310 - as above
        return cast("http.client.HTTPResponse", opened)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
                return _request(url)
            msg = f"{url} answered {error.code} {error.reason}"
            raise WeightsError(msg) from error
    except (OSError, http.client.HTTPException) as error:
        msg = f"{url} cannot be reached: {getattr(error, 'reason', error)}"
        raise WeightsError(msg) from error


def _strong_etag(response: http.client.HTTPResponse) -> str:
    """Give the ETag, or nothing where two files may share it (RFC 9110, section 8.8.1)."""
    etag = response.headers.get("ETag", "")
    return "" if etag.startswith("W/") else etag


def _etag_file(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
