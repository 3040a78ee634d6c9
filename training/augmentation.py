"""How a person is looked at this time: from where, how large, turned, mirrored; in which colours, with what covered.

Pure functions; chance comes from the generator that the caller gives. Where and how likely follows the training of the
official HRNet code (lib/dataset/JointsDataset.py): scale and rotation are normal and clipped, so both sides of 1 and
of 0 are equally likely.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline import plugin
from stages.engines.base import IMAGENET_MEAN
from stages.topdown.regions import Regions, regions_of_boxes, to_input

__all__ = [
    "AugmentationOptions",
    "View",
    "affine",
    "choose_view",
    "cover",
    "half_bodies",
    "move",
    "reach",
    "recolour",
    "rotation_degrees",
    "scale_factor",
]

Random = np.random.Generator
Probability = Annotated[float, Field(ge=0, le=1)]

_HALF_BODY_PADDING: Final = 1.5
_LUMA: Final = np.array([0.114, 0.587, 0.299])
"""Of blue, green and red (ITU-R BT.601)."""
_GREY: Final = 127.5
_COVERED: Final = (0.1, 0.4)
"""Sides of what is covered, as shares of the picture's: from, to."""


class AugmentationOptions(plugin.Options):
    """What varies from one look to the next. The defaults are the official ones for COCO."""

    flip: Probability = 0.5
    """How often a person is mirrored."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.35
    """Standard deviation of the size, which is at most so much larger or smaller. Official for MPII: 0.25."""
    rotation_degrees: Annotated[float, Field(ge=0, le=90)] = 45.0
    """Standard deviation of the rotation, which is at most twice that. Official for MPII: 30."""
    rotation: Probability = 0.6
    """How often a person is rotated at all."""
    half_body: Probability = 0.3
    """How often only the upper or the lower half is looked at, of people with more than half of their joints."""
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Brightness, contrast and saturation are each multiplied by 1 - colour to 1 + colour."""
    cutout: Probability = 0.0
    """How often a rectangle is covered, a tenth to four tenths of each side (DeVries and Taylor, 2017)."""

    @classmethod
    def none(cls) -> Self:
        """Vary nothing."""
        return cls(flip=0, scale=0, rotation=0, half_body=0)


class View(NamedTuple):
    """A look at a person."""

    region: Regions
    """One row."""
    degrees: float = 0.0
    """By which the picture is turned about the centre of the region."""
    is_mirrored: bool = False
    """Whether left and right of the centre change places, before the rotation."""

    def mirrored(self) -> "View":
        """Look in a mirror: the same region, and what was turned clockwise is turned the other way."""
        return self._replace(is_mirrored=not self.is_mirrored, degrees=-self.degrees)


def affine(view: View, width: int, height: int, *, udp: bool = False) -> NDArray[np.float64]:
    """Make the affine that takes a picture to a grid over a view, such as the network's input or its heat maps.

    Turning and mirroring happen in the picture about the centre of the region, so the grid lies in it by the rule of
    `regions.to_input`, as in the official code.

    Args:
        view: How the person is looked at.
        width: Of the grid, cells.
        height: Of the grid, cells.
        udp: The grid lies by UDP's rule.

    Returns:
        Shape (2, 3): `q = A[:, :2] @ p + A[:, 2]` for columns p = (x, y), indices of pixels.
    """
    turn = math.radians(view.degrees)
    flip = -1.0 if view.is_mirrored else 1.0
    moved = np.array([[flip * math.cos(turn), -math.sin(turn)], [flip * math.sin(turn), math.cos(turn)]])
    centre = view.region.centre[0]
    there = to_input(view.region, width, height, udp=udp)[0]
    linear = there[:, :2] @ moved
    return np.column_stack([linear, there[:, :2] @ centre + there[:, 2] - linear @ centre])


