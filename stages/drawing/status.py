"""A picture that says why there is no newer one."""

from pipeline.types import SourceStatus
from stages.drawing.overlay import Pen
from stages.drawing.paint import Image, blend, letters, pill
from stages.drawing.palette import INK, PAPER

__all__ = ["PICTURE_STATES", "dim", "status_words"]

PICTURE_STATES = frozenset({"live", "reading", "finished", "stopped"})
"""States in which a picture speaks for itself."""


def status_words(status: SourceStatus) -> str:
    """Say how a source is: `reconnecting since 12:03:10 UTC`."""
    return f"{status.state.replace('_', ' ')} since {status.since:%H:%M:%S} UTC"


def dim(image: Image, words: str) -> Image:
    """Give a copy of a picture at a third of its light, with words across its middle.

    Args:
        image: Shape (H, W, 3), uint8, BGR; not written to.
        words: One line; set smaller where it would not fit.
    """
    canvas = image // 3
    height, width = canvas.shape[:2]
    size = 2 * Pen.of(canvas).text
    text = letters(words, size)
    while text.shape[1] + 2 * size > width and size > 4:
        size -= 1
        text = letters(words, size)
    left, top = (width - text.shape[1]) // 2, (height - text.shape[0]) // 2
    blend(
        canvas, pill(text.shape[1] + 2 * size, text.shape[0] + size, size // 2), left - size, top - size // 2, INK, 0.8
    )
    blend(canvas, text, left, top, PAPER)
    return canvas
