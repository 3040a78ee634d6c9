"""How a frame is laid into the picture that a detection network sees."""

from typing import Literal

from stages.detections.letterbox import Letterbox

__all__ = ["Fit", "place"]

Fit = Literal["corner", "centre", "stretch"]
"""`corner` and `centre` keep the aspect and leave grey beside the frame, at its right and below or on both sides;
`stretch` fills the whole picture."""


class _CornerLetterbox(Letterbox):
    """A frame that begins at the upper left corner of its canvas; all padding is right and below."""

    __slots__ = ()

    @property
    def left(self) -> int:
        """Padding before the first column: none."""
        return 0

    @property
    def top(self) -> int:
        """Padding above the first row: none."""
        return 0


def place(fit: Fit, frame: tuple[int, int], canvas: tuple[int, int]) -> Letterbox:
    """Lay a frame of (width, height) into a canvas of (width, height), pixels."""
    if fit == "stretch":
        return Letterbox(*frame, *canvas, *canvas)
    return (_CornerLetterbox if fit == "corner" else Letterbox).fit(frame, canvas)
