"""From pictures and regions to joints without leaving the device. Needs PyTorch."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.types import Pixels
from stages.engines.memory import out_of_memory_named
from stages.engines.sharing import share
from stages.engines.torch import TorchEngine
from stages.topdown.heads import HeatmapHead, Reading
from stages.topdown.on_device import DevicePixels, average, cut, decode, flip_back, upload
from stages.topdown.paths import LookPath, Piece
from stages.topdown.regions import Regions

__all__ = ["DevicePath"]


class DevicePath(LookPath[TorchEngine]):
    """Cuts, runs and decodes on the devices of torch engines; see `LookPath`.

    A picture goes once to each device that needs it, or is taken from where its decoder left it.

    Args:
        engines: Open ones, at least one.
        head: Of a network that gives heat maps.
        flip_test: Look at each crop a second time, mirrored, and average.
        udp: The network was trained with unbiased data processing.
    """

    def __init__(
        self, engines: Sequence[TorchEngine], head: HeatmapHead, *, flip_test: bool = False, udp: bool = False
    ) -> None:
        """Start no thread yet."""
        super().__init__(engines, head, flip_test=flip_test, udp=udp)
        self._maps = head

    def _look(self, pictures: Sequence[Pixels], regions: Sequence[Regions], *, keep_heatmaps: bool) -> list[Piece]:
        affines = self._affines(regions)
        albums = {lane.engine: Album(pictures, lane.engine.device) for lane in self._lanes}

        def look(engine: TorchEngine, rows: slice) -> Answer:
            with torch.inference_mode(), out_of_memory_named(rows.stop - rows.start, engine.device):
                parts = [(albums[engine][at], affines[at][own]) for at, own in parted(affines, rows)]
                crops = cut([picture for picture, _ in parts], [part for _, part in parts], self.width, self.height)
                return self._answer(engine, crops, keep_heatmaps=keep_heatmaps)

        answers = share(self._lanes, sum(map(len, affines)), look, self._drivers)
        return [answer.fetched() for answer in answers]  # only now, when all devices have their work, is one waited for

    def _answer(self, engine: TorchEngine, crops: Tensor, *, keep_heatmaps: bool) -> "Answer":
        """Run the network on crops, shape (n, 3, height, width), and read the joints."""
        heatmaps = engine.run_on_device(crops)[0].float()
        if self._flip_test:
            mirrored = engine.run_on_device(crops.flip(-1))[0].float()
            heatmaps = average(heatmaps, flip_back(mirrored, self._maps.pairs, shift=not self._maps.udp))
        height, width = heatmaps.shape[2:]
        points, score = decode(heatmaps, self._maps.decoding, sigma=self._maps.deviation(height))
        return Answer(points, score, width, height, heatmaps if keep_heatmaps else None)


class Answer(NamedTuple):
    """A piece that still lies on its device; see `Piece`."""

    points: Tensor
    score: Tensor
    width: int
    height: int
    heatmaps: Tensor | None

    def fetched(self) -> Piece:
        """Wait for the device, and bring the numbers to the host."""
        heatmaps = None if self.heatmaps is None else self.heatmaps.cpu().numpy()
        return Piece(Reading(self.points.cpu().numpy(), self.score.cpu().numpy(), self.width, self.height), heatmaps)


class Album:
    """The pictures on one device; each is brought there when somebody looks at it for the first time."""

    def __init__(self, pictures: Sequence[Pixels], device: str) -> None:
        """Bring nothing yet."""
        self._pictures, self._device = pictures, device
        self._there: dict[int, Tensor] = {}

    def __getitem__(self, at: int) -> Tensor:
        """Give a picture: shape (3, H, W), uint8, RGB, on the device."""
        if at not in self._there:
            pixels = self._pictures[at]
            if isinstance(pixels, DevicePixels):
                self._there[at] = pixels.rgb().to(self._device)
            else:
                self._there[at] = upload(pixels.bgr(), self._device)
        return self._there[at]


def parted(affines: Sequence[NDArray[np.float64]], rows: slice) -> Iterator[tuple[int, slice]]:
    """Say which pictures some rows are in, and which of each picture's own rows they are."""
    start = 0
    for at, own in enumerate(affines):
        first, last = max(rows.start - start, 0), min(rows.stop - start, len(own))
        if first < last:
            yield at, slice(first, last)
        start += len(own)