def move(points: NDArray[np.floating], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take points (x, y), shape (k, 2), through an affine."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def half_bodies(
    joints: NDArray[np.floating], labelled: NDArray[np.bool_], lower: NDArray[np.bool_], aspect: float
) -> list[Regions]:
    """Find the regions of the upper and of the lower half of a person, as far as there are enough joints.

    A half is its labelled joints, if there are more than two: their extent, grown to the aspect and padded by 1.5,
    about their mean. People with no more than half of their joints labelled have no halves.

    Args:
        joints: (x, y), pixels, shape (k, 2).
        labelled: Shape (k,).
        lower: Which joints are of the lower body, shape (k,); if none is, there are no halves.
        aspect: Width over height.
    """
    if not lower.any() or 2 * labelled.sum() <= len(labelled):
        return []
    halves = (joints[labelled & part] for part in (~lower, lower))
    return [_region_about(points, aspect) for points in halves if len(points) > 2]


def _region_about(points: NDArray[np.floating], aspect: float) -> Regions:
    extent = np.concatenate([points.min(axis=0), points.max(axis=0)])
    size = regions_of_boxes(extent[None], aspect, _HALF_BODY_PADDING).size
    return Regions(points.mean(axis=0, dtype=np.float64)[None], size)


def choose_view(random: Random, whole: Regions, halves: Sequence[Regions], options: AugmentationOptions) -> View:
    """Choose how to look at a person this time.

    Args:
        random: Where chance comes from.
        whole: The region about the whole person.
        halves: Those about parts of it; see `half_bodies`.
        options: How much varies.
    """
    region = whole
    if halves and random.random() < options.half_body:
        region = halves[int(random.integers(len(halves)))]
    scaled = region._replace(size=region.size * scale_factor(random, options.scale))
    degrees = rotation_degrees(random, options.rotation_degrees) if random.random() < options.rotation else 0.0
    return View(scaled, degrees, is_mirrored=bool(random.random() < options.flip))


def scale_factor(random: Random, deviation: float) -> float:
    """Draw a factor for the region: normal about 1, clipped at one deviation; the person gets smaller as it grows."""
    return 1.0 + deviation * float(np.clip(random.normal(), -1, 1))


def rotation_degrees(random: Random, deviation: float) -> float:
    """Draw an angle: normal about 0, clipped at two deviations."""
    return deviation * float(np.clip(random.normal(), -2, 2))


def reach(regions: Sequence[Regions], scale: float) -> tuple[int, int, int, int]:
    """Say which part of the picture any view of these regions can show, however scaled and turned.

    Args:
        regions: One row each, at least one.
        scale: Of `AugmentationOptions`.

    Returns:
        (left, top, right, bottom) in pixels, half-open; from 0, but perhaps beyond the right and lower edge.
    """
    centres = np.concatenate([region.centre for region in regions])
    sizes = np.concatenate([region.size for region in regions])
    radius = (np.linalg.norm(sizes, axis=1) / 2 * (1 + scale))[:, None]
    low = np.floor((centres - radius).min(axis=0)) - 1
    high = np.ceil((centres + radius).max(axis=0)) + 2  # interpolation looks a pixel further
    left, top = np.maximum(low, 0).astype(int).tolist()
    right, bottom = np.maximum(high, [left + 1, top + 1]).astype(int).tolist()
    return left, top, right, bottom


def recolour(random: Random, picture: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
    """Change brightness, contrast about middle grey, and saturation, each by a random factor.

    Args:
        random: Where chance comes from.
        picture: Shape (h, w, 3), BGR.
        strength: Factors lie between 1 - strength and 1 + strength.

    Returns:
        A new picture of the same shape.
    """
    brightness, contrast, saturation = 1 + strength * random.uniform(-1, 1, 3)
    coloured = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    matrix = np.column_stack([contrast * brightness * coloured, np.full(3, (1 - contrast) * _GREY)])
    return np.asarray(cv2.transform(picture, matrix), np.uint8)


def cover(random: Random, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Cover a random rectangle with the mean colour of ImageNet, which the network sees as zeros.

    Args:
        random: Where chance comes from.
        picture: Shape (h, w, 3), BGR.

    Returns:
        A new picture of the same shape.
    """
    height, width = picture.shape[:2]
    sides = np.maximum(np.array([width, height]) * random.uniform(*_COVERED, 2), 1).astype(int)
    left, top = (random.random(2) * ([width, height] - sides + 1)).astype(int)
    covered = picture.copy()
    covered[top : top + sides[1], left : left + sides[0]] = np.round(IMAGENET_MEAN[::-1])
    return covered
