"""From pictures and regions to joints: the crops of all people of all pictures go through the engines together.

HostPath     any engine: OpenCV cuts, the engine runs, numpy decodes
DevicePath   the torch engine: a picture goes to its device once, and only joints come back (device_path.py)
"""

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Pixels
from stages.engines.base import Engine
from stages.engines.sharing import Lane, share
from stages.topdown.crops import cut
from stages.topdown.heads import Head, Outputs, Reading
from stages.topdown.regions import Regions, to_input, to_picture

__all__ = ["HostPath", "Joints", "LookPath", "Piece"]

_log = logging.getLogger(__name__)

E = TypeVar("E", bound=Engine)


class Joints(NamedTuple):
    """What was found in m regions, in their order."""

    points: NDArray[np.float64]
    """(x, y) in pixels of the picture, shape (m, k, 2)."""
    score: NDArray[np.float32]
    """As the network gives it, shape (m, k)."""
    heatmaps: NDArray[np.float32] | None = None
    """Where they were asked for: shape (m, k, h, w)."""


class Piece(NamedTuple):
    """What was found in as many crops as an engine takes at once."""

    reading: Reading
    heatmaps: NDArray[np.float32] | None
    """Where they were asked for."""


class LookPath(ABC, Generic[E]):
    """Looks for joints in regions of pictures.

    Args:
        engines: Open ones, at least one; several share the crops. They stay their owner's to close.
        head: Reads what they give.
        flip_test: Look at each crop a second time, mirrored, and average.
        udp: The network was trained with unbiased data processing.
    """

    def __init__(self, engines: Sequence[E], head: Head, *, flip_test: bool = False, udp: bool = False) -> None:
        """Start no thread yet."""
        self.width, self.height = engines[0].model.input.width, engines[0].model.input.height
        self._lanes = [Lane(engine) for engine in engines]
        self._head = head
        self._flip_test = flip_test
        self._udp = udp
        self._is_broken = False
        self._drivers = ThreadPoolExecutor(len(engines), "pose-engine") if len(engines) > 1 else None

    def look(self, pictures: Sequence[Pixels], regions: Sequence[Regions], *, keep_heatmaps: bool = False) -> Joints:
        """Find the joints in each region.

        Args:
            pictures: Of any sizes. One without regions is not touched.
            regions: Those of each picture.
            keep_heatmaps: Give the network's first output too, after the flip test: the heat maps.

        Returns:
            All regions of the first picture, then those of the second, and so on.

        Raises:
            OutOfMemory: Not even one crop fits onto the device.
        """
        joints = self._head.joints
        busy = [place for place, found in enumerate(regions) if len(found.centre)]
        if not busy:
            nothing = np.empty((0, joints, 0, 0), np.float32) if keep_heatmaps else None
            return Joints(np.empty((0, joints, 2)), np.empty((0, joints), np.float32), nothing)
        places = [regions[place] for place in busy]
        pieces = self._look([pictures[place] for place in busy], places, keep_heatmaps=keep_heatmaps)
        everywhere = Regions(*(np.concatenate(column) for column in zip(*places, strict=True)))
        readings = [piece.reading for piece in pieces]
        points = np.concatenate([reading.points for reading in readings])
        score = np.concatenate([reading.score for reading in readings])
        self._say_if_broken(score)
        heatmaps = [piece.heatmaps for piece in pieces if piece.heatmaps is not None]
        return Joints(
            to_picture(points, everywhere, readings[0].width, readings[0].height, udp=self._udp),
            score,
            np.concatenate(heatmaps) if keep_heatmaps else None,
        )

    def _say_if_broken(self, score: NDArray[np.float32]) -> None:
        """Warn, once, of a network that gives no numbers."""
        if self._is_broken or np.isfinite(score).all():
            return
        self._is_broken = True
        _log.warning(
            "%s gave NaN or infinity for some joints: they score 0. Give precision: f32", self._lanes[0].engine
        )

    @abstractmethod
    def _look(self, pictures: Sequence[Pixels], regions: Sequence[Regions], *, keep_heatmaps: bool) -> list[Piece]:
        """Look at every region; each picture has at least one."""

    def _affines(self, regions: Sequence[Regions]) -> list[NDArray[np.float64]]:
        """Say how the regions of each picture come to the network's input."""
        return [to_input(found, self.width, self.height, udp=self._udp) for found in regions]

    def close(self) -> None:
        """End the threads; the engines are left open."""
        if self._drivers is not None:
            self._drivers.shutdown()


class HostPath(LookPath[Engine]):
    """Cuts and decodes on the host, for any engine."""

    def __init__(self, engines: Sequence[Engine], head: Head, *, flip_test: bool = False, udp: bool = False) -> None:
        """Start no thread yet."""
        super().__init__(engines, head, flip_test=flip_test, udp=udp)
        self._cutters = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "pose-crops")

    def close(self) -> None:
        """End the threads; the engines are left open."""
        super().close()
        self._cutters.shutdown()

    def _look(self, pictures: Sequence[Pixels], regions: Sequence[Regions], *, keep_heatmaps: bool) -> list[Piece]:
        images = [picture.bgr() for picture in pictures]
        crops = cut(images, self._affines(regions), self.width, self.height, self._cutters)

        def look(engine: Engine, rows: slice) -> Piece:
            outputs = self._run(engine, crops[rows])
            return Piece(self._head.read(outputs), outputs[0] if keep_heatmaps else None)

        return share(self._lanes, len(crops), look, self._drivers)

    def _run(self, engine: Engine, crops: NDArray[np.uint8]) -> Outputs:
        outputs = engine.run(crops)
        if not self._flip_test:
            return outputs
        return self._head.merge(outputs, engine.run(np.ascontiguousarray(crops[:, :, ::-1])))
