"""Fetching from a real HTTP server on loopback, which can break off, lie and change its file."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock
import pytest

from pipeline.errors import WeightsError
from stages.zoo.download import download
from stages.zoo.model import Licence, Model, Network, Url
from stages.zoo.store import Store

BODY = bytes(range(256)) * 4096
HALF = len(BODY) // 2
STRANGER = "0" * 64


class FileServer(ThreadingHTTPServer):
    """Serves one file at every path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _FileRequests)
        self.body = BODY
        self.etag: str | None = '"v1"'
        self.status = 200
        self.breaks: list[int] = []
        """After how many bytes of the answer to break off, one entry a request; then no more."""
        self.chunked = False
        """Answer without a length, and end the answer without its last chunk; once."""
        self.obeys_if_range = True
        self.ranges: list[str | None] = []
        """The Range header of every request so far."""
        self.asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class _FileRequests(BaseHTTPRequestHandler):
    server: FileServer

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.ranges.append(self.headers.get("Range"))
        self.server.asked.set()
        assert self.server.may_answer.wait(30)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = self._start()
        if start >= len(self.server.body):
            self.send_error(416)
            return
        rest = self.server.body[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.server.body) - 1}/{len(self.server.body)}")
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if self.server.chunked:
            self._send_broken_chunks(rest)
            return
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.close_connection = True
        self.wfile.write(rest[: self.server.breaks.pop(0)] if self.server.breaks else rest)

    def _send_broken_chunks(self, rest: bytes) -> None:
        self.server.chunked, self.close_connection = False, True
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%b\r\n" % (HALF, rest[:HALF]))

    def _start(self) -> int:
        asked = self.headers.get("Range")
        same = self.headers.get("If-Range") == self.server.etag or not self.server.obeys_if_range
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked and same else 0

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.may_answer.set()
        serving.shutdown()
        thread.join()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "weights.bin.part"


def served_model(url: str, sha256: str = hashlib.sha256(BODY).hexdigest()) -> Model:
    return Model(
        name="weights",
        file_name="weights.bin",
        task="person detection",
        summary="bytes",
        origin=Url(url),
        sha256=sha256,
        size_bytes=len(BODY),
        licence=Licence("Apache-2.0", "Do as you like."),
    )


def test_a_file_arrives_whole_and_progress_is_told(server: FileServer, part: Path) -> None:
    told: list[tuple[int, int | None]] = []
    download(server.url, part, lambda done, total: told.append((done, total)))
    assert part.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert sorted(told) == told
    assert [file.name for file in part.parent.iterdir() if file.is_file()] == [part.name]


@pytest.mark.parametrize(
    ("etag", "second_range"),
    [
        pytest.param('"v1"', f"bytes={HALF}-", id="strong ETag: the rest is asked for"),
        pytest.param('W/"v1"', None, id="weak ETag: all of it again"),
        pytest.param(None, None, id="no ETag: all of it again"),
    ],
)
def test_a_transfer_that_breaks_off_is_completed(
    server: FileServer, part: Path, etag: str | None, second_range: str | None
) -> None:
    server.etag, server.breaks = etag, [HALF]
    download(server.url, part)
    assert part.read_bytes() == BODY
    assert server.ranges == [None, second_range]


def test_an_answer_of_unknown_length_that_breaks_off_is_completed(server: FileServer, part: Path) -> None:
    server.chunked = True
    download(server.url, part)
    assert part.read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: FileServer, part: Path) -> None:
    server.breaks = [HALF, 0]
    with pytest.raises(WeightsError, match=f"broke off after {HALF} of {len(BODY)} bytes"):
        download(server.url, part)
    assert part.stat().st_size == HALF
    download(server.url, part)
    assert part.read_bytes() == BODY
    assert server.ranges[-1] == f"bytes={HALF}-"


@pytest.mark.parametrize("obeys", [True, False], ids=["server honours If-Range", "server ignores If-Range"])
def test_a_file_that_changed_meanwhile_is_fetched_anew(server: FileServer, part: Path, *, obeys: bool) -> None:
    server.breaks = [HALF, 0]
    with pytest.raises(WeightsError):
        download(server.url, part)
    server.body, server.etag, server.obeys_if_range = BODY[::-1], '"v2"', obeys
    download(server.url, part)
    assert part.read_bytes() == BODY[::-1]


