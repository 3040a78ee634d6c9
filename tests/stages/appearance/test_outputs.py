"""Appearance vectors are the tracker's: no output writes them."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.registry import options_model, resolve
from pipeline.types import Packet

MakePacket = Callable[..., Packet]
TABLES = ["coco", "csv", "json", "jsonl", "mot", "parquet", "seed-csv", "seed-json"]


def with_looks(packet: Packet) -> Packet:
    assert packet.instances is not None
    rng = np.random.default_rng(packet.frame.index)
    return packet.with_instances(packet.instances.with_columns(embedding=rng.normal(size=(len(packet.instances), 512))))


def written(kind: str, folder: Path, packets: list[Packet]) -> dict[str, object]:
    folder.mkdir()
    plugin = resolve("sink", kind)
    with plugin(options_model(plugin)(), folder) as sink:
        for packet in packets:
            sink.write(packet)
        sink.end_source("cam")
        sink.finish()
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.name: pq.read_table(path).to_pylist()
        if path.suffix == ".parquet"
        else re.sub(r'"date_created": "[^"]*"', "", path.read_text(encoding="utf-8"))
        for path in files
    }


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_the_same_with_looks_and_without(kind: str, tmp_path: Path, packet: MakePacket) -> None:
    packets = [packet(index) for index in range(3)]
    plain = written(kind, tmp_path / "plain", packets)
    assert plain
    assert written(kind, tmp_path / "looks", [with_looks(one) for one in packets]) == plain
