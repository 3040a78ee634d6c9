from collections.abc import Callable
from pathlib import Path

from pipeline.types import Packet
from stages.sinks.null import NullSink, Options


def test_nothing_is_left(tmp_path: Path, packet: Callable[..., Packet]) -> None:
    with NullSink(Options(), tmp_path / "out") as sink:
        sink.write(packet())
        sink.end_source("cam")
        sink.finish()
    assert sink.targets() == ()
    assert list(tmp_path.iterdir()) == []
