"""What a source plug-in is."""

import math
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
    """True when the world does not wait: a camera.

    The engine reads such a source again and again: after any SourceError it is closed, and after a while a fresh one
    is opened. So the end of a network stream is a SourceError, and None is the end for good.
    """
    stall_timeout_seconds: float = math.inf
    """A live source that gives no frame for so long is stalled. It should notice by itself and raise; the engine
    gives a call that does not come back a little longer, and then leaves it behind."""
    host: str = ""
    """Of a live source: whom it connects to. Few connections to one host are opened at the same time."""

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

    def fresh(self) -> Self:
        """Make another one of the same, unopened: a live source is opened anew although this one may still hang."""
        return type(self)(self.options, self.source_id)

    @abstractmethod
    def read(self) -> Frame | None:
        """Give the next frame, or None at the end.

        Raises:
            AuthenticationFailed: The credentials are refused (`open` may raise it too).
            SourceError: It cannot be read any further; the message names the source, the time and the cause.
        """
