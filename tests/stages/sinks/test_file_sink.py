"""What holds for every sink that writes files."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SinkError
from pipeline.types import Packet
from stages.sinks import coco, csv, json, jsonl, mot, parquet, seed_csv, seed_json, sheet, video
from stages.sinks.file_sink import FileSink

MakePacket = Callable[..., Packet]

Kinds = dict[str, Callable[[Any, Path], FileSink]]

TABLES: Kinds = {"jsonl": jsonl.JsonlSink, "csv": csv.CsvSink, "parquet": parquet.ParquetSink}
ONE_EACH: Kinds = {
    "coco": coco.CocoSink,
    "json": json.JsonSink,
    "mot": mot.MotSink,
    "seed-csv": seed_csv.SeedCsvSink,
    "seed-json": seed_json.SeedJsonSink,
    "sheet": sheet.SheetSink,
    "video": video.VideoSink,
}
ALL = TABLES | ONE_EACH
MODULES = {
    "coco": coco,
    "csv": csv,
    "json": json,
    "jsonl": jsonl,
    "mot": mot,
    "parquet": parquet,
    "seed-csv": seed_csv,
    "seed-json": seed_json,
    "sheet": sheet,
    "video": video,
}
SUFFIX = {name: f".{name}" for name in TABLES} | {
    "coco": ".json",
    "json": ".json",
    "mot": ".txt",
    "seed-csv": ".csv",
    "seed-json": ".json",
    "sheet": ".png",
    "video": ".mp4",
}


def build(kind: str, out: Path, path: str | None = None) -> FileSink:
    options: dict[str, Any] = {} if path is None else {"path": path}
    return ALL[kind](MODULES[kind].Options(**options), out)


def per_source(kind: str, out: Path) -> FileSink:
    return build(kind, out, "{source}" + SUFFIX[kind])


def write_all(sink: FileSink, packets: Iterable[Packet]) -> None:
    for packet in packets:
        sink.write(packet)


def write_and_finish(sink: FileSink, packet: Packet) -> None:
    sink.write(packet)
    sink.finish()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


each = pytest.mark.parametrize("kind", ALL)
each_table = pytest.mark.parametrize("kind", TABLES)


@each
def test_nothing_is_created_before_open(kind: str, tmp_path: Path) -> None:
    sink = build(kind, tmp_path / "out")
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


@each
def test_a_run_without_a_frame_leaves_tables_only(kind: str, tmp_path: Path) -> None:
    with build(kind, tmp_path) as sink:
        sink.finish()
    assert names(tmp_path) == ({f"people.{kind}"} if kind in TABLES else set())


@each
def test_the_file_is_named_in_the_end(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    with per_source(kind, tmp_path) as sink:
        sink.write(packet())
        assert names(tmp_path) <= {f"cam{SUFFIX[kind]}.part"}
        sink.end_source("cam")
        assert names(tmp_path) == {f"cam{SUFFIX[kind]}"}
        sink.end_source("cam")
        sink.finish()
    assert names(tmp_path) == {f"cam{SUFFIX[kind]}"}


@each
def test_a_failed_run_leaves_the_part(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    with per_source(kind, tmp_path) as sink:
        sink.write(packet())
    sink.close()
    assert names(tmp_path) == {f"cam{SUFFIX[kind]}.part"}


@each
def test_an_old_file_is_replaced_only_by_a_finished_one(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    target = tmp_path / f"cam{SUFFIX[kind]}"
    target.write_text("old")
    with per_source(kind, tmp_path) as sink:
        sink.write(packet())
        assert target.read_text() == "old"
        sink.finish()
    assert not target.read_bytes().startswith(b"old")


@each
def test_what_comes_after_a_failure_goes_to_a_new_file(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    sink = per_source(kind, tmp_path)
    for index in range(3):
        with sink:
            sink.write(packet(index))
    sink.open()
    sink.write(packet(3))
    sink.finish()
    sink.close()
    suffix = SUFFIX[kind]
    assert names(tmp_path) == {f"cam{suffix}.part", f"cam-2{suffix}.part", f"cam-3{suffix}.part", f"cam-4{suffix}"}


@each_table
def test_a_table_of_all_sources_is_numbered_after_a_failure(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    sink = build(kind, tmp_path)
    with sink:
        sink.write(packet())
    with sink:
        sink.finish()
    assert names(tmp_path) == {f"people.{kind}.part", f"people-2.{kind}"}


@each
def test_a_source_that_comes_back_gets_a_new_file(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    with per_source(kind, tmp_path) as sink:
        for _ in range(2):
            sink.write(packet())
            sink.end_source("cam")
        sink.write(packet(source="cam-2"))  # the name that the second file has already
        sink.finish()
    suffix = SUFFIX[kind]
    assert names(tmp_path) == {f"cam{suffix}", f"cam-2{suffix}", f"cam-2-2{suffix}"}


@each
def test_sources_may_alternate_and_have_any_name(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    sources = ["../x", "a/b", "a%2Fb", "Tür 街", "", "x\udc80", "CAM", "cam"]
    with per_source(kind, tmp_path / "out") as sink:
        for index in range(2):
            for source in sources:
                sink.write(packet(index, source))
        sink.finish()
    assert len(names(tmp_path / "out")) == len(sources)
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


@each
def test_a_source_may_be_a_folder_of_the_path(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    path = "a/{source}/b/{source}" + SUFFIX[kind]
    with build(kind, tmp_path, path) as sink:
        sink.write(packet(source="x/y"))
        sink.finish()
    assert names(tmp_path) == {f"a/x%2Fy/b/x%2Fy{SUFFIX[kind]}"}
    assert sink.targets() == (str(tmp_path / path),)


@each
def test_a_source_that_ends_without_a_frame_has_no_file(kind: str, tmp_path: Path) -> None:
    with per_source(kind, tmp_path) as sink:
        sink.end_source("cam")
        sink.finish()
    assert names(tmp_path) == set()


@each
def test_a_parent_that_is_a_file_is_told_at_open(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sink = per_source(kind, tmp_path / "file" / "out")
    with pytest.raises(SinkError, match=r"cannot write .*file/out: Not a directory; choose a path"):
        sink.open()
    sink.close()


@each_table
def test_a_target_that_is_a_folder_is_told_at_open(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"people.{kind}").mkdir()
    with pytest.raises(SinkError, match="Is a directory; choose the name of a file"):
        build(kind, tmp_path).open()


@each
def test_a_target_that_is_a_folder_is_told_at_its_first_frame(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    (tmp_path / f"cam{SUFFIX[kind]}").mkdir()
    with per_source(kind, tmp_path) as sink:
        with pytest.raises(SinkError, match="Is a directory"):
            sink.write(packet())
        sink.write(packet(source="other"))


@each
def test_a_part_that_is_a_folder_is_told(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    (tmp_path / f"cam{SUFFIX[kind]}.part").mkdir()
    sink = per_source(kind, tmp_path)
    sink.open()
    with pytest.raises(SinkError, match=r"cam\.\w+\.part"):
        write_and_finish(sink, packet())
    sink.close()


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        ("csv", "File too large"),
        ("parquet", "File too large"),
        ("video", "its end was not written; check the disk"),
        ("sheet", "File too large"),
    ],
)
def test_an_end_that_cannot_be_written_is_told_and_not_called_finished(
    kind: str, cause: str, tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    sink = per_source(kind, tmp_path)
    sink.open()
    sink.write(packet(people=None))
    with full_disk(20), pytest.raises(SinkError, match=rf"cam\.\w+\.part: .*{cause}"):
        sink.finish()
    sink.close()
    assert names(tmp_path) == {f"cam{SUFFIX[kind]}.part"}


def test_a_file_that_cannot_be_finished_does_not_stop_the_others(tmp_path: Path, packet: MakePacket) -> None:
    with per_source("jsonl", tmp_path) as sink:
        for source in ("a", "b", "c"):
            sink.write(packet(source=source))
        (tmp_path / "b.jsonl").mkdir()
        with pytest.raises(SinkError, match=r"b\.jsonl"):
            sink.finish()
    assert names(tmp_path) == {"a.jsonl", "b.jsonl.part", "c.jsonl"}


@pytest.mark.parametrize("kind", ["parquet", "video"])
def test_what_a_failed_write_has_damaged_is_never_called_finished(
    kind: str, tmp_path: Path, packet: MakePacket, full_disk: Callable[[int], AbstractContextManager[None]]
) -> None:
    few_rows = {"row_group_rows": 20} if kind == "parquet" else {}
    options = MODULES[kind].Options(path="{source}" + SUFFIX[kind], **few_rows)
    with ALL[kind](options, tmp_path) as sink:
        with full_disk(12_000), pytest.raises(SinkError, match="File too large"):
            write_all(sink, (packet(index) for index in range(2000)))
        with pytest.raises(SinkError, match="an earlier write failed"):
            sink.write(packet())
        with pytest.raises(SinkError, match="an earlier write failed"):
            sink.end_source("cam")
    assert names(tmp_path) == {f"cam{SUFFIX[kind]}.part"}


def test_two_spellings_of_one_path_are_one_target(tmp_path: Path) -> None:
    one, other = (jsonl.JsonlSink(jsonl.Options(path=path), tmp_path) for path in ("a/../b.jsonl", "b.jsonl"))
    assert one.targets() == other.targets()
