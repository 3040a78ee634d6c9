import errno
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SinkError
from stages.sinks.partial import RecordFile, unwritable

FullDisk = Callable[[int], AbstractContextManager[None]]


@given(st.lists(st.binary(max_size=20)), st.binary(max_size=3))
def test_a_file_holds_its_records_and_its_tail(
    tmp_path_factory: pytest.TempPathFactory, records: list[bytes], tail: bytes
) -> None:
    path = tmp_path_factory.mktemp("records") / "x"
    file = RecordFile(path, tail=tail)
    for count, record in enumerate(records):
        assert path.read_bytes() == b"".join(records[:count]) + tail
        file.append(record)
    file.close()
    assert path.read_bytes() == b"".join(records) + tail


@pytest.mark.parametrize("tail", [b"", b"]\n"], ids=["lines", "array"])
def test_a_full_disk_leaves_whole_records(tmp_path: Path, full_disk: FullDisk, tail: bytes) -> None:
    path = tmp_path / "x"
    record = b"0123456789abcdef" * 8
    file = RecordFile(path, tail=tail)
    with full_disk(1000):
        for _ in range(7):
            file.append(record)
        with pytest.raises(SinkError, match=r"x: File too large; raise the limit") as caught:
            file.append(record)
    assert isinstance(caught.value.__cause__, OSError)
    assert path.read_bytes() == record * 7 + tail
    file.append(b"more")  # there is room again
    file.close()
    assert path.read_bytes() == record * 7 + b"more" + tail


def test_a_file_that_cannot_be_created_says_so(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="No such file or directory"):
        RecordFile(tmp_path / "none" / "x")


def test_a_disk_that_is_full_from_the_start_says_so(tmp_path: Path, full_disk: FullDisk) -> None:
    with full_disk(1), pytest.raises(SinkError, match="File too large"):
        RecordFile(tmp_path / "x", tail=b"[]")


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), "No space left on device; free some", id="full"),
        pytest.param(PermissionError(errno.EACCES, "Permission denied"), "choose a folder", id="permission"),
        pytest.param(OSError(errno.EIO, "I/O error"), "I/O error; check the disk", id="hardware"),
        pytest.param(ValueError("odd"), "odd; check the options", id="no-number"),
    ],
)
def test_an_error_says_what_to_do(cause: Exception, message: str) -> None:
    assert message in str(unwritable(Path("out/a.csv"), cause))
