"""Files of items, from a server that breaks off, and onto disks that do not take them."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataloop_faults import LoseReply, Status, Truncate
from dataloop_server import DataloopServer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from stages.dataloop.connection.platform import Platform
from stages.dataloop.download import download, local_path
from stages.dataloop.errors import PlatformError, PlatformUnavailable
from stages.dataloop.items import Item, get_item

SIZE = 1_000_000


@pytest.fixture
def platform(dataloop: DataloopServer) -> Iterator[Platform]:
    assert dataloop.port
    with Platform(timeout_seconds=5, attempts=2, wait=lambda _: False) as platform:
        yield platform


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "clip of ours.mp4"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture
def item(dataloop: DataloopServer, platform: Platform, original: Path) -> Item:
    return get_item(platform, dataloop.add_item(original))


def test_a_file_comes_whole_under_the_id_of_its_item(
    platform: Platform, item: Item, original: Path, tmp_path: Path
) -> None:
    seen: list[int] = []
    path = download(platform, item, tmp_path / "new", watch=seen.append)
    assert path == tmp_path / "new" / item.id / "clip_of_ours.mp4"
    assert path.read_bytes() == original.read_bytes()
    assert seen == sorted(seen)
    assert seen[-1] == SIZE
    assert list(path.parent.iterdir()) == [path]


def test_one_that_is_there_is_not_asked_for_and_one_of_another_size_replaced(
    platform: Platform, item: Item, original: Path, tmp_path: Path, dataloop: DataloopServer
) -> None:
    path = download(platform, item, tmp_path)
    assert download(platform, item, tmp_path) == path
    assert dataloop.count("GET", "/stream$") == 1
    path.write_bytes(b"an older one")
    assert download(platform, item, tmp_path).read_bytes() == original.read_bytes()


def test_two_items_of_one_name_stay_apart(
    platform: Platform, item: Item, original: Path, tmp_path: Path, dataloop: DataloopServer
) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(os.urandom(SIZE))
    twin = get_item(platform, dataloop.add_item(other, filename=item.filename))
    assert download(platform, item, tmp_path).read_bytes() == original.read_bytes()
    assert download(platform, twin, tmp_path).read_bytes() == other.read_bytes()


def test_an_empty_file_is_a_file(platform: Platform, tmp_path: Path, dataloop: DataloopServer) -> None:
    empty = tmp_path / "empty.txt"
    empty.touch()
    assert download(platform, get_item(platform, dataloop.add_item(empty)), tmp_path / "x").stat().st_size == 0


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(
    platform: Platform, item: Item, original: Path, tmp_path: Path, dataloop: DataloopServer
) -> None:
    dataloop.inject(Truncate(300_000), "GET", "/stream$", times=3)
    path = download(platform, item, tmp_path)
    assert path.read_bytes() == original.read_bytes()
    asked = [request.headers["Range"] for request in dataloop.requests if request.path.endswith("/stream")]
    assert asked[0] == "bytes=0-"
    assert asked == sorted(set(asked), key=lambda header: int(header[6:-1]))
    assert len(asked) == 4


def test_what_an_earlier_run_left_is_gone_on_with(
    platform: Platform, item: Item, original: Path, tmp_path: Path, dataloop: DataloopServer
) -> None:
    dataloop.inject(Truncate(300_000), "GET", "/stream$")
    dataloop.inject(Status(503), "GET", "/stream$", times=None)
    with pytest.raises(PlatformUnavailable):
        download(platform, item, tmp_path)
    dataloop.faults.clear()
    assert download(platform, item, tmp_path).read_bytes() == original.read_bytes()
    assert dataloop.requests[-1].headers["Range"] == "bytes=300000-"


def test_a_transfer_that_brings_nothing_is_given_up(
    platform: Platform, item: Item, tmp_path: Path, dataloop: DataloopServer
) -> None:
    dataloop.inject(Truncate(0), "GET", "/stream$", times=None)
    with pytest.raises(PlatformUnavailable, match=r"GET /items/\w+/stream: no whole answer came"):
        download(platform, item, tmp_path)
    assert dataloop.count("GET", "/stream$") == 3


@pytest.mark.parametrize("bytes_on_the_platform", [SIZE - 1, SIZE + 1, 0])
def test_a_file_of_another_size_than_the_platform_says_is_refused(
    bytes_on_the_platform: int, platform: Platform, item: Item, original: Path, tmp_path: Path
) -> None:
    original.write_bytes(b"x" * bytes_on_the_platform)
    with pytest.raises(PlatformError, match=rf"should have {SIZE} bytes"):
        download(platform, item, tmp_path / "new")
    assert [path for path in (tmp_path / "new").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("fault", [Status(404), Status(403)], ids=["gone", "forbidden"])
def test_a_refusal_is_an_error_at_once(
    fault: Any, platform: Platform, item: Item, tmp_path: Path, dataloop: DataloopServer
) -> None:
    dataloop.inject(fault, "GET", "/stream$", times=None)
    with pytest.raises(PlatformError, match=str(fault.status)):
        download(platform, item, tmp_path)
    assert dataloop.count("GET", "/stream$") == 1


def test_an_answer_that_never_comes_is_asked_for_again(
    platform: Platform, item: Item, original: Path, tmp_path: Path, dataloop: DataloopServer
) -> None:
    dataloop.inject(LoseReply(), "GET", "/stream$")
    assert download(platform, item, tmp_path).read_bytes() == original.read_bytes()


def test_a_folder_that_cannot_be_written_is_named(platform: Platform, item: Item, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(SinkError, match=rf"cannot write {taken}.*choose another folder"):
        download(platform, item, taken)


def test_a_full_disk_is_named_and_what_came_is_kept(platform: Platform, item: Item, tmp_path: Path) -> None:
    """A limit on the size of files does what a full disk does."""
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, limits[1]))
    try:
        with pytest.raises(SinkError, match="cannot write") as caught:
            download(platform, item, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert download(platform, item, tmp_path).stat().st_size == SIZE


def named(item_id: str = "a1", filename: str = "/x.mp4") -> Item:
    return Item(item_id, "d1", "x", filename, "video/mp4", 1, None, None, None, None)


@given(filename=st.text(max_size=300) | st.text(alphabet="./\\ \0~$ä\n-a", max_size=20))
def test_whatever_an_item_is_called_its_file_stays_in_its_folder(filename: str) -> None:
    folder = Path("/data")
    path = local_path(named(filename=filename), folder)
    assert path.parent == folder / "a1"
    assert path.parent.resolve() / path.name == path.resolve()
    assert not path.name.startswith(".")
    assert len(os.fsencode(path.name)) <= 100


@given(item_id=st.text(max_size=80))
def test_an_id_that_is_no_folder_is_refused(item_id: str) -> None:
    try:
        path = local_path(named(item_id=item_id), Path("/data"))
    except PlatformError:
        return
    assert path.parent.parent == Path("/data")
    assert path.parent.name == item_id


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("/street/clip.mp4", "clip.mp4"),
        ("/../../etc/passwd", "passwd"),
        ("/..", "item"),
        ("/.hidden", "hidden"),
        ("/Straße 1.MP4", "Stra_e_1.MP4"),
        ("/x.tar.gz", "x_tar.gz"),
        ("/" + "x" * 300 + ".mp4", "x" * 80 + ".mp4"),
    ],
)
def test_of_a_name_stays_what_every_disk_takes(filename: str, name: str) -> None:
    assert local_path(named(filename=filename), Path("/data")).name == name
