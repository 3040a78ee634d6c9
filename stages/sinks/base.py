"""What a sink plug-in is."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from pipeline.plugin import Plugin
from pipeline.stage import Overflow
from pipeline.types import Packet, SourceStatus

__all__ = ["FrameSink"]


class FrameSink(Plugin, ABC):
    """Writes results to one place. Calls block; the pipeline makes them on a thread of their own.

    Args:
        options: Where and how to write.
        out: The folder of the run; a relative path in the options is below it.
    """

    needs: ClassVar[frozenset[str]] = frozenset()
    """What the chain must provide: columns of `Instances` (`xyxy`, `keypoints`, `track_id`), `events`, or `pixels`. Who
    looks at pictures must say so: they may be let go of where nobody does."""
    overflow: ClassVar[Overflow] = "block"
    """What happens when it cannot keep up: tables and files lose nothing."""

    def __init__(self, options: Any, out: Path) -> None:  # noqa: ANN401 - each plug-in has its own options
        """Keep the options; nothing is created yet."""
        self.options = options
        self.out = out

    def targets(self) -> tuple[str, ...]:
        """Name what it will write, `{source}` in place of a source's name; two sinks must not share a target."""
        return ()

    @abstractmethod
    def write(self, packet: Packet) -> None:
        """Write one packet.

        Raises:
            SinkError: It cannot be written; the message names the target and the cause.
        """

    def source_changed(self, status: SourceStatus) -> None:
        """Take note that a source is in another state: live, stalled, paused ... Most sinks do not care.

        Called between writes. After `open` it is called once for each source that there is.
        """

    def end_source(self, source_id: str) -> None:
        """Finish what belongs to one source: its last packet has been written."""

    def finish(self) -> None:
        """Complete the output: give it its final name. Called before `close` when the run did not fail."""
