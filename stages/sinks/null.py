"""Nothing: for measuring what all the rest costs."""

from pipeline import plugin
from pipeline.types import Packet
from stages.sinks.base import FrameSink

__all__ = ["NullSink", "Options"]


class Options(plugin.Options):
    """Options of `null`: none."""


class NullSink(FrameSink):
    """Discards every packet."""

    def write(self, packet: Packet) -> None:
        """Do nothing."""
