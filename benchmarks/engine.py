"""What the engine itself costs: packets through null stages, with no model, codec or file behind them.

    python benchmarks/engine.py                # all tables, about two minutes
    python benchmarks/engine.py --packets 1e5  # quicker

Prints tables in Markdown. Pin it to one core (`taskset -c 0`) for figures that mean "on one core".
"""

import argparse
import asyncio
import gc
import resource
import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pipeline.config import RunConfig
from pipeline.graph import Graph
from pipeline.runner import Runner
from pipeline.stage import Sink, Source, Stage
from pipeline.types import Frame, HostPixels, Packet, Stream

PIXELS = HostPixels(np.zeros((4, 4, 3), np.uint8))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STAGES = 5


class Counting(Source):
    """Gives frames as fast as they are taken."""

    def __init__(self, source_id: str, count: int) -> None:
        self._stream = Stream(source_id)
        self._count = count
        self._index = 0

    @property
    def source_id(self) -> str:
        return self._stream.source_id

    def rename(self, source_id: str) -> None:
        self._stream = Stream(source_id)

    async def open(self) -> None:
        pass

    async def read(self) -> Frame | None:
        if self._index == self._count:
            return None
        self._index += 1
        return Frame(self._stream, self._index - 1, self._index / 25, NOW, time.monotonic(), PIXELS)

    async def close(self) -> None:
        pass


class Null(Stage):
    """Passes packets on."""

    def __init__(self, name: str, max_batch: int) -> None:
        self.name = name
        self.max_batch = max_batch

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        return packets


class Discard(Sink):
    """Writes nowhere."""

    name = "discard"

    async def write(self, packets: deque[Packet]) -> None:
        packets.clear()


def measure(packets: int, sources: int, batch: int) -> tuple[float, float]:
    """Run once; give packets a second and microseconds of processor time a packet."""
    graph = Graph(
        tuple(Counting(f"s{n}", packets // sources) for n in range(sources)),
        tuple(Null(f"stage{n}", batch) for n in range(STAGES)),
        (Discard(),),
    )
    runner = Runner(graph, RunConfig(max_open_files=sources))
    gc.collect()
    wall, busy = time.perf_counter(), time.process_time()
    asyncio.run(runner.run())
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    delivered = sum(counts.delivered for counts in runner.telemetry.sources.values())
    if delivered != packets // sources * sources:
        sys.exit(f"packets were lost: {delivered} of {packets}")
    return delivered / wall, busy / delivered * 1e6


def rss_mib() -> float:
    """Give the memory that is resident now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def by_batch(packets: int) -> None:
    print(f"\n### {STAGES} null stages, 8 sources, {packets:,} packets\n")
    print("| batch | packets/s | CPU us/packet |\n|---|---|---|")
    for batch in (1, 4, 16):
        rate, cost = measure(packets, 8, batch)
        print(f"| {batch} | {rate:,.0f} | {cost:.1f} |")


def by_sources(packets: int) -> None:
    print(f"\n### Cost by number of sources: {STAGES} null stages, batch 1, {packets:,} packets\n")
    print("| sources | packets/s | CPU us/packet | against 1 source |\n|---|---|---|---|")
    base = 0.0
    for sources in (1, 10, 100, 1000):
        rate, cost = measure(packets, sources, 1)
        base = base or cost
        print(f"| {sources:,} | {rate:,.0f} | {cost:.1f} | {cost / base:.2f}x |")


def memory(packets: int) -> None:
    print("\n### Memory while packets flow: 8 sources, batch 4\n")
    print("| packets so far | RSS MiB |\n|---|---|")
    measure(packets // 100, 8, 4)
    total = 0
    print(f"| {total:,} | {rss_mib():.1f} |")
    for _ in range(5):
        measure(packets // 5, 8, 4)
        total += packets // 5
        print(f"| {total:,} | {rss_mib():.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=float, default=1e6, help="packets of the memory table; others take a tenth")
    packets = int(parser.parse_args().packets)
    by_batch(packets // 10)
    by_sources(packets // 10)
    memory(packets)


if __name__ == "__main__":
    main()
