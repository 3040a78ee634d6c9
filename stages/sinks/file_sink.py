"""What all sinks that write files have in common: which packet goes to which file, and when a file is complete."""

import errno
import os
import tempfile
from abc import abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from pipeline.types import Packet
from stages.sinks.base import FrameSink
from stages.sinks.naming import SOURCE, file_name, numbered
from stages.sinks.partial import Output, unwritable

__all__ = ["FileSink"]


class FileSink(FrameSink):
    """Writes one file, or one for each source where the `path` of its options holds `{source}`.

    A file is written as packets come, as `NAME.part`. It gets its name when it is complete: the file of a source when
    the source ends, any other when the run does. After a failure the `.part` stays and can be read.

    A finished file of that name is replaced at that moment, and a `.part` that an earlier run left behind when the new
    one begins. Within a run nothing is written over: what comes after a failure, or after the end of its source,
    goes to `NAME-2`, `NAME-3` ...
    """

    waits_for_packets: ClassVar[bool] = False
    """False: a run without any packet leaves an empty table. True: it leaves no file."""

    def __init__(self, options: Any, out: Path) -> None:  # noqa: ANN401 - each plug-in has its own options
        """Keep the options; nothing is created yet."""
        super().__init__(options, out)
        self._path = out / options.path
        self._one_each = SOURCE in options.path
        self._outputs: dict[str | None, Output] = {}
        self._begun: set[str] = set()

    @abstractmethod
    def begin(self, target: Path) -> Output:
        """Make the output that will become `target`; the folder exists.

        Raises:
            SinkError: It cannot be created.
        """

    def targets(self) -> tuple[str, ...]:
        """Name the file, `{source}` in place of a source's name."""
        return (os.path.normpath(self._path),)

    def open(self) -> None:
        """Make sure that the folder can be written to, and begin the file, unless it waits for a packet.

        Raises:
            SinkError: It cannot be written to.
        """
        fixed, _, _ = self.options.path.partition(SOURCE)
        folder = (self.out / f"{fixed}_").parent  # the deepest one that is known before there is a source
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise unwritable(folder, error) from error
        if not self._one_each and not self.waits_for_packets:
            self._output_of(None)

    def write(self, packet: Packet) -> None:
        """Write one packet to the file it belongs to.

        Raises:
            SinkError: It cannot be written; everything before it is in the file.
        """
        self._output_of(packet.source_id if self._one_each else None).write(packet)

    def end_source(self, source_id: str) -> None:
        """Complete the file of a source.

        Raises:
            SinkError: Its end cannot be written.
        """
        if (output := self._outputs.pop(source_id, None)) is not None:
            output.finish()

    def finish(self) -> None:
        """Complete all files.

        Raises:
            SinkError: An end cannot be written; the other files are complete all the same.
        """
        self._end_all(complete=True)

    def close(self) -> None:
        """Close what `finish` has not: it keeps its `.part` name.

        Raises:
            SinkError: An end cannot be written; the other files are closed all the same.
        """
        self._end_all(complete=False)

    def _end_all(self, *, complete: bool) -> None:
        with ExitStack() as ends:
            while self._outputs:
                _, output = self._outputs.popitem()
                ends.callback(output.finish if complete else output.close)

    def _output_of(self, source_id: str | None) -> Output:
        if source_id not in self._outputs:
            target = self._free_target(source_id)
            self._outputs[source_id] = self.begin(target)
            self._begun.add(str(target).casefold())
        return self._outputs[source_id]

    def _free_target(self, source_id: str | None) -> Path:
        named = self.out / self.options.path.replace(SOURCE, "" if source_id is None else file_name(source_id))
        # Some file systems take Cam.mp4 and cam.mp4 for the same.
        target = next(path for path in numbered(named) if str(path).casefold() not in self._begun)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        except OSError as error:
            raise unwritable(target, error) from error
        return target
