"""What a source plug-in is."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from pipeline.plugin import Options, Plugin
from pipeline.types import Frame

__all__ = ["FrameSource"]


class FrameSource(Plugin, ABC):
    """Reads frames from one place. Calls block; the pipeline makes them on a thread of their own.

    Args:
        options: What to read, and how.
        source_id: Its name in results, unique in a run.
    """

    live: bool = False
    """True when the world does not wait: a camera."""

    def __init__(self, options: Any, source_id: str) -> None:  # noqa: ANN401 - each plug-in has its own options
        """Keep the options; nothing is opened yet."""
        self.options = options
        self.source_id = source_id

    @property
    def corrupt_frames(self) -> int:
        """How many frames were left out so far because they were damaged."""
        return 0

    @classmethod
    def expand(cls, options: Options, source_id: str | None) -> Sequence[Self]:
        """Make the sources that one entry of a configuration stands for: several for a glob of videos.

        Args:
            options: Of the entry.
            source_id: The name given in the entry; None to derive one from what is read (a file's stem).

        Returns:
            Sources with different names. Nothing is opened, but a path that matches nothing is a SourceError.
        """
        return [cls(options, source_id or cls.__name__.removesuffix("Source").lower())]

    @abstractmethod
    def read(self) -> Frame | None:
        """Give the next frame, or None at the end.

        Raises:
            SourceError: It cannot be read any further; the message names the source, the time and the cause.
        """
