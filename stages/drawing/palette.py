"""Colours that tell people apart: made in OKLCH, where equal steps look equal."""

import math
from functools import lru_cache
from typing import Final

import numpy as np

__all__ = [
    "ALARM",
    "EVENT",
    "INK",
    "LEFT",
    "MIDDLE",
    "NOBODY",
    "PAPER",
    "PLACE",
    "RIGHT",
    "Colour",
    "dimmed",
    "identity_colour",
    "oklch",
]

Colour = tuple[int, int, int]
"""Blue, green, red; 0..255."""

_GOLDEN_ANGLE: Final = 180.0 * (3.0 - math.sqrt(5.0))
"""Degrees between neighbours on a sunflower: however many turns were made, the next falls into the widest gaps."""
_LIGHTNESS: Final = (0.78, 0.70, 0.86)
"""Light enough for dark text on it (contrast 4.5 and more), and for lines on asphalt at night."""

_LMS: Final = np.array([
    [1.0, 0.3963377774, 0.2158037573],
    [1.0, -0.1055613458, -0.0638541728],
    [1.0, -0.0894841775, -1.2914855480],
])  # fmt: skip
_LINEAR_RGB: Final = np.array([
    [4.0767416621, -3.3077115913, 0.2309699292],
    [-1.2684380046, 2.6097574011, -0.3413193965],
    [-0.0041960863, -0.7034186147, 1.7076147010],
])  # fmt: skip


def oklch(lightness: float, chroma: float, hue_degrees: float) -> Colour:
    """Convert OKLCH to sRGB; what a screen cannot show is clipped.

    Björn Ottosson, "A perceptual color space for image processing" (2020); transfer function of IEC 61966-2-1.

    Args:
        lightness: 0 is black, 1 is white.
        chroma: 0 is grey; 0.37 is as vivid as screens get.
        hue_degrees: About 30 is red, 90 yellow, 140 green, 250 blue.
    """
    angle = math.radians(hue_degrees)
    lab = np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])
    linear = np.clip(_LINEAR_RGB @ (_LMS @ lab) ** 3, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(value * 255) for value in encoded.tolist())
    return blue, green, red


@lru_cache(maxsize=4096)
def identity_colour(track_id: int) -> Colour:
    """Give the colour of an identity: always the same one, and far from those of the ids around it."""
    return oklch(_LIGHTNESS[track_id % len(_LIGHTNESS)], 0.16, 30.0 + track_id * _GOLDEN_ANGLE)


def dimmed(colour: Colour) -> Colour:
    """Give a colour half as bright, of the same hue."""
    blue, green, red = (round(value / 2) for value in colour)
    return blue, green, red


INK: Final = oklch(0.20, 0.02, 260.0)
"""Dark text, and the rim around lines that keeps them visible on white."""
PAPER: Final = oklch(0.98, 0.0, 0.0)
"""Light text."""
ALARM: Final = oklch(0.53, 0.22, 28.0)
"""What nobody must overlook: red, dark enough for light text on it."""
EVENT: Final = oklch(0.85, 0.17, 88.0)
"""What else happened: amber, with dark text."""
PLACE: Final = oklch(0.88, 0.12, 160.0)
"""Where rules look: mint."""
NOBODY: Final = oklch(0.87, 0.0, 0.0)
"""People without an identity."""
LEFT: Final = oklch(0.80, 0.14, 225.0)
"""Limbs on the left side of the body: sky blue."""
RIGHT: Final = oklch(0.78, 0.16, 60.0)
"""Limbs on the right side of the body: orange. The pair stays apart for colour-blind eyes."""
MIDDLE: Final = oklch(0.95, 0.02, 100.0)
"""Torso and face."""
