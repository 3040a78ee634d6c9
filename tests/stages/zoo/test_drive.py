"""The real gdown and a Google Drive of our own on loopback: its files, its warning, its refusals, its folders."""

import hashlib
import random
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from pipeline.errors import WeightsError
from stages.zoo.drive import download_shared
from stages.zoo.model import Drive, DriveFolder, Licence, Model
from stages.zoo.store import Store

BODY = bytes(range(256)) * 8192
HALF = len(BODY) // 2
ID = "1aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
ORIGIN = Drive(ID)

SCAN_WARNING = """<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>
<form id="download-form" action="https://drive.usercontent.google.com/download" method="get"><input type="submit"><input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t"></form>
</body></html>"""  # noqa: E501 - Drive's form is one line, and gdown reads line by line
QUOTA = """<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body>
<p class="uc-error-caption">Sorry, you can't view or download this file at this time.</p>
<p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></body></html>"""


@dataclass
class Shared:
    """What the Drive of a test holds, and how it answers."""

    body: bytes = BODY
    page: str | None = None
    """Shown before the file is given, or in its stead."""
    in_stead: bool = False
    etag: str = '"v1"'
    breaks: list[int] = field(default_factory=list)
    """After how many bytes of the answer to break off, one entry an answer; then no more."""
    folders: dict[str, str] = field(default_factory=dict)
    """Id -> the page of a folder."""
    paths: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shared: Shared

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = parse_qs(asked.query)
        self.shared.paths.append(asked.path)
        if asked.path == "/embeddedfolderview":
            self._send_page(self.shared.folders[query["id"][0]])
        elif self.shared.page and (self.shared.in_stead or "confirm" not in query):
            self._send_page(self.shared.page.format(id=ID))
        elif query["id"] == [ID]:
            self._send_file()
        else:
            self.send_error(404)

    def _send_page(self, page: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page.encode())

    def _send_file(self) -> None:
        wanted = self.headers.get("Range")
        self.shared.ranges.append(wanted)
        is_same = self.headers.get("If-Range") == self.shared.etag
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and is_same else 0
        rest = self.shared.body[start:]
        if start >= len(self.shared.body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.shared.body) - 1}/{len(self.shared.body)}")
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Disposition", 'attachment; filename="their name.pth"')
        self.send_header("ETag", self.shared.etag)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(rest[: self.shared.breaks.pop(0)] if self.shared.breaks else rest)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Stay silent."""


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shared]:
    """A Drive on loopback: what gdown sends to Google goes there, and nothing else goes anywhere."""
    shared = Shared()
    monkeypatch.setattr(_Requests, "shared", shared, raising=False)
    monkeypatch.setattr(random, "uniform", lambda _least, _most: 0.0)  # how long gdown waits before it tries again
    with ThreadingHTTPServer(("127.0.0.1", 0), _Requests) as server:
        send = requests.adapters.HTTPAdapter.send

        def to_loopback(adapter: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            address = urlsplit(str(request.url))
            assert address.hostname in {"drive.google.com", "drive.usercontent.google.com"}
            request.url = address._replace(scheme="http", netloc=f"127.0.0.1:{server.server_port}").geturl()
            return send(adapter, request, **options)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", to_loopback)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield shared
        server.shutdown()
        thread.join()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth.part"


def shared_model(sha256: str | None = hashlib.sha256(BODY).hexdigest()) -> Model:
    return Model(
        name="weights",
        file_name="weights.pth",
        task="pose of one person",
        summary="bytes",
        origin=ORIGIN,
        sha256=sha256,
        size_bytes=len(BODY),
        licence=Licence("MIT", "Do as you like."),
    )


@pytest.mark.parametrize("page", [None, SCAN_WARNING], ids=["given at once", "after the warning of large files"])
def test_a_shared_file_arrives_whole_and_progress_is_told(
    page: str | None, drive: Shared, part: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    drive.page = page
    told: list[tuple[int, int | None]] = []
    download_shared(ORIGIN, part, lambda done, total: told.append((done, total)))
    assert part.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert list(part.parent.iterdir()) == [part]
    assert capfd.readouterr() == ("", "")


def test_nothing_is_left_in_the_home(drive: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cookies = tmp_path / "cookies.txt"
    monkeypatch.setattr(sys.modules["gdown.download"], "DEFAULT_COOKIES_FILE", str(cookies))
    drive.page = SCAN_WARNING
    download_shared(ORIGIN, tmp_path / "weights.pth.part")
    assert not cookies.exists()


def test_a_transfer_that_breaks_off_is_completed(drive: Shared, part: Path) -> None:
    drive.breaks = [HALF]
    download_shared(ORIGIN, part)
    assert part.read_bytes() == BODY
    assert drive.ranges == [None, f"bytes={HALF}-"]


@pytest.fixture
def half(drive: Shared, part: Path) -> Shared:
    """An earlier call gave up half way."""
    drive.breaks = [HALF, 0, 0]
    with pytest.raises(WeightsError, match=rf"could not be fetched: Download is incomplete: received {HALF} bytes"):
        download_shared(ORIGIN, part)
    assert [path.stat().st_size for path in part.parent.iterdir()] == [HALF]
    return drive


@pytest.mark.parametrize(
    ("resume", "last_range"),
    [pytest.param(True, f"bytes={HALF}-", id="allowed"), pytest.param(False, None, id="not allowed")],
)
def test_a_later_call_goes_on_where_an_earlier_one_gave_up_if_it_may(
    half: Shared, part: Path, last_range: str | None, *, resume: bool
) -> None:
    download_shared(ORIGIN, part, resume=resume)
    assert part.read_bytes() == BODY
    assert half.ranges[-1] == last_range
    assert list(part.parent.iterdir()) == [part]


def test_what_cannot_be_completed_is_fetched_anew(half: Shared, part: Path) -> None:
    half.body = BODY[: HALF // 2]
    download_shared(ORIGIN, part, resume=True)
    assert part.read_bytes() == half.body
    assert list(part.parent.iterdir()) == [part]


def test_a_model_of_unknown_hash_is_never_put_together_from_two_files(drive: Shared, own_cache: Path) -> None:
    drive.breaks = [HALF, 0, 0]
    with pytest.raises(WeightsError):
        Store.from_environment().locate(shared_model(None))
    drive.body, drive.etag = BODY[::-1], '"v2"'
    assert Store.from_environment().locate(shared_model(None)).read_bytes() == BODY[::-1]
    assert {path.name for path in own_cache.iterdir()} == {"weights.pth", "weights.pth.sha256", ".weights.pth.lock"}


def test_a_closed_file_is_explained_and_keeps_what_has_arrived(half: Shared, part: Path) -> None:
    half.page, half.in_stead = QUOTA, True
    words = r"does not hand out .*/view: .*Too many users .*for up to 24 hours"
    with pytest.raises(WeightsError, match=words) as caught:
        download_shared(ORIGIN, part, resume=True)
    assert "\n" not in str(caught.value)
    assert [path.stat().st_size for path in part.parent.iterdir()] == [HALF]


def test_a_page_that_gdown_does_not_know_is_a_refusal(drive: Shared, part: Path) -> None:
    drive.page, drive.in_stead = "<html><title>Sign in</title></html>", True
    with pytest.raises(WeightsError, match="does not hand out"):
        download_shared(ORIGIN, part)


@pytest.mark.usefixtures("drive")
def test_a_file_that_is_gone_is_named(part: Path) -> None:
    with pytest.raises(WeightsError, match=r"https://drive\.google\.com/file/d/gone/view"):
        download_shared(Drive("gone"), part)


def test_a_drive_that_is_not_there_is_named(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match=rf"{ID}/view cannot be reached: .*refused"):
        download_shared(ORIGIN, part)


def test_without_gdown_the_command_that_installs_it_is_given(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(WeightsError, match=r"needs the package 'gdown': pip install 'kinestream\[drive\]'"):
        download_shared(ORIGIN, part)


FOLDER = "1folderfolderfolderfolderfolder01"
BELOW = "1folderfolderfolderfolderfolder02"
LINK = '<a href="https://drive.google.com/file/d/{}/view">{}</a>'


@pytest.fixture
def folder(drive: Shared) -> Shared:
    below = f'<a href="https://drive.google.com/drive/folders/{BELOW}">pose_coco</a>'
    other = LINK.format("1other67890123456789012345678", "other.pth")
    drive.folders = {
        FOLDER: f"<html><title>pytorch</title>{below}{other}</html>",
        BELOW: f"<html><title>pose_coco</title>{LINK.format(ID, 'weights.pth')}</html>",
    }
    return drive


def test_a_file_is_found_in_a_shared_folder(folder: Shared, part: Path) -> None:
    download_shared(DriveFolder(FOLDER, "weights.pth"), part)
    assert part.read_bytes() == BODY
    assert folder.paths == ["/embeddedfolderview", "/embeddedfolderview", "/uc"]


def test_a_file_that_a_folder_lacks_is_answered_with_what_it_holds(folder: Shared, part: Path) -> None:
    with pytest.raises(
        WeightsError, match=rf"{FOLDER} has 0 files called mine\.pth.*other\.pth, pose_coco/weights\.pth"
    ):
        download_shared(DriveFolder(FOLDER, "mine.pth"), part)
    assert "/uc" not in folder.paths


def test_a_shared_model_is_verified_and_fetched_once(drive: Shared, own_cache: Path) -> None:
    store = Store.from_environment()
    assert store.locate(shared_model()) == store.locate(shared_model()) == own_cache / "weights.pth"
    assert drive.paths == ["/uc"]
    assert {path.name for path in own_cache.iterdir()} == {"weights.pth", ".weights.pth.lock"}


def test_a_shared_file_of_another_hash_is_deleted(drive: Shared, own_cache: Path) -> None:
    with pytest.raises(
        WeightsError, match=rf"{ID}/view gave was deleted: .*expected 0{{64}}.*By hand: take weights\.pth"
    ):
        Store.from_environment().locate(shared_model("0" * 64))
    assert drive.paths == ["/uc"]
    assert not list(own_cache.glob("weights*"))


def test_a_page_that_comes_as_a_file_is_no_model(drive: Shared, own_cache: Path) -> None:
    drive.body = b"<!doctype html>\n<html><head><title>Sign\n in</title></head></html>"
    with pytest.raises(WeightsError, match="it is a web page called 'Sign in', not weights"):
        Store.from_environment().locate(replace(shared_model(None), size_bytes=None))
    assert not list(own_cache.glob("weights*"))
