"""Files whose rows do not say which source they are of, so that all of one must be of the same."""

from abc import abstractmethod
from pathlib import Path

from pipeline.types import Packet
from stages.sinks.partial import Output

__all__ = ["OneSourceOutput"]


class OneSourceOutput(Output):
    """One file with the frames of one source."""

    def __init__(self, target: Path) -> None:
        """Keep the names; nothing is created yet."""
        super().__init__(target)
        self._source_id: str | None = None

    @abstractmethod
    def add(self, packet: Packet) -> None:
        """Write one packet of the source.

        Raises:
            SinkError: It cannot be written.
        """

    def write(self, packet: Packet) -> None:
        """Write one packet.

        Raises:
            SinkError: It cannot be written.
            ValueError: It is of another source.
        """
        if self._source_id not in {None, packet.source_id}:
            msg = (
                f"cannot write {self.target}: it holds '{self._source_id}', and a frame in it cannot say that it is of "
                f"'{packet.source_id}'; put {{source}} into its path, for one file a source"
            )
            raise ValueError(msg)
        self.add(packet)
        self._source_id = packet.source_id
