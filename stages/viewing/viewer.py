"""Shows the pictures that come through its standard input in a window: a program of its own, which imports no house.

A window belongs to one thread of a process for good, and where a display dies it takes the process with it.

    argument   title of the window
    input      again and again: width and height (uint32, little endian), then BGR bytes
    ends       with 0 when the input ends, with 3 when somebody pressed q or Esc, or closed the window
"""

import os
import struct
import sys
import threading

__all__ = ["CLOSED", "HEADER"]

HEADER = struct.Struct("<II")
CLOSED = 3
_SIZE_BEFORE_THE_FIRST_PICTURE = 640, 360
_MILLISECONDS = 15
"""Between two looks at the keyboard and at what has come."""
_UNSEEN = frozenset({"dummy", "offscreen"})
"""What SDL falls back to without a display."""

Picture = tuple[int, int, bytes]
"""Width, height and BGR bytes."""


class _Reader(threading.Thread):
    """Reads pictures, and keeps the newest."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.picture: Picture | None = None

    def run(self) -> None:
        while len(header := sys.stdin.buffer.read(HEADER.size)) == HEADER.size:
            width, height = HEADER.unpack(header)
            pixels = sys.stdin.buffer.read(width * height * 3)
            if len(pixels) == width * height * 3:
                self.picture = width, height, pixels


def _show(title: str) -> int:
    """Show what comes until the input or the window is closed; give the exit code."""
    import pygame  # noqa: PLC0415 - only the program itself needs it, not who imports its constants

    pygame.display.init()
    if (driver := pygame.display.get_driver()) in _UNSEEN:
        sys.exit(f"no display can be opened, only '{driver}', which nobody sees")
    pygame.display.set_caption(title)
    window = pygame.display.set_mode(_SIZE_BEFORE_THE_FIRST_PICTURE, pygame.RESIZABLE)
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    reader = _Reader()
    reader.start()
    shown: Picture | None = None
    while reader.is_alive():
        events = pygame.event.get()
        if any(_closes(event, pygame) for event in events):
            return CLOSED
        picture = reader.picture
        if picture is not None and (picture is not shown or events):
            if shown is None or shown[:2] != picture[:2]:
                window = pygame.display.set_mode(picture[:2], pygame.RESIZABLE)
            _paint(picture, window, pygame)
            shown = picture
        pygame.time.wait(_MILLISECONDS)
    return 0


def _closes(event, pygame) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001 - of a package that is not imported here
    return event.type == pygame.QUIT or (event.type == pygame.KEYDOWN and event.key in {pygame.K_q, pygame.K_ESCAPE})


def _paint(picture: Picture, window, pygame) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - the same
    """Fill the window with a picture, as large as its shape allows."""
    width, height, pixels = picture
    image = pygame.image.frombuffer(pixels, (width, height), "BGR")
    scale = min(window.get_width() / width, window.get_height() / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        image = pygame.transform.smoothscale(image, size)
    window.fill((0, 0, 0))
    window.blit(image, image.get_rect(center=window.get_rect().center))
    pygame.display.flip()


if __name__ == "__main__":
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    code = _show(sys.argv[1])
    os._exit(code)  # the reader may still hold the input, for which Python would wait
