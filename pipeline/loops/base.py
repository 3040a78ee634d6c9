"""What all loops have in common."""

from collections import deque
from typing import Final, Protocol

from pipeline.channel import Item

__all__ = ["FAILURES_IN_A_ROW", "Inbox", "Loop", "Outbox"]

FAILURES_IN_A_ROW: Final = 3
"""After so many batches in a row without a survivor it is the model that is broken, not a frame; likewise a sink."""


class Inbox(Protocol):
    """Where a loop takes items from: a `Channel` or the `Collector`."""

    async def receive(self, limit: int) -> list[Item]:
        """Take packets, or one mark; raise ChannelClosed at the end."""


class Outbox(Protocol):
    """Where a loop moves items to: a `Channel` or the `FanOut`."""

    async def send(self, items: deque[Item]) -> None:
        """Move items."""

    def close(self) -> None:
        """Say that nothing more will come."""


class Loop(Protocol):
    """What the runner knows of each loop."""

    name: str
    holding: deque[Item]
    """What it has taken in and not yet passed on: with the channels, all the places where a packet can be."""
    finished: bool
    """Whether it has come to its end, or, for a source, was stopped."""

    async def run(self) -> None:
        """Do the work until there is no more."""
