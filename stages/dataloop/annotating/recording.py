"""The people of each frame, in the journal, so that a run that was interrupted infers no frame a second time.

    graph = remember(graph, recordings)

Frames are decoded again, and people tracked again, from exactly the numbers that left the pose stage: so the tracker
gives the same identities, and the annotations are the same. A model that follows people from frame to frame (BlazePose
without a detector, a pose budget) begins anew where the recording ends; all others give what they would have given.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pipeline.errors import SinkError
from pipeline.graph import Graph
from pipeline.stage import Stage
from pipeline.types import Instances, Packet
from pipeline.worker import Worker
from stages.dataloop.annotating.packing import pack, unpack
from stages.dataloop.delivery.journal import Journal

__all__ = ["Recordings", "Remembered", "remember"]

_log = logging.getLogger(__name__)

_INFERENCE: Final = ("detect", "pose")
"""The stages that are not asked twice."""


class Recordings:
    """Where the people of each source are kept. Safe to use from any thread."""

    def __init__(self) -> None:
        """Keep nothing of any source."""
        self._journals: dict[str, Journal] = {}

    def add(self, source_id: str, journal: Journal) -> None:
        """Keep what is found in a source, from its first frame on; the journal must be open until `remove`."""
        self._journals[source_id] = journal

    def remove(self, source_id: str) -> None:
        """Keep no more of a source. A source that is not there is fine."""
        self._journals.pop(source_id, None)

    def recall(self, packets: Sequence[Packet]) -> list[Packet | None]:
        """Give the packets with their people; None for each whose people are not known.

        Raises:
            SinkError: A journal cannot be read.
        """
        return [self._recall(packet) for packet in packets]

    def _recall(self, packet: Packet) -> Packet | None:
        if (journal := self._journals.get(packet.source_id)) is None:
            return None
        query = "SELECT rows, joints, columns, people FROM frame WHERE number = ? AND pts_seconds = ?"
        found = journal.file.rows(query, packet.frame.index, packet.frame.pts_seconds)
        return packet.with_instances(unpack(*found[0])) if found else None

    def keep(self, packets: Sequence[Packet]) -> None:
        """Keep the people of some packets. Once a disk takes no more, nothing more of that source is kept."""
        for source_id in dict.fromkeys(packet.source_id for packet in packets):
            if (journal := self._journals.get(source_id)) is None:
                continue
            rows = [
                (
                    packet.frame.index,
                    packet.frame.pts_seconds,
                    *pack(Instances.empty() if packet.instances is None else packet.instances),
                )
                for packet in packets
                if packet.source_id == source_id
            ]
            try:
                with journal.file.change() as database:
                    database.executemany("INSERT OR REPLACE INTO frame VALUES (?, ?, ?, ?, ?, ?)", rows)
            except SinkError as error:
                self.remove(source_id)
                _log.warning("'%s': should this run be interrupted, frames are looked at again: %s", source_id, error)


class Remembered(Stage):
    """A stage that is asked about frames only whose people are not known.

    Args:
        inner: The stage; it holds no packets.
        recordings: What is known.
        keeps: Keep what comes out of it.
    """

    def __init__(self, inner: Stage, recordings: Recordings, *, keeps: bool) -> None:
        """Take the place of `inner`."""
        self.name = inner.name
        self.needs = inner.needs
        self.provides = inner.provides
        self.max_batch = inner.max_batch
        self._inner = inner
        self._recordings = recordings
        self._keeps = keeps
        self._worker = Worker(f"recording {inner.name}")

    async def open(self) -> None:
        """Open the stage."""
        await self._inner.open()
        self.description = self._inner.description

    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Give back the packets, with the people that are known or that the stage has found."""
        known = await self._worker.call(self._recordings.recall, packets)
        unknown = [packet for packet, recalled in zip(packets, known, strict=True) if recalled is None]
        found = list(await self._inner.process(unknown)) if unknown else []
        if self._keeps and found:
            await self._worker.call(self._recordings.keep, found)
        fresh = {(packet.source_id, packet.frame.index): packet for packet in found}
        both = (
            recalled or fresh.get((packet.source_id, packet.frame.index))
            for packet, recalled in zip(packets, known, strict=True)
        )
        return [packet for packet in both if packet is not None]

    async def end_source(self, source_id: str) -> None:
        """Let the stage forget the source."""
        await self._inner.end_source(source_id)

    async def close(self) -> None:
        """Close the stage."""
        try:
            await self._inner.close()
        finally:
            await self._worker.close()


def remember(graph: Graph, recordings: Recordings) -> Graph:
    """Let the stages of a chain that infer be asked once about each frame.

    Args:
        graph: Not opened yet.
        recordings: Where the people are kept as they leave the last of these stages.
    """
    last = [stage for stage in graph.stages if stage.name in _INFERENCE][-1:]
    stages = (
        Remembered(stage, recordings, keeps=stage in last) if stage.name in _INFERENCE else stage
        for stage in graph.stages
    )
    return replace(graph, stages=tuple(stages))