def test_a_part_that_is_too_long_is_fetched_anew(server: FileServer, part: Path) -> None:
    part.write_bytes(BODY + b"more")
    part.with_name(part.name + ".etag").write_text('"v1"', "utf-8")
    download(server.url, part)
    assert part.read_bytes() == BODY
    assert len(server.ranges) == 2


def test_a_server_that_trickles_is_given_up(server: FileServer, part: Path) -> None:
    server.breaks = [1] * 100
    with pytest.raises(WeightsError, match="broke off after 8 of"):
        download(server.url, part)
    assert len(server.ranges) == 8


def test_a_server_that_refuses_is_quoted(server: FileServer, part: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsError, match="answered 404 Not Found"):
        download(server.url, part)
    assert not part.exists()


def test_a_server_that_is_not_there_is_named(server: FileServer, part: Path) -> None:
    url = server.url
    server.shutdown()
    server.server_close()
    with pytest.raises(WeightsError, match=f"{url} cannot be reached: .*refused"):
        download(url, part)


def test_a_model_gets_its_name_only_when_it_is_whole(server: FileServer, own_cache: Path) -> None:
    final = own_cache / "weights.bin"
    seen: list[bool] = []
    store = Store.from_environment()
    assert store.locate(served_model(server.url), lambda _done, _total: seen.append(final.exists())) == final
    assert set(seen) == {False}
    assert final.read_bytes() == BODY


def test_a_model_is_fetched_once(server: FileServer, own_cache: Path) -> None:
    model = served_model(server.url)
    assert Store.from_environment().locate(model) == Store.from_environment().locate(model)
    assert len(server.ranges) == 1
    assert not list(own_cache.glob("*.part*"))


