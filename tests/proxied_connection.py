"""One client of a `FaultProxy` and the server behind: what passes between them, and when."""

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from network_faults import Cut, Damage, Delay, Fault, Pieces, Silent, Stall, Trickle

HOST = "127.0.0.1"

RESET = struct.pack("ii", 1, 0)
"""Of SO_LINGER: do not wait; so closing sends RST."""

END = (0.0, b"")
"""In place of bytes that are due: the server has said all."""


class Connection:
    """Passes on in both directions until one side ends, or the fault says so.

    Args:
        target_port: Of the server.
        fault: What is wrong at first.
        client: Who has connected.
        count: Is told how many bytes have passed, (up, down).
    """

    def __init__(
        self,
        target_port: int,
        fault: Fault,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        count: Callable[[int, int], None],
    ) -> None:
        self._target_port = target_port
        self._reader, self._writer = client
        self._writers = [self._writer]
        self._count = count
        self._upward: asyncio.Queue[bytes] = asyncio.Queue(16)
        self._downward: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(200)
        self._changed = asyncio.Event()
        self.apply(fault)

    def apply(self, fault: Fault) -> None:
        """Let this happen from now on."""
        self._fault = fault
        self._damage = Damage(fault)
        self._passed = 0
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self, *, reset: bool = False) -> None:
        """End it, towards both sides, with FIN or RST."""
        for writer in self._writers:
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                writer.transport.abort()
            else:
                writer.close()

    async def run(self) -> None:
        """Work until the end."""
        await _until_one_ends(self._read_client(), self._serve())

    async def _serve(self) -> None:
        while isinstance(self._fault, Silent):
            await self._changed.wait()
        reader, writer = await asyncio.open_connection(HOST, self._target_port)
        self._writers.append(writer)
        reading = asyncio.create_task(self._read_server(reader))
        try:
            await _until_one_ends(self._give_server(writer), self._give_client())
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read_client(self) -> None:
        # In small steps and far ahead, so that we notice when it goes although nothing passes.
        while data := await self._reader.read(65536):
            await self._upward.put(data)
        if not self._is_stalled:
            await self._upward.join()  # its last words

    async def _give_server(self, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await self._upward.get()
            await self._wait_while_stalled()
            self._count(len(data), 0)
            writer.write(data)
            await writer.drain()
            self._upward.task_done()

    async def _read_server(self, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        pieces = Pieces()
        # After a reset as well, what came before it is still given to the client.
        with suppress(OSError):
            while data := await reader.read(65536):
                due = loop.time() + (self._fault.seconds if isinstance(self._fault, Delay) else 0.0)
                await self._downward.put((due, b"".join(map(self._damage, pieces.feed(data)))))
        await self._downward.put(END)

    async def _give_client(self) -> None:
        loop = asyncio.get_running_loop()
        while (item := await self._downward.get()) != END:
            due, data = item
            await asyncio.sleep(max(0.0, due - loop.time()))
            while data and not self._writer.is_closing():
                await self._wait_while_stalled()
                size = self._allowance(len(data))
                await self._give(data[:size])
                data = data[size:]

    def _allowance(self, size: int) -> int:
        """How much of so many bytes may pass now."""
        fault = self._fault
        if isinstance(fault, Trickle):
            return min(size, fault.chunk_bytes)
        if isinstance(fault, Stall | Cut):
            return min(size, max(0, fault.after_bytes - self._passed))
        return size

    async def _give(self, data: bytes) -> None:
        fault, changed = self._fault, self._changed
        self._passed += len(data)
        self._count(0, len(data))
        self._writer.write(data)
        await self._writer.drain()
        if isinstance(fault, Cut) and self._passed >= fault.after_bytes:
            self.close(reset=fault.reset)
        if isinstance(fault, Trickle):
            with suppress(TimeoutError):
                async with asyncio.timeout(fault.interval_seconds):
                    await changed.wait()

    @property
    def _is_stalled(self) -> bool:
        fault = self._fault
        return isinstance(fault, Silent) or (isinstance(fault, Stall) and self._passed >= fault.after_bytes)

    async def _wait_while_stalled(self) -> None:
        while self._is_stalled:
            await self._changed.wait()


async def _until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things until one of them is done; a connection that breaks is an end like any other."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if (error := task.exception()) is not None and not isinstance(error, OSError):
            raise error
