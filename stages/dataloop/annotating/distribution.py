"""The sink of a run over many items: gives each packet to the item it belongs to, and lets none hurt another."""

import asyncio
from collections import deque
from dataclasses import dataclass

from pipeline.stage import Sink
from pipeline.types import Packet
from pipeline.worker import Worker
from stages.dataloop.annotating.desk import Sheet

__all__ = ["Distribution"]


@dataclass(frozen=True, slots=True)
class _Expected:
    sheet: Sheet
    ended: asyncio.Future[None]


class Distribution(Sink):
    """Writes the packets of each item to its own sheet, all on one thread."""

    name = "dataloop"
    needs = frozenset({"keypoints"})

    def __init__(self) -> None:
        """Expect nothing yet."""
        self._items: dict[str, _Expected] = {}
        self._worker = Worker("sink dataloop")

    def expect(self, item_id: str, sheet: Sheet) -> asyncio.Future[None]:
        """Say where the packets of an item go; to be called before its source is read.

        Returns:
            Done when the last packet of the item was written, however its source ended; or with what was wrong as its
            exception as soon as one could not be written, and then the others of this item are passed over.
        """
        expected = _Expected(sheet, asyncio.get_running_loop().create_future())
        self._items[item_id] = expected
        return expected.ended

    def forget(self, item_id: str) -> None:
        """Pass over what may still come of an item."""
        self._items.pop(item_id, None)

    async def write(self, packets: deque[Packet]) -> None:
        """Write the packets, oldest first. What is wrong with one item is told to those who wait for it."""
        while packets:
            await self._write(packets[0])
            packets.popleft()

    async def _write(self, packet: Packet) -> None:
        expected = self._items.get(packet.source_id)
        if expected is None or expected.ended.done():
            return
        try:
            await self._worker.call(expected.sheet.write, packet)
        except Exception as error:  # noqa: BLE001 - handed over to the one who waits for the item
            if not expected.ended.done():
                expected.ended.set_exception(error)

    async def end_source(self, source_id: str) -> None:
        """Tell those who wait for the item that all of it was written."""
        expected = self._items.pop(source_id, None)
        if expected is not None and not expected.ended.done():
            expected.ended.set_result(None)

    async def close(self, *, complete: bool) -> None:  # noqa: ARG002 - each item is finished by itself
        """End the thread."""
        await self._worker.close()