def test_a_wrong_file_is_deleted_and_both_hashes_are_named(server: FileServer, own_cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        Store.from_environment().locate(served_model(server.url, STRANGER))
    message = str(caught.value)
    assert hashlib.sha256(BODY).hexdigest() in message
    assert STRANGER in message
    assert server.url in message
    assert "KINESTREAM_MODELS" in message
    assert not list(own_cache.glob("weights*"))


def test_a_web_page_in_the_stead_of_a_model_is_said_so(server: FileServer, own_cache: Path) -> None:
    server.body = b"<html><head><title>Welcome to our hotel</title></head></html>"
    with pytest.raises(WeightsError, match="it is a web page called 'Welcome to our hotel'"):
        Store.from_environment().locate(served_model(server.url))
    assert not list(own_cache.glob("weights*"))


@pytest.mark.parametrize("known", [0, 8], ids=["nothing known", "eight digits known"])
def test_the_first_file_of_an_unknown_hash_is_remembered(server: FileServer, own_cache: Path, known: int) -> None:
    model = replace(served_model(server.url), sha256=hashlib.sha256(BODY).hexdigest()[:known] or None)
    first = Store.from_environment().locate(model)
    assert Store.from_environment().locate(model) == first
    assert len(server.ranges) == 1
    assert {path.name for path in own_cache.iterdir()} == {"weights.bin", "weights.bin.sha256", ".weights.bin.lock"}


def test_another_file_than_the_first_is_refused_from_then_on(server: FileServer, own_cache: Path) -> None:
    model = replace(served_model(server.url), sha256=None)
    Store.from_environment().locate(model).write_bytes(b"damaged")
    assert Store.from_environment().locate(model).read_bytes() == BODY
    (own_cache / "weights.bin").unlink()
    server.body = BODY[::-1]
    with pytest.raises(WeightsError, match=r"that of the first file fetched was [0-9a-f]{64}.*SHA-256 unknown"):
        Store.from_environment().locate(model)
    assert {path.name for path in own_cache.iterdir()} == {"weights.bin.sha256", ".weights.bin.lock"}


def test_a_file_of_unknown_hash_must_be_the_stated_network(server: FileServer, own_cache: Path) -> None:
    model = replace(served_model(server.url), sha256=None, network=Network("hrnet", 32, 17))
    with pytest.raises(WeightsError, match="gave was deleted: "):
        Store.from_environment().locate(model)
    assert not list(own_cache.glob("weights*"))


def test_a_file_of_unknown_hash_in_the_offline_folder_is_taken_and_left_alone(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "usb"
    folder.mkdir()
    monkeypatch.setenv("KINESTREAM_MODELS", str(folder))
    (folder / "weights.bin").write_bytes(BODY)
    assert Store.from_environment().locate(replace(served_model(server.url), sha256=None)) == folder / "weights.bin"
    assert [path.name for path in folder.iterdir()] == ["weights.bin"]
    assert server.ranges == []


def test_a_truncated_file_in_the_cache_is_fetched_again(
    server: FileServer, own_cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own_cache.mkdir(parents=True)
    (own_cache / "weights.bin").write_bytes(BODY[:HALF])
    assert Store.from_environment().locate(served_model(server.url)).read_bytes() == BODY
    assert "is damaged" in caplog.text


def test_the_offline_folder_comes_first(
    server: FileServer, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESTREAM_MODELS", str(tmp_path))
    (tmp_path / "weights.bin").write_bytes(BODY)
    own_cache.mkdir(parents=True)
    (own_cache / "weights.bin").write_bytes(BODY)
    assert Store.from_environment().locate(served_model(server.url)) == tmp_path / "weights.bin"
    assert server.ranges == []


def test_a_damaged_file_in_the_offline_folder_is_an_error_and_is_kept(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINESTREAM_MODELS", str(tmp_path))
    theirs = tmp_path / "weights.bin"
    theirs.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"is damaged or another version.*Replace it"):
        Store.from_environment().locate(served_model(server.url))
    assert theirs.exists()
    assert server.ranges == []


@pytest.mark.parametrize("value", ["1", "true", "ON"])
def test_offline_never_touches_the_network(server: FileServer, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINESTREAM_OFFLINE", value)
    monkeypatch.setenv("KINESTREAM_MODELS", "/media/usb")
    with pytest.raises(WeightsError) as caught:
        Store.from_environment().locate(served_model(server.url))
    for word in (hashlib.sha256(BODY).hexdigest(), server.url, "/media/usb/weights.bin", "KINESTREAM_OFFLINE"):
        assert word in str(caught.value)
    assert server.ranges == []


def test_a_cache_that_cannot_be_written_is_said_clearly(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KINESTREAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"cannot write to the model cache .*Set KINESTREAM_CACHE"):
        Store.from_environment().locate(served_model(server.url))
    assert server.ranges == []


def test_waiting_for_another_process_has_an_end(server: FileServer, own_cache: Path) -> None:
    own_cache.mkdir(parents=True)
    with (
        filelock.FileLock(own_cache / ".weights.bin.lock"),
        pytest.raises(WeightsError, match=r"another process has been fetching weights\.bin for 0\.01 s"),
    ):
        Store(cache=own_cache, lock_wait_seconds=0.01).locate(served_model(server.url))


RACER = """
import logging, sys
from stages.zoo.model import Licence, Model, Url
from stages.zoo.store import Store

logging.basicConfig(level=logging.INFO, format="%(message)s")
url, sha256 = sys.argv[1:]
model = Model("weights", "weights.bin", "person detection", "bytes", Url(url), sha256, None, Licence("MIT", "Free."))
print(Store.from_environment().locate(model))
"""


def test_two_processes_that_race_for_a_model_fetch_it_once(server: FileServer, own_cache: Path) -> None:
    server.may_answer.clear()
    command = [sys.executable, "-c", RACER, server.url, hashlib.sha256(BODY).hexdigest()]

    def racer() -> subprocess.Popen[str]:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with racer() as first:
        assert server.asked.wait(30)
        with racer() as second:
            assert second.stderr is not None
            assert "another process is fetching weights.bin" in second.stderr.readline()
            server.may_answer.set()
            results = [process.communicate(timeout=30)[0].strip() for process in (first, second)]
    assert results == [str(own_cache / "weights.bin")] * 2
    assert len(server.ranges) == 1
