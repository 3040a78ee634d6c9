"""What every plug-in is: a class with an `Options` model beside it in the same file.

A plug-in is synchronous and knows nothing of asyncio, so it runs in a notebook as it is:

    with FileSource(Options(path="street.mp4"), "street") as source:
        while (frame := source.read()) is not None:
            ...

In the pipeline, a verb (`stages/detect.py` ...) calls it on a `Worker`: open, calls and close happen on one thread,
in order.
"""

from types import TracebackType
from typing import Self

from pydantic import BaseModel, ConfigDict

__all__ = ["Options", "Plugin"]


class Options(BaseModel):
    """Base of every plug-in's options: frozen, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Plugin:
    """The lifetime of a plug-in: `open`, calls, `close`. The constructor only keeps its options."""

    description: str = ""
    """What it is once it is open, for people to read: which network, and what runs it where. Empty: nothing to say."""

    def open(self) -> None:
        """Load the model, open the file: whatever is slow or can fail."""

    def close(self) -> None:
        """Give back what `open` took. Also called after a failed `open`; calling it twice is fine."""

    def __enter__(self) -> Self:
        """Open."""
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()
