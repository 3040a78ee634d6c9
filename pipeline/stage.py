"""The three contracts between the engine and the rest: Source, Stage, Sink.

    Source --Frame--> [Stage --Packet--> Stage --Packet--> ...] --Packet--> Sink, Sink, ...

The engine owns channels, tasks, errors and stopping; a part only does its work. Each part is opened once, before
anything flows, and closed once, after its last call has returned, also when `open` failed or the run was cancelled.
Parts are not reusable: a run builds new ones. A live source alone is opened again after it was closed.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Literal

from pipeline.types import Frame, Packet, SourceStatus

__all__ = ["Overflow", "Sink", "Source", "Stage"]

Overflow = Literal["block", "drop_oldest"]
"""What a full channel does: make the sender wait, or forget its oldest packet (which is counted)."""


class Source(ABC):
    """Where frames come from: one camera, one file, one stream."""

    live: bool = False
    """True: the world does not wait, so old frames are dropped, and a lost connection is made again: after any error
    the source is closed, and opened anew. False: every frame goes through, in order, and an error is the end."""
    stall_timeout_seconds: float = math.inf
    """Of a live source: without a frame for so long, it has stalled."""
    host: str = ""
    """Of a live source: whom it connects to; empty for what is on this machine."""
    description: str = ""
    """What reads it once it is open, for people to read: `h264, decoded by cuda`."""

    @property
    @abstractmethod
    def source_id(self) -> str:
        """Name of the source, unique in a run."""

    @property
    def corrupt_frames(self) -> int:
        """How many frames it has left out so far because they were damaged."""
        return 0

    @abstractmethod
    def rename(self, source_id: str) -> None:
        """Take another name, before `open`: another source has this one."""

    @abstractmethod
    async def open(self) -> None:
        """Make ready to read.

        Raises:
            AuthenticationFailed: The credentials are refused.
            SourceError: It cannot be opened. Other sources go on.
        """

    @abstractmethod
    async def read(self) -> Frame | None:
        """Give the next frame, or None at the end of the stream, for good. May be cancelled while it waits.

        Raises:
            SourceError: It cannot be read any further. What was read before is kept; other sources go on.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give back everything. A call in flight ends first; cancelled, this leaves it behind, to be closed later."""


class Stage(ABC):
    """One step of the chain: looks at packets and adds to them."""

    name: str
    needs: frozenset[str] = frozenset()
    """Columns of `Instances` that earlier stages must provide."""
    provides: frozenset[str] = frozenset()
    """Columns that are there after this stage."""
    max_batch: int = 1
    """How many packets it wants at once, at most. It gets what is there: 1 at low load, more under load."""
    description: str = ""
    """What works in it once it is open, for people to read: `HRNet-W32 256x192, openvino bf16 on cpu`."""
    keeps_pixels: bool = True
    """Whether anybody after it looks at pictures: who builds the chain says so. If nobody does, what it holds may be
    without them."""

    async def open(self) -> None:  # noqa: B027 - a stage without resources has nothing to open
        """Load what is needed. Failing here ends the run before anything was read."""

    @abstractmethod
    async def process(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Give back the packets with what this stage adds.

        Leaving some out drops them (counted as filtered), unless they are `held`; the order must not change. Packets
        of several sources may be mixed; the order within a source is the order of its frames. When this raises, the
        engine repeats the packets one by one to find the culprit, so it must be safe to call twice with the same
        packets unless `max_batch` is 1.
        """

    def held(self) -> Sequence[Packet]:
        """Give the packets that it keeps, to give them back in a later call, or when their source ends.

        A stage that looks ahead has some. Its `max_batch` is 1, and a call that raises has changed nothing.
        """
        return ()

    async def end_source(self, source_id: str) -> Sequence[Packet] | None:  # noqa: ARG002 - most keep nothing a source
        """Forget what is kept about a source: its last packet has been processed.

        Returns:
            The packets of the source that were held, in order; those left out are dropped. None: there were none.
        """
        return ()

    async def close(self) -> None:  # noqa: B027 - a stage without resources has nothing to close
        """Give back everything. A call in flight ends first."""


class Sink(ABC):
    """Where results go. Each sink has its own channel, so a slow or dead one never stops another."""

    name: str
    needs: frozenset[str] = frozenset()
    """What the chain must provide: columns of `Instances`, `events`, or `pixels`, if it looks at pictures."""
    max_batch: int = 8
    """How many packets it gets at once, at most, and how many may wait for it."""
    overflow: Overflow = "block"
    """`block` loses nothing and slows the flow down; `drop_oldest` keeps up and counts what it drops."""

    async def open(self) -> None:  # noqa: B027 - a sink without resources has nothing to open
        """Create files, connect. Failing at the start ends the run before anything was read."""

    @abstractmethod
    async def write(self, packets: deque[Packet]) -> None:
        """Write packets, oldest first, and take each one out of `packets`, from the left, once it is written.

        Raises:
            SinkError: The sink cannot be written to. The engine closes it and opens it again after a while; packets
                are counted as unavailable until then.
            Exception: Any other one concerns the packet that is now leftmost: it is dropped, the rest comes again.
        """

    async def source_changed(self, status: SourceStatus) -> None:  # noqa: B027 - most sinks show no states
        """Take note of how a source is: after `open` of each one, then whenever it changes."""

    async def end_source(self, source_id: str) -> None:  # noqa: B027 - most sinks keep nothing a source
        """Finish what belongs to one source: its last packet has been written."""

    async def close(self, *, complete: bool) -> None:  # noqa: B027 - a sink without resources has nothing to close
        """Finish the output and give back everything.

        Args:
            complete: True when the run finished or was asked to stop: the output gets its final name. False after
                a failure: what was written stays readable, under its `.part` name.
        """
